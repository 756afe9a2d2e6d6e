# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How many small faults the tests notice: changes random lines of a copy one by one and runs the tests of the part.

    python -m benchmarks.mutation                       # 50 lines of modules/ and evaluation/, some minutes
    python -m benchmarks.mutation --lines 20 --seed 3 --json mutation.json

A line is drawn out of those that :mod:`benchmarks.mutants` can change, then one of its changes. The tests are those
under the part's own folder of ``tests`` whose imports lead to the changed file, those that import it themselves first;
the first failure ends a run. A change that no test notices is printed as a survivor: either a test is missing, or the
change makes no difference to anybody, which only a reader can tell. mutmut and cosmic-ray make every change of a file,
and neither draws lines nor chooses tests by the file.
"""

import argparse
import ast
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple

from benchmarks.mutants import find_mutants, Mutant

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "torchmultimodal_reid"
OUTPUT = "pytest.out"
# what the library's modules import, so that each run need not
PRELOADED = (
    "torch",
    "torchvision.transforms.v2",
    "torchmultimodal.modules.layers.transformer",
    "tokenizers",
    "fvcore.nn",
    "matplotlib.figure",
)
LEFT_OUT = (".*", "__pycache__", "build", "runs", "datasets", "weights", "*.egg-info")


class Trial(NamedTuple):
    """A change and what became of it."""

    file: str
    line: int
    change: str
    outcome: str  # "killed", "too slow", "survived"
    seconds: float


def draw(
    root: Path, parts: Sequence[str], count: int, seed: int
) -> List[Tuple[str, Mutant]]:
    """Random lines of the library's packages, and one change of each.

    Raises:
        ValueError: If the packages have fewer lines that can be changed.
    """
    lines: Dict[Tuple[str, int], List[Mutant]] = {}
    for part in parts:
        for path in sorted((root / LIBRARY / part).rglob("*.py")):
            file = path.relative_to(root).as_posix()
            for mutant in find_mutants(path.read_text(encoding="utf-8")):
                lines.setdefault((file, mutant.line), []).append(mutant)
    if not 1 <= count <= len(lines):
        raise ValueError(
            f"expected 1 to {len(lines)} lines, those of {', '.join(parts)} that can be changed, got {count}"
        )
    generator = random.Random(seed)
    places = sorted(generator.sample(sorted(lines), count))
    return [(place[0], generator.choice(lines[place])) for place in places]


def find_tests(root: Path, file: str) -> List[str]:
    """The test files under the part's folder that reach ``file``, those that import it themselves first; maybe none."""
    part = file.split("/")[1]
    sources = (root / LIBRARY / part).rglob("*.py")
    imports = {dotted(path.relative_to(root)): imported(path) for path in sources}
    target = dotted(Path(file))
    reached = {target}
    while True:  # modules of the part that import it, and those that import these
        more = {name for name, used in imports.items() if used & reached} - reached
        if not more:
            break
        reached |= more
    direct, indirect = [], []
    for path in sorted((root / "tests" / part).rglob("test_*.py")):
        used = imported(path)
        if used & reached:
            name = path.relative_to(root).as_posix()
            (direct if target in used else indirect).append(name)
    return direct + indirect


def dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Set[str]:
    """Full names of the modules, and of what is taken out of them."""
    names: Set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def run_tests(root: Path, tests: Sequence[str], limit: int) -> str:
    """What a copy's tests say of it: ``"survived"``, also where there is none, ``"killed"`` or ``"too slow"``."""
    if not tests:
        return "survived"
    # a fork has torch already, whose import takes longer than most tests
    process = get_context("fork").Process(target=_run_pytest, args=(root, tests, limit))
    process.start()
    process.join()
    if process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "too slow"
    if process.exitcode not in (0, 1, 2):  # nothing was collected, or pytest failed
        raise ValueError(
            f"pytest could not run {' '.join(tests)}: {(root / OUTPUT).read_text()}"
        )
    return "killed" if process.exitcode else "survived"


def _run_pytest(root: Path, tests: Sequence[str], limit: int) -> None:
    import pytest
    import torch

    # of the processor: a change that loops for ever uses it, and a busy machine does not count
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(root)
    sys.dont_write_bytecode = True
    sys.path[:] = [path for path in sys.path if path not in ("", str(ROOT))]
    for name in [name for name in sys.modules if name.startswith(LIBRARY)]:
        del sys.modules[name]
    torch.set_num_threads(1)
    with open(OUTPUT, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    options = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "--capture=fd")
    status = int(pytest.main([*options, *tests]))
    sys.stdout.flush()
    os._exit(status)


def try_mutant(root: Path, file: str, mutant: Mutant, limit: int) -> Trial:
    """Changes the copy at ``root``, runs the tests of the part, and changes it back."""
    path, start = root / file, time.monotonic()
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.apply(source), encoding="utf-8")
    try:
        outcome = run_tests(root, find_tests(root, file), limit)
    finally:
        path.write_text(source, encoding="utf-8")
    return Trial(file, mutant.line, str(mutant), outcome, time.monotonic() - start)


def main(argv: Sequence[str] = ()) -> None:
    arguments = parse(argv)
    drawn = draw(ROOT, arguments.parts, arguments.lines, arguments.seed)
    trials: List[Trial] = []
    for name in PRELOADED:
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "repository"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        needed = sorted({test for file, _ in drawn for test in find_tests(copy, file)})
        if not arguments.unchecked:
            check_tests(copy, needed, arguments.limit)
        for file, mutant in drawn:
            trials.append(try_mutant(copy, file, mutant, arguments.limit))
            one = trials[-1]
            print(f"{one.outcome:9}{one.file}:{one.line}  {one.change}", flush=True)
    for part in arguments.parts:
        report(part, [t for t in trials if t.file.startswith(f"{LIBRARY}/{part}/")])
    report("together", trials)
    if arguments.json is not None:
        from benchmarks.measuring import write_results

        rows = [trial._asdict() for trial in trials]
        write_results(arguments.json, {"seed": arguments.seed, "trials": rows})


def check_tests(root: Path, tests: Sequence[str], limit: int) -> None:
    """Raises a ValueError unless the tests pass without any change."""
    if run_tests(root, tests, len(tests) * limit) != "survived":
        said = (root / OUTPUT).read_text()
        raise ValueError(f"the tests fail without any change; mend them first: {said}")


def report(name: str, trials: Sequence[Trial]) -> None:
    if trials:
        killed = sum(trial.outcome != "survived" for trial in trials)
        share = killed / len(trials)
        print(f"{name}: {killed} of {len(trials)} changes noticed, {share:.0%}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lines", type=int, default=50, help="default: 50")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--parts", nargs="+", default=["modules", "evaluation"], metavar="PACKAGE"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=120,
        help="seconds of the processor for one change's tests (default: 120)",
    )
    parser.add_argument(
        "--unchecked",
        action="store_true",
        help="do not run the tests on the unchanged copy first",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(list(argv))


if __name__ == "__main__":
    main(sys.argv[1:])
