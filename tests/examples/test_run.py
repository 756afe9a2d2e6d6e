# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from dataclasses import dataclass

import pytest
from examples.common.config import load_config
from examples.common.run import check_run, prepare_run, RUN_FILE


@dataclass
class Config:
    steps: int = 10
    name: str = "a"


def sessions(directory):
    return json.loads((directory / RUN_FILE).read_text())["sessions"]


def test_notes_configuration_command_seed_and_versions(tmp_path):
    directory = prepare_run(tmp_path / "runs" / "x", Config(steps=3), seed=7)
    assert directory == tmp_path / "runs" / "x"
    read, _ = load_config(Config, ["--config", str(directory / "config.yaml")])
    assert read == Config(steps=3)
    (session,) = sessions(directory)
    assert session["seed"] == 7 and session["resumed"] is False
    assert "torch" in session["environment"]["versions"]
    assert session["command"] and session["started"].endswith("+00:00")


def test_an_empty_folder_is_taken(tmp_path):
    prepare_run(tmp_path, Config(), seed=0)
    assert (tmp_path / "config.yaml").is_file()


def test_does_not_overwrite(tmp_path):
    (tmp_path / "precious").write_text("x")
    expected = f"{tmp_path} is there already. Go on with it by --resume {tmp_path}"
    with pytest.raises(ValueError, match=expected):
        prepare_run(tmp_path, Config(), seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(ValueError, match="is there already"):
        prepare_run(tmp_path / "x", Config(), seed=0)


def test_resume_adds_a_session(tmp_path, capsys):
    prepare_run(tmp_path, Config(), seed=1)
    prepare_run(tmp_path, Config(), seed=1, resume=True)
    assert [session["resumed"] for session in sessions(tmp_path)] == [False, True]
    assert capsys.readouterr().err == ""


def test_resume_with_another_configuration_is_said_and_noted(tmp_path, capsys):
    prepare_run(tmp_path, Config(), seed=1)
    prepare_run(tmp_path, Config(steps=20), seed=1, resume=True)
    assert (
        "another configuration than before: steps 10 -> 20" in capsys.readouterr().err
    )
    assert sessions(tmp_path)[1]["changed"] == ["steps 10 -> 20"]
    read, _ = load_config(Config, ["--resume", str(tmp_path)])
    assert read.steps == 20


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="expected a run to resume in .*no run.json"):
        prepare_run(tmp_path, Config(), seed=1, resume=True)


def test_other_processes_write_nothing(tmp_path):
    assert (
        prepare_run(tmp_path / "x", Config(), seed=1, is_main=False) == tmp_path / "x"
    )
    assert not (tmp_path / "x").exists()


class TestCheckRun:
    def test_a_configuration_of_the_users_own(self, tmp_path):
        (tmp_path / "config.yaml").write_text("steps: 3 # precious\n")
        with pytest.raises(ValueError, match="is there already"):
            check_run(tmp_path)

    def test_writes_nothing(self, tmp_path):
        assert check_run(tmp_path / "x") == tmp_path / "x"
        assert not (tmp_path / "x").exists()

    def test_says_what_prepare_run_would(self, tmp_path):
        prepare_run(tmp_path, Config(), seed=0)
        with pytest.raises(ValueError, match="is there already"):
            check_run(tmp_path)
        assert check_run(tmp_path, resume=True) == tmp_path

    def test_process_that_was_killed_while_it_made_the_folder(self, tmp_path):
        (tmp_path / ".config.yaml.writing").write_text("ste")
        assert check_run(tmp_path) == tmp_path
        (tmp_path / ".config.yaml.writing").rename(tmp_path / "config.yaml")
        (tmp_path / ".run.json.writing").write_text("{")
        assert check_run(tmp_path, resume=True) == tmp_path
        prepare_run(tmp_path, Config(steps=3), seed=0, resume=True)
        assert len(sessions(tmp_path)) == 1

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match="cannot be made: Not a directory"):
            prepare_run(tmp_path / "file" / "run", Config(), seed=0)
