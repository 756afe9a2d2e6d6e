# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a new user meets: builds the wheel, installs it in a fresh environment, and walks through the quickstart.

    python -m benchmarks.new_user --work /var/tmp/new_user                    # downloads torch: gigabytes
    python -m benchmarks.new_user --work DIR --json new_user.json

The quickstart's commands and programs run in a folder without the repository, each as a process of its own, and are
timed; a step that fails ends the walk. A second walk with the same ``--work`` keeps the environment and installs the
wheel alone.
"""

import argparse
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "quickstart.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
LIBRARY = "torchmultimodal_reid"


class Step(NamedTuple):
    """One thing that the page has the reader do."""

    heading: str
    arguments: Tuple[str, ...]  # of the Python interpreter


def steps(page: str) -> List[Step]:
    """The page's programs, and its commands of the library, in order. Those of the recipes need the repository."""
    found = []
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading = part.partition("\n")[0]
        for language, text in BLOCK.findall(part):
            if language == "python":
                found.append(Step(heading, ("-c", text)))
            for words in commands(text):
                if words[1].startswith(LIBRARY):
                    found.append(Step(heading, tuple(words)))
    return found


def commands(text: str) -> List[List[str]]:
    """``-m``, module and arguments of each line that begins with ``python -m``."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("python -m ")]


def run(arguments: Sequence[str], folder: Path) -> Tuple[Dict[str, float], str]:
    """Seconds that a process takes, on the clock and of the processors, and what it prints.

    Raises:
        SystemExit: If its status is neither 0 nor, as an inspection's that finds something, 1 with a report.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONPATH"
    }
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    inspected = f"{LIBRARY}.data.inspect" in arguments and done.returncode == 1
    if done.returncode and not (inspected and "NOT fit" in done.stdout):
        sys.exit(f"{shlex.join(arguments)}\n{done.stdout}{done.stderr}")
    return {"seconds": seconds, "processor_seconds": processors}, done.stdout


def install(work: Path, extras: str) -> Tuple[Path, Path]:
    """The wheel of the checkout, and the interpreter of an environment in which it is installed."""
    dist, python = work / "dist", work / "env" / "bin" / "python"
    shutil.rmtree(dist, ignore_errors=True)
    build = ["pip", "wheel", str(ROOT), "--no-deps", "--wheel-dir", str(dist)]
    run([sys.executable, "-m", *build], work)
    (wheel,) = dist.glob("*.whl")
    if not python.exists():
        run([sys.executable, "-m", "venv", str(work / "env")], work)
    named = f"torchmultimodal-reid[{extras}] @ {wheel.as_uri()}"
    run([str(python), "-m", "pip", "install", named], work)
    again = ["pip", "install", "--force-reinstall", "--no-deps", str(wheel)]
    run([str(python), "-m", *again], work)
    return wheel, python


def main(argv: Sequence[str]) -> None:
    arguments = parse(argv)
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    wheel, python = install(work, arguments.extras)
    user = work / "user"
    shutil.rmtree(user, ignore_errors=True)
    user.mkdir()
    size = wheel.stat().st_size
    results = [{"heading": "wheel", "bytes": size}]
    print(f"{wheel.name}: {size / 1e6:.2f} MB")
    walk = [Step("import", ("-c", f"import {LIBRARY}")), *steps(PAGE.read_text())]
    for step in walk:
        times, said = run([str(python), *step.arguments], user)
        results.append({"heading": step.heading, "said": said, **times})
        print(
            f"{times['seconds']:7.2f} s  ({times['processor_seconds']:.2f} s of the processors)  {step.heading}"
        )
    if arguments.json is not None:
        from benchmarks.measuring import write_results

        write_results(arguments.json, results)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.new_user",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="environment, wheel")
    add("--extras", default="search", help="of the library (default: search)")
    add("--json", type=Path, metavar="FILE")
    return parser.parse_args(list(argv))


if __name__ == "__main__":
    main(sys.argv[1:])
