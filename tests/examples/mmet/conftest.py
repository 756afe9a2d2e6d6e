# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest
import torch
from examples.common.main import run_main
from examples.mmet import evaluate, finetune, pretrain
from torchmultimodal_reid.data.synthetic.__main__ import main as render

CONFIGS = Path(__file__).parents[3] / "examples" / "mmet" / "configs"
RECIPES = {"pretrain": pretrain, "finetune": finetune, "evaluate": evaluate}
CPU = {"ACCELERATE_USE_CPU": "true"}  # what is tested here holds bit for bit on CPUs
PATIENCE = (
    600.0  # seconds; what a process on a busy machine may take for what is done in two
)


class Outcome(NamedTuple):
    """How a recipe ended, and what it said."""

    status: int
    out: str
    err: str


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: starts several training processes")


@pytest.fixture(scope="session", autouse=True)
def on_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CPU.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen rendered pedestrians of 32 x 16 pixels, four of them for testing. Do not change it."""
    root = tmp_path_factory.mktemp("world") / "data"
    size = "--identities 14 --test-identities 4 --cameras 2 --images-per-camera 2 --image-size 32 16"
    assert render(["--out", str(root), *size.split(), "--workers", "1", "--quiet"]) == 0
    return root


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path) -> Iterator[None]:
    """Deletes the checkpoints of a test, which are 40 MB each."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def own_world(world: Path, tmp_path: Path) -> Path:
    """A copy of the pedestrians, to be spoilt."""
    return Path(shutil.copytree(world, tmp_path / "data"))


def debug(recipe: str, root: Path, output: Path, *more: str) -> List[str]:
    """The arguments of a recipe with its debug configuration."""
    config = ["--config", str(CONFIGS / f"debug_{recipe}.yaml")]
    return [*config, f"data.root={root}", f"output={output}", *more]


def run_here(recipe: str, arguments: List[str]) -> int:
    """Runs a recipe in this process and returns its exit status."""
    try:
        run_main(lambda: RECIPES[recipe].main(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        torch.use_deterministic_algorithms(False)
    return 0


@pytest.fixture
def run(capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    """Runs a recipe in this process: ``run("pretrain", [...])``."""

    def run(recipe: str, arguments: List[str]) -> Outcome:
        capsys.readouterr()
        return Outcome(run_here(recipe, arguments), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def pretrained(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of pretraining, never stopped. Do not change it."""
    output = tmp_path_factory.mktemp("pretrained") / "run"
    assert run_here("pretrain", debug("pretrain", world, output)) == 0
    yield output
    shutil.rmtree(output)


@pytest.fixture(scope="session")
def finetuned(
    world: Path, pretrained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A finished run of fine-tuning from it, never stopped. Do not change it."""
    output = tmp_path_factory.mktemp("finetuned") / "run"
    arguments = debug("finetune", world, output, f"pretrained={pretrained / 'best'}")
    assert run_here("finetune", arguments) == 0
    yield output
    shutil.rmtree(output)


class Process:
    """A recipe in a process of its own."""

    def __init__(
        self,
        recipe: str,
        arguments: List[str],
        log: Path,
        environment: Optional[Dict[str, str]] = None,
    ) -> None:
        self.log = log
        context = multiprocessing.get_context("forkserver")
        # importing takes longer than a run: it is done once, in the process that all others are forked from
        context.set_forkserver_preload([module.__name__ for module in RECIPES.values()])
        request: Dict[str, Any] = {
            "MODULE": RECIPES[recipe].__name__,
            "ARGUMENTS": arguments,
            "LOG": str(log),
            "START_METHOD": multiprocessing.get_start_method(),
            "ENVIRONMENT": {**CPU, **(environment or {})},
        }
        script = Path(__file__).with_name("recipe_process.py")
        self._process = context.Process(
            target=runpy.run_path, args=(str(script), request)
        )
        self._process.start()

    def wait_until(self, happened: Callable[[], bool]) -> bool:
        """Waits for something to happen while the process lives; False if the process ended before."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            if not self._process.is_alive():
                return happened()
            assert time.monotonic() < deadline, self.text
            time.sleep(0.002)
        return True

    def send(self, number: int) -> None:
        """Sends a signal to the process and its loader workers, as Ctrl-C and a scheduler do."""
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(self._process.pid, number)

    def join(self) -> int:
        """The exit status; minus the signal that killed it."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, self.text
        return self._process.exitcode

    def stop(self) -> None:
        if self._process.is_alive():
            self.send(signal.SIGKILL)
        self._process.join()

    @property
    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts a recipe in a process of its own: ``start("pretrain", [...])``; ends those that are left."""
    started: List[Process] = []

    def start(
        recipe: str, arguments: List[str], environment: Optional[Dict[str, str]] = None
    ) -> Process:
        log = tmp_path / f"process_{len(started)}.log"
        started.append(Process(recipe, arguments, log, environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def metrics(directory: Path, key: str = "train/loss") -> Dict[int, float]:
    """A metric of a run by step."""
    path = directory / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return {record["step"]: float(record[key]) for record in records if key in record}


@pytest.fixture
def tools() -> Any:
    """The functions above; a test folder is no package, from which they could be imported."""

    class Tools:
        debug = staticmethod(debug)
        metrics = staticmethod(metrics)
        configs = CONFIGS

    return Tools
