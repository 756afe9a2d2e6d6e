# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""CONTRIBUTING's checklists, each followed for a toy part.

A copy of the repository's files is changed as the list says, and the changed library is then used in a process of its
own. The lists are true when that works, and name files that exist.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
END = "now the tests"
HEADER = (ROOT / "setup.py").read_text(encoding="utf-8").split("\n\n")[0] + "\n\n"


def checklist(title):
    """The text of a list, up to the next heading."""
    match = re.search(rf"^### {title}\n(.*?)^##", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert match, f"CONTRIBUTING has no list for {title}"
    return match.group(1)


class Copy:
    """The library and the recipes in a folder of their own."""

    def __init__(self, root, title):
        self.root = root
        self.list = checklist(title)
        ignore = shutil.ignore_patterns("__pycache__")
        for folder in ("torchmultimodal_reid", "examples", "upstream", "tests"):
            shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
        (root / "docs").mkdir()
        shutil.copy(ROOT / "pyproject.toml", root)

    def add(self, file, text, named=None):
        """A new file, which the list must name, NAME standing for the part's name."""
        assert (named or file) in self.list, f"the list does not name {named or file}"
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + text, encoding="utf-8")

    def change(self, file, *changes):
        """Replaces texts in a file that the list must name."""
        assert f"`{file}`" in self.list, f"the list does not name {file}"
        text = (self.root / file).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        (self.root / file).write_text(text, encoding="utf-8")

    def run_with_tests(self, script, tests, *arguments):
        """What a script prints before it runs tests of the copy, all of which must pass."""
        ends = f"import pytest, sys\nprint('{END}')\nsys.exit(pytest.main({['-q', *tests]}))\n"
        said, _, of_tests = self.run("-c", script + ends, *arguments).partition(END)
        assert re.search(r"\b[1-9]\d* passed", of_tests)
        return said

    def run(self, *command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture
def copy(tmp_path):
    def copy(title):
        root = tmp_path / "repository"
        root.mkdir()
        return Copy(root, title)

    return copy


READER = """\
from typing import Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.folders import finish_split
from torchmultimodal_reid.data.market_layout import read_market_layout
from torchmultimodal_reid.data.sample import ReIDSplit


def toyset(
    root: str, *, captions: Optional[str] = None, missing_captions: str = "error"
) -> ReIDSplit:
    return finish_split(read_market_layout("toyset", root), captions, missing_captions)


INFO = DatasetInfo(
    name="toyset",
    title="Toys",
    reader=toyset,
    paper="https://example.org",
    layout="`bounding_box_train/0002_c1s1_000551_01.jpg`",
    access="anybody",
    source="a shop",
    counts={"train": PartCounts(4, 16, 2)},
)
"""
READS = """\
import sys
from torchmultimodal_reid.data.registry import DATASETS, read_dataset
from torchmultimodal_reid.evaluation.training_protocols import get_training_protocol
print(len(read_dataset("toyset", sys.argv[1]).train))
for name in ("supervised:toyset", "toyset-to-msmt17"):
    print(get_training_protocol(name, tuple(DATASETS)).name)
try:
    get_training_protocol("viper-to-toyset", tuple(DATASETS))
except ValueError as error:
    print("toys are people of VIPeR" in str(error))
from pathlib import Path
from torchmultimodal_reid.data.datasets_page import datasets_page
Path("docs/datasets.md").write_text(datasets_page(), encoding="utf-8")
"""
READER_TEST = """\
from torchmultimodal_reid.data.toyset import toyset


def test_counts(build_market):
    assert len(toyset(build_market()).train) == 16
"""
SHARED = """\
    SharedPeople("viper", ("toyset",), "toys are people of VIPeR"),
"""


def test_a_data_set(copy, build_market):
    copy = copy("A data set")
    file = "torchmultimodal_reid/data/{}.py"
    copy.add(file.format("toyset"), READER, file.format("NAME"))
    copy.change(
        "torchmultimodal_reid/data/registry.py",
        ("    synth_pedes,\n", "    synth_pedes,\n    toyset,\n"),
        ("        viper.INFO,\n", "        viper.INFO,\n        toyset.INFO,\n"),
    )
    file = "torchmultimodal_reid/evaluation/shared_people.py"
    copy.change(
        file, ('    SharedPeople("msmt17"', SHARED + '    SharedPeople("msmt17"')
    )
    copy.add("tests/data/test_toyset.py", READER_TEST, "tests/data/test_NAME.py")
    assert "torchmultimodal_reid.data.datasets_page > docs/datasets.md" in copy.list
    assert "`test_registry.py`" in copy.list
    tests = ["tests/data/test_toyset.py", "tests/data/test_registry.py"]
    said = copy.run_with_tests(READS, [*tests, "-k", "toyset or page"], build_market())
    assert said.splitlines() == ["16", "supervised:toyset", "toyset-to-msmt17", "True"]
    page = (copy.root / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert "| `toyset` | [Toys](https://example.org) | real | 4 / 16 / 2 |" in page


BUILDER = '''

def mmet_toy(*, image_size: Tuple[int, int] = (32, 16), vocab_size: int = 50) -> MMET:
    """An MMET of no use."""
    return mmet(
        image_size=image_size,
        vocab_size=vocab_size,
        image_d_model=24,
        image_n_layer=1,
        image_n_head=2,
        text_d_model=24,
        text_n_layer=1,
        text_n_head=2,
        mm_d_model=24,
        mm_n_layer=1,
        mm_n_head=2,
        projection_dim=24,
    )
'''
BUILDS = """\
from examples.mmet.definitions import ModelConfig
from torchmultimodal_reid import mmet_for_reid, mmet_toy
from torchmultimodal_reid.models.saved import MMET_BUILDERS
assert MMET_BUILDERS["mmet_toy"] is mmet_toy
print(ModelConfig(builder="mmet_toy").builder)
print(mmet_for_reid(mmet_toy(), num_identities=3).neck.classifier.weight.shape)
from torchmultimodal_reid.models.saved_vtbr import VTBR_MODELS
print(VTBR_MODELS["vtbr_toy"].arguments)
"""


def test_a_model_variant(copy):
    copy = copy("A model variant")
    last = "        mmet_tiny,\n"
    copy.change(
        "torchmultimodal_reid/models/mmet.py",
        ("\n\ndef mmet_small(", BUILDER + "\n\ndef mmet_small("),
    )
    copy.change(
        "torchmultimodal_reid/models/saved.py",
        ("    mmet_tiny,\n)", "    mmet_tiny,\n    mmet_toy,\n)"),
        ("(mmet, mmet_tiny,", "(mmet, mmet_tiny, mmet_toy,"),
    )
    copy.change(
        "torchmultimodal_reid/__init__.py",
        (last, f"{last}        mmet_toy,\n"),
        ('    "mmet_tiny",\n', '    "mmet_tiny",\n    "mmet_toy",\n'),
        ('"mmet_small", "mmet_tiny")', '"mmet_small", "mmet_tiny", "mmet_toy")'),
        ("``mmet``, ``mmet_tiny``,", "``mmet``, ``mmet_tiny``, ``mmet_toy``,"),
    )
    copy.change(
        "torchmultimodal_reid/models/saved_vtbr.py",
        (
            '    "vtbr_r18": Ablation(',
            '    "vtbr_toy": Ablation(vtbr, {"n_layer": 1}),\n    "vtbr_r18": Ablation(',
        ),
    )
    tests = ["tests/test_surface.py", "-k", "mmet_toy or lists"]
    said = copy.run_with_tests(BUILDS, tests)
    assert said.splitlines() == ["mmet_toy", "torch.Size([3, 24])", "{'n_layer': 1}"]
    assert (ROOT / "tests/models/test_mmet_builders.py").is_file()


LOSS = '''\
from torch import nn, Tensor


class ToyLoss(nn.Module):
    """The mean of squares."""

    def forward(self, embedding: Tensor) -> Tensor:
        return embedding.square().sum() / max(embedding.numel(), 1)
'''
LOSS_TEST = """\
import torch
from torchmultimodal_reid.modules.losses.toy import ToyLoss


def test_mean_of_squares():
    assert ToyLoss()(torch.tensor([[1.0, 3.0]])).item() == 5
"""
LOSES = """\
import torch
from examples.mmet.definitions import FinetuneConfig
from examples.mmet.losses import ReIDLosses
from torchmultimodal_reid.data.collate import PersonBatch
from torchmultimodal_reid.models.mmet import mmet_for_reid, mmet_tiny
torch.manual_seed(0)
config = FinetuneConfig(output="runs/toy")
weights = {name: 0.0 for name in config.losses} | {"toy": 1.0}
losses = ReIDLosses(torch.nn.Identity(), weights, 0.1, 0.3, 0.1)
image, people = torch.zeros(2, 3, 256, 128), torch.arange(2)
batch = PersonBatch(image, None, None, people, people, people)
terms = losses(mmet_for_reid(mmet_tiny(), num_identities=2), batch, 0)
print(config.losses["toy"], list(terms), terms["toy"].item() > 0)
"""
ASKS = "from pathlib import Path; from upstream.layout import pull_request; print(pull_request(Path(), {!r}).parts)"


def test_a_loss(copy):
    copy = copy("A loss")
    file = "torchmultimodal_reid/modules/losses/{}.py"
    copy.add(file.format("toy"), LOSS, file.format("NAME"))
    file = "tests/modules/losses/test_{}.py"
    copy.add(file.format("toy"), LOSS_TEST, file.format("NAME"))
    copy.change(
        "examples/mmet/losses.py",
        (
            "from torchmultimodal_reid.modules.losses.triplet",
            "from torchmultimodal_reid.modules.losses.toy import ToyLoss\n"
            "from torchmultimodal_reid.modules.losses.triplet",
        ),
        (
            "        losses.update(self._mine(necks, batch.identity))\n",
            '        if self.weights["toy"] > 0:\n'
            '            losses["toy"] = ToyLoss()(necks["image"].embedding)\n'
            "        losses.update(self._mine(necks, batch.identity))\n",
        ),
    )
    copy.change(
        "examples/mmet/definitions.py",
        (
            '            "triplet_cross":',
            '            "toy": 0.0,\n            "triplet_cross":',
        ),
    )
    said = copy.run_with_tests(LOSES, ["tests/modules/losses/test_toy.py"])
    assert said == "0.0 ['toy'] True\n"
    assert "make upstream-check PART=modules/losses/NAME.py" in copy.list
    asked = copy.run("-c", ASKS.format("modules/losses/toy.py"))
    assert asked == "['torchmultimodal_reid/modules/losses/toy.py']\n"


PROTOCOL = """\
    EvaluationProtocol(
        "toy-to-image", 1, "text", camera_filter=False, note="For toys alone."
    ),
"""
ASKED = """\
import torch
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import evaluate_protocol, get_protocol
both = Features(torch.eye(2), torch.arange(2), torch.arange(2), torch.arange(2))
print(get_protocol("toy-to-image").note, evaluate_protocol(get_protocol("toy-to-image"), both, both).mAP)
"""


def test_a_protocol(copy):
    copy = copy("A protocol")
    copy.change(
        "torchmultimodal_reid/evaluation/protocols.py",
        ("_CATALOGUE = (\n", "_CATALOGUE = (\n" + PROTOCOL),
    )
    assert copy.run("-c", ASKED) == "For toys alone. 1.0\n"
    page = copy.run("-m", "torchmultimodal_reid.evaluation.protocols_page")
    assert "| `toy-to-image` | 1 |" in page
    command = "torchmultimodal_reid.evaluation.protocols_page > docs/protocols.md"
    assert command in copy.list


TRAINS = """\
from torchmultimodal_reid.evaluation.protocols_page import protocols_page
from torchmultimodal_reid.evaluation.training_protocols import get_training_protocol
protocol = get_training_protocol("toys:viper", ["viper"])
print(protocol.version, protocol.sources[0].dataset, protocol.targets)
print("| `toys:viper` | 1 | market1501 (train) | viper |" in protocols_page())
"""


def test_a_training_protocol(copy):
    copy = copy("A protocol")
    copy.change(
        "torchmultimodal_reid/evaluation/training_protocols.py",
        ('    "supervised:A",\n', '    "supervised:A",\n    "toys:A",\n'),
        (
            '    form, colon, target = name.partition(":")\n',
            '    form, colon, target = name.partition(":")\n'
            '    if form == "toys":\n'
            '        return TrainingProtocol(name, 1, (Source("market1501"),), (target,))\n',
        ),
    )
    copy.change(
        "torchmultimodal_reid/evaluation/protocols_page.py",
        ('    names += ["P1", "P1-duke"]\n', '    names += ["P1", "toys:viper"]\n'),
    )
    assert copy.run("-c", TRAINS) == "1 market1501 ('viper',)\nTrue\n"


@pytest.mark.parametrize(
    "title", ["A data set", "A model variant", "A loss", "A protocol"]
)
def test_the_files_of_a_list_exist(title):
    files = re.findall(
        r"`((?:torchmultimodal_reid|examples|tests)/[\w/]+\.py)`", checklist(title)
    )
    assert len(files) >= 2
    there = [file for file in files if "NAME" not in file]
    assert [file for file in there if not (ROOT / file).is_file()] == []
