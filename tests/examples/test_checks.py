# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from dataclasses import dataclass, field
from typing import Dict

import pytest
from examples.common.checks import (
    check_choice,
    check_range,
    check_shares,
    check_weights,
)


@dataclass
class Config:
    losses: Dict[str, float] = field(default_factory=lambda: {"mim": 1.0, "mlm": 1.0})


@pytest.mark.parametrize("value", [1, 2.5, 4])
def test_range_holds_its_ends(value):
    check_range("steps", value, 1, 4)


def test_range():
    with pytest.raises(ValueError, match="^steps must be >= 1, got 0$"):
        check_range("steps", 0, 1)
    with pytest.raises(ValueError, match="^share must be from 0 to 1, got 1.5$"):
        check_range("share", 1.5, 0, 1)
    with pytest.raises(ValueError, match="got nan"):
        check_range("share", float("nan"), 0, 1)


def test_choice_names_the_nearest():
    check_choice("overflow", "error", ("truncate", "error"))
    expected = "overflow must be one of truncate, error, got 'trunkate'. Did you mean truncate?"
    with pytest.raises(ValueError, match=expected):
        check_choice("overflow", "trunkate", ("truncate", "error"))


class TestShares:
    @pytest.mark.parametrize("world_size, parts", [(1, 1), (1, 12), (3, 2), (12, 1)])
    def test_divide(self, world_size, parts):
        check_shares("batch_size", 12, world_size, parts)

    def test_processes_do_not(self):
        expected = "^batch_size is 12, which 5 processes do not divide; take a multiple of 5, or another number"
        with pytest.raises(ValueError, match=expected):
            check_shares("batch_size", 12, 5, 1)

    @pytest.mark.parametrize(
        "world_size, parts, expected",
        [
            (1, 8, "12: that does not divide into 8 parts. .* 1, 2, 3, 4, 6, 12, or"),
            (2, 4, "12, of which each of 2 processes has 6: that .* 1, 2, 3, 6, or"),
            (6, 4, "12, of which each of 6 processes has 2: that .* 1, 2, or"),
        ],
    )
    def test_parts_do_not(self, world_size, parts, expected):
        start = rf"^loop.accumulate is {parts}, but batch_size is "
        with pytest.raises(ValueError, match=f"{start}{expected} another batch_size$"):
            check_shares("batch_size", 12, world_size, parts)


class TestWeights:
    def test_some_may_be_0(self):
        check_weights(Config({"mim": 0.0, "mlm": 0.5}), "losses")

    @pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
    def test_must_be_numbers(self, weight):
        with pytest.raises(ValueError, match="losses.mim must be a weight >= 0"):
            check_weights(Config({"mim": weight, "mlm": 1.0}), "losses")

    def test_unknown(self):
        expected = "unknown key losses.mlmm. Did you mean losses.mlm. Known: mim, mlm"
        with pytest.raises(ValueError, match=expected):
            check_weights(Config({"mim": 1.0, "mlm": 1.0, "mlmm": 1.0}), "losses")

    def test_all_0(self):
        with pytest.raises(ValueError, match="every weight of losses is 0"):
            check_weights(Config({"mim": 0.0, "mlm": 0.0}), "losses")
