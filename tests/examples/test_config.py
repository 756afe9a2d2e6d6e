# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Literal, Optional, Tuple

import pytest
from examples.common.config import (
    CommandLine,
    ConfigError,
    load_config,
    save_config,
    to_plain,
)


@dataclass
class Data:
    root: str  # folder of the data set
    # height and width,
    # in pixels
    image_size: Tuple[int, int] = (256, 128)
    captions: Optional[Path] = None
    kind: Literal["market", "duke"] = "market"


@dataclass
class Optimizer:
    lr: float = 1e-3
    name: str = field(default="adamw", metadata={"help": "which optimizer"})
    milestones: List[int] = field(default_factory=list)


@dataclass
class Config:
    data: Data
    optimizer: Optimizer = field(default_factory=Optimizer)
    losses: Dict[str, float] = field(default_factory=lambda: {"mim": 1.0, "mlm": 1.0})
    steps: int = 10
    compile: bool = False

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")


@pytest.fixture
def load(tmp_path):
    def load(text, *arguments):
        file = tmp_path / "c.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(Config, ["--config", str(file), *arguments])

    return load


class TestValues:
    def test_file_then_arguments(self, load, tmp_path):
        config, command = load(
            "data:\n  root: a\n  image_size: [64, 32]\nsteps: 5\n", "steps=7"
        )
        assert config == Config(Data("a", (64, 32)), steps=7)
        assert isinstance(config.data, Data)
        assert isinstance(config.data.image_size, tuple)
        assert command == CommandLine(tmp_path / "c.yaml", None, ("steps=7",))

    def test_without_a_file(self):
        config, command = load_config(Config, ["data.root=a"])
        assert config == Config(Data("a"))
        assert command.config_path is None

    def test_defaults_are_not_shared(self):
        first, _ = load_config(Config, ["data.root=a"])
        first.losses["mim"] = 9.0
        assert load_config(Config, ["data.root=a"])[0].losses["mim"] == 1.0

    @pytest.mark.parametrize("text", ["1e-4", "0.0001", "1.0e-4"])
    def test_each_way_to_write_a_number(self, load, text):
        config, _ = load(f"data: {{root: a}}\noptimizer: {{lr: {text}}}\n")
        assert config.optimizer.lr == 1e-4
        config, _ = load("data: {root: a}\n", f"optimizer.lr={text}")
        assert config.optimizer.lr == 1e-4

    @pytest.mark.parametrize("text", ["0002", "1e-3", "true", "a=b", "a b"])
    def test_text_stays_as_written(self, text):
        assert load_config(Config, [f"data.root={text}"])[0].data.root == text

    def test_empty_text_and_null(self):
        config, _ = load_config(Config, ["data.root=", "data.captions=null"])
        assert config.data.root == "" and config.data.captions is None

    def test_mappings_merge_and_grow(self, load):
        config, _ = load("data: {root: a}\nlosses: {mlm: 0.5}\n", "losses.itm=2")
        assert config.losses == {"mim": 1.0, "mlm": 0.5, "itm": 2.0}

    def test_lists_and_paths_and_references(self, load):
        config, _ = load(
            "data: {root: a, captions: b/c.json}\noptimizer: {milestones: [1, 2]}\n",
            "optimizer.name=${data.root}x",
        )
        assert config.optimizer.milestones == [1, 2]
        assert config.data.captions == Path("b/c.json")
        assert config.optimizer.name == "ax"

    def test_options_between_arguments(self, tmp_path):
        file = tmp_path / "c.yaml"
        file.write_text("steps: 5\n")
        arguments = ["data.root=a", "--config", str(file), "compile=true"]
        config, _ = load_config(Config, arguments)
        assert config == Config(Data("a"), steps=5, compile=True)


class TestSave:
    def test_reads_back_equal(self, tmp_path):
        config = Config(
            Data("0002", (3, 4), Path("x")),
            Optimizer(1e-5, "1e-3", [1]),
            {"mim": 0.0, "mlm": 1 / 3, "é": 0.1},
        )
        save_config(config, tmp_path / "config.yaml")
        read, _ = load_config(Config, ["--config", str(tmp_path / "config.yaml")])
        assert read == config

    def test_resume_reads_the_runs_own(self, tmp_path):
        save_config(Config(Data("a"), steps=42), tmp_path / "config.yaml")
        config, command = load_config(Config, ["--resume", str(tmp_path)])
        assert config.steps == 42
        assert command == CommandLine(tmp_path / "config.yaml", tmp_path, ())

    def test_plain(self):
        plain = to_plain(Config(Data("a", captions=Path("b"))))
        assert plain["data"] == {
            "root": "a",
            "image_size": [256, 128],
            "captions": "b",
            "kind": "market",
        }


