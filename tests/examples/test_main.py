# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
from examples.common.main import run_main, TRACEBACK_VARIABLE


def fail_with(error):
    def main():
        raise error

    return main


def test_mistake_of_the_user_is_one_line(capsys, monkeypatch):
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as stop:
        run_main(fail_with(ValueError("c.yaml:3: unknown key")))
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: c.yaml:3: unknown key\n"


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(ValueError, match="unknown key"):
        run_main(fail_with(ValueError("unknown key")))


def test_bugs_keep_their_traceback():
    with pytest.raises(KeyError):
        run_main(fail_with(KeyError("x")))


def test_interrupted(capsys):
    with pytest.raises(SystemExit) as stop:
        run_main(fail_with(KeyboardInterrupt()))
    assert stop.value.code == 130
    assert capsys.readouterr().err == "stopped\n"
