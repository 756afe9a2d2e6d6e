# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.key_maps import (
    FLAVA_IGNORED,
    flava_to_mmet,
    resize_positions,
)
from torchmultimodal_reid.utils.state_dict import load_state_dict

LAYER = "image_encoder.encoder.layer.0.attention"


class TestFlava:
    @pytest.mark.parametrize(
        "theirs, ours",
        [
            ("image_encoder.layernorm.weight", "image_encoder.norm.weight"),
            ("text_encoder.layernorm.bias", "text_encoder.norm.bias"),
            ("mm_encoder.layernorm.bias", "mm_encoder.norm.bias"),
            (
                "image_encoder.embeddings.patch_embeddings.projection.weight",
                "image_encoder.embeddings.conv_projection.weight",
            ),
            (f"{LAYER}.output.bias", f"{LAYER}.output_proj.bias"),
            ("image_to_mm_projection.weight", "image_to_mm.weight"),
            ("text_to_mm_projection.bias", "text_to_mm.bias"),
            # these are the same in both
            ("image_encoder.embeddings.cls_token",) * 2,
            ("mm_encoder.cls_token",) * 2,
            ("text_encoder.embeddings.layer_norm.weight",) * 2,
            ("text_encoder.encoder.layer.1.feedforward.model.0.weight",) * 2,
            ("text_encoder.encoder.layer.1.feedforward_layernorm.weight",) * 2,
            ("text_projection.weight",) * 2,
            ("text_encoder.pooler.dense.weight",) * 2,
        ],
    )
    def test_names(self, theirs, ours):
        tensor = torch.ones(1)
        mapped = flava_to_mmet({theirs: tensor})
        assert list(mapped) == [ours] and mapped[ours] is tensor

    def test_query_key_and_value_become_one(self):
        state = {}
        for value, part in enumerate(("key", "query", "value")):
            state[f"{LAYER}.{part}.weight"] = torch.full((2, 2), float(value))
            state[f"{LAYER}.{part}.bias"] = torch.full((2,), float(value))
        mapped = flava_to_mmet(state)
        assert set(mapped) == {
            f"{LAYER}.input_proj.{name}" for name in ("weight", "bias")
        }
        assert mapped[f"{LAYER}.input_proj.bias"].tolist() == [1, 1, 0, 0, 2, 2]
        assert mapped[f"{LAYER}.input_proj.weight"][:, 0].tolist() == [1, 1, 0, 0, 2, 2]

    @pytest.mark.parametrize("lost", ["query", "key", "value"])
    def test_a_projection_that_is_not_there_is_reported(self, lost):
        module = nn.ModuleDict({"a": nn.Module()})
        module["a"].attention = nn.ModuleDict(
            {"input_proj": nn.Linear(2, 6, bias=False)}
        )
        module["rest"] = nn.Linear(1, 1)
        state = {
            f"rest.{name}": value for name, value in module["rest"].state_dict().items()
        }
        for part in {"query", "key", "value"} - {lost}:
            state[f"a.attention.{part}.weight"] = torch.ones(2, 2)
        with pytest.raises(
            CheckpointError, match="missing: a.attention.input_proj"
        ) as error:
            load_state_dict(module, state, key_map=flava_to_mmet)
        assert "2 unexpected: a.attention." in str(error.value)

    def test_poolers_can_be_left_out_by_name(self):
        module = nn.ModuleDict({"mm_encoder": nn.Module()})
        module["mm_encoder"].cls_token = nn.Parameter(torch.zeros(1))
        state = {
            "mm_encoder.cls_token": torch.ones(1),
            "mm_encoder.pooler.dense.weight": torch.ones(1),
        }
        report = load_state_dict(
            module, state, key_map=flava_to_mmet, ignored=FLAVA_IGNORED
        )
        assert report.ignored == ("mm_encoder.pooler.dense.weight",)
        assert module["mm_encoder"].cls_token == 1


def positions_of(values):
    """Position embeddings of width 1: the class token's is 100, the patches' are ``values``."""
    return torch.cat([torch.tensor([100.0]), values.flatten()]).view(1, -1, 1)


class TestResizePositions:
    def test_the_same_grid(self):
        positions = positions_of(torch.arange(4.0))
        assert resize_positions(positions, (2, 2)) is positions

    def test_rows_stay_rows(self):
        # each patch is at its row; twice as many rows, half as many columns
        rows = torch.arange(4.0).view(4, 1).expand(4, 4)
        resized = resize_positions(positions_of(rows), (8, 2))
        assert resized.shape == (1, 1 + 16, 1) and resized[0, 0] == 100
        patches = resized[0, 1:, 0].view(8, 2)
        torch.testing.assert_close(patches[:, 0], patches[:, 1])
        assert (patches[:, 0].diff() > 0).all()
        torch.testing.assert_close(patches.mean(), torch.tensor(1.5))

    def test_columns_stay_columns(self):
        columns = torch.arange(4.0).expand(4, 4)
        patches = resize_positions(positions_of(columns), (2, 8))[0, 1:, 0].view(2, 8)
        torch.testing.assert_close(patches[0], patches[1])
        assert (patches[0].diff() > 0).all()

    def test_a_constant_stays(self):
        resized = resize_positions(positions_of(torch.full((14, 14), 3.0)), (16, 8))
        torch.testing.assert_close(resized[0, 1:], torch.full((128, 1), 3.0))

    def test_each_channel_on_its_own(self):
        first, second = torch.arange(9.0), torch.arange(9.0).flip(0)
        both = torch.cat([positions_of(first), positions_of(second)], dim=2)
        resized = resize_positions(both, (5, 2))
        for channel, values in enumerate((first, second)):
            alone = resize_positions(positions_of(values), (5, 2))
            torch.testing.assert_close(resized[:, :, channel : channel + 1], alone)

    def test_from_a_rectangle(self):
        positions = positions_of(torch.arange(8.0))
        assert resize_positions(positions, (4, 2), source_grid=(4, 2)) is positions
        resized = resize_positions(positions, (2, 2), source_grid=(4, 2))
        assert resized.shape == (1, 5, 1)

    def test_positions_that_fill_no_square(self):
        with pytest.raises(
            ValueError, match="8 positions .* grid of 2x2; .*source_grid"
        ):
            resize_positions(positions_of(torch.arange(8.0)), (4, 2))
        with pytest.raises(ValueError, match="9 positions do not fill a grid of 4x2"):
            resize_positions(positions_of(torch.arange(9.0)), (3, 3), (4, 2))