class TestErrors:
    def check(self, load, text, message, *arguments):
        with pytest.raises(ConfigError) as error:
            load(text, *arguments)
        assert message in str(error.value)

    def test_unknown_key_in_a_file(self, load):
        self.check(
            load,
            "steps: 1\ndata:\n  imagesize: 3\n",
            "c.yaml:3: unknown key data.imagesize. Did you mean data.image_size?",
        )

    def test_unknown_key_as_an_argument(self, load):
        self.check(
            load,
            "",
            "argument 'optimizer.le=1': unknown key optimizer.le. Did you mean optimizer.lr?",
            "optimizer.le=1",
        )

    def test_unknown_key_like_no_other_lists_them(self, load):
        self.check(load, "xyzzy: 1\n", "Known: data, optimizer, losses, steps, compile")

    @pytest.mark.parametrize(
        "text, message",
        [
            ("steps: ten", "c.yaml:1: steps = 'ten' does not fit its type int"),
            ("steps: 1.5", "steps = '1.5' does not fit its type int"),
            ("\n\nsteps: null", "c.yaml:3: steps = 'null' does not fit its type int"),
            ("compile: 7x", "compile = '7x' does not fit its type bool"),
            (
                "data: {image_size: [1, 2, 3]}",
                "[1, 2, 3] does not fit its type Tuple[int, int]",
            ),
            ("data: {image_size: 128}", "image_size = '128' does not fit"),
            ("data: {captions: [a]}", "does not fit its type Path"),
            (
                "data: {kind: msmt}",
                "kind = 'msmt' does not fit its type Literal['market', 'duke']",
            ),
            ("data: 3", "data = '3' does not fit its type Data"),
            ("losses: {mim: high}", "losses.mim = 'high' does not fit its type float"),
            ("losses: {mim: {a: 1}}", "losses.mim = {'a': 1} does not fit"),
            ("optimizer: {milestones: [a]}", "does not fit its type List[int]"),
        ],
    )
    def test_wrong_type(self, load, text, message):
        self.check(load, text, message)

    def test_given_twice(self, load):
        self.check(
            load,
            "steps: 1\ncompile: true\nsteps: 2\n",
            "c.yaml:3: steps is given a second time, after line 1",
        )

    @pytest.mark.parametrize(
        "text", ["steps: [", "a: b: c", "\t- x", "x: !!python/none"]
    )
    def test_not_yaml(self, load, text):
        with pytest.raises(ConfigError, match="c.yaml"):
            load(text)

    @pytest.mark.parametrize("text", ["- a\n", "hello\n"])
    def test_not_a_mapping(self, load, text):
        self.check(load, text, "c.yaml:1: expected lines of 'key: value', got")

    def test_key_that_is_no_name(self, load):
        self.check(load, "? [a]\n: 1\n", "c.yaml:1: expected a name before ':'")

    def test_missing(self, load):
        self.check(
            load,
            "steps: 1\n",
            "c.yaml or as an argument: data.root=VALUE",
        )

    def test_reference_to_nothing(self, load):
        self.check(
            load, "data: {root: '${nope}'}\n", "data.root: Interpolation key 'nope'"
        )

    @pytest.mark.parametrize("argument", ["steps", "=3"])
    def test_argument_that_is_no_assignment(self, load, argument):
        self.check(load, "", f"argument '{argument}': expected key=value", argument)

    def test_missing_file(self):
        with pytest.raises(ConfigError, match="at nowhere.yaml, but there is no such"):
            load_config(Config, ["--config", "nowhere.yaml"])

    def test_check_of_the_schema_itself(self):
        with pytest.raises(ValueError, match="steps must be >= 1, got 0"):
            load_config(Config, ["data.root=a", "steps=0"])


def test_help_names_each_key_with_type_default_and_comment(capsys):
    with pytest.raises(SystemExit) as stop:
        load_config(Config, ["--help"], prog="python -m examples.x")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    lines = {line.split(":")[0].strip(): line for line in text.split("\n")}
    assert "usage: python -m examples.x" in text
    assert "str (must be given)" in lines["data.root"]
    assert "folder of the data set" in lines["data.root"]
    assert "Tuple[int, int] = (256, 128)" in lines["data.image_size"]
    assert "height and width, in pixels" in lines["data.image_size"]
    assert "Optional[Path] = None" in lines["data.captions"]
    assert "str = adamw" in lines["optimizer.name"]
    assert "which optimizer" in lines["optimizer.name"]
    assert "List[int] = []" in lines["optimizer.milestones"]
