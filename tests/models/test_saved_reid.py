# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.models.saved_reid import (
    build_reid,
    load_reid,
    ReIDDescription,
)
from torchmultimodal_reid.utils.checkpoint import write_checkpoint
from torchmultimodal_reid.utils.errors import CheckpointError


@pytest.fixture(scope="module")
def description():
    return ReIDDescription(
        backbone="mobilenet_v3_small",
        pooling="gem",
        last_stride=1,
        num_identities=3,
        image_size=(32, 16),
        mean=(0.5, 0.25, 0.125),
        std=(1.0, 0.5, 0.25),
    )


@pytest.fixture(scope="module")
def model(description):
    torch.manual_seed(0)
    return build_reid(description).eval()


@pytest.fixture
def write(tmp_path, model, description):
    def write(metadata=None, **more):
        metadata = {"model": description._asdict()} if metadata is None else metadata
        tensors = {"model": {**model.state_dict(), **more}}
        return write_checkpoint(tmp_path / "checkpoint", tensors, metadata)

    return write


def test_comes_back_ready_to_search(write, model, description):
    loaded = load_reid(write())
    assert loaded.description == description and not loaded.model.training
    image = torch.randn(2, 3, 32, 16)
    assert torch.equal(loaded.model.embed(image), model.embed(image))


def test_needs_nothing_of_the_training(write):
    load_reid(write(**{"center_loss.centers": torch.zeros(3, 576)}))


def test_strict_about_the_rest(write):
    with pytest.raises(CheckpointError, match="1 unexpected: extra"):
        load_reid(write(extra=torch.zeros(1)))


@pytest.mark.parametrize(
    "metadata, builder",
    [({"model": {"builder": "mmet_tiny", "arguments": {}}}, "mmet_tiny"), ({}, "unkn")],
)
def test_another_model(write, metadata, builder):
    with pytest.raises(
        CheckpointError, match=rf"no re-ident.*\(its model is {builder}"
    ):
        load_reid(write(metadata))


def test_cut_short(write):
    path = write()
    with open(path / "model.safetensors", "r+b") as file:
        file.truncate(100)
    with pytest.raises(CheckpointError, match="has 100 bytes"):
        load_reid(path)
