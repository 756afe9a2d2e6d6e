# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What can be said of shared-out weights with one process; ``test_several_processes.py`` has several."""

import pytest
import torch
from accelerate.utils import DistributedType
from examples.common import sharding
from examples.common.distributed import check_engine
from examples.common.sharding import check_sharding, shard_model, whole_weights
from torch import nn


class Processes:
    """What is asked of an accelerator."""

    def __init__(self, precision="no", kind=DistributedType.NO):
        self.mixed_precision = precision
        self.distributed_type = kind
        self.num_processes = 1


needs_fsdp2 = pytest.mark.skipif(
    not sharding.IS_AVAILABLE, reason="torch has FSDP2 from 2.6 on"
)


@needs_fsdp2
def test_one_process_keeps_everything():
    model = nn.Linear(2, 3)
    weight = model.weight
    assert shard_model(model, Processes()) is model
    assert model.weight is weight and not sharding.is_sharded(model)
    with whole_weights(model):
        assert model.weight is weight


@needs_fsdp2
def test_half_precision_with_a_scale():
    with pytest.raises(ValueError, match="not in fp16: take precision=bf16"):
        check_sharding(Processes("fp16"))


def test_older_torch(monkeypatch):
    monkeypatch.setattr(sharding, "IS_AVAILABLE", False)
    monkeypatch.setattr(torch, "__version__", "2.3.1")
    message = "loop.shard needs torch 2.6 or newer, this is 2.3.1; leave it out"
    with pytest.raises(ValueError, match=message):
        check_sharding(Processes())


def test_layers_that_are_entered_elsewhere_stay_with_the_model():
    class Cached(nn.Linear):
        def project(self, memory):
            return self(memory)

    plain, cached = nn.Linear(2, 2), Cached(2, 2)
    shared = nn.ModuleList([plain])
    model = nn.ModuleDict({"a": nn.ModuleList([plain, cached]), "b": shared})
    assert sharding._layers(model) == [plain]


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_engines_that_wrap_the_model_themselves(kind):
    message = f"accelerate was told to use {kind.value}.*loop.shard=true"
    with pytest.raises(ValueError, match=message):
        check_engine(Processes(kind=kind))
    check_engine(Processes(kind=DistributedType.MULTI_GPU))
