# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from types import SimpleNamespace

import pytest
import torch
from examples.common import distributed
from examples.common.distributed import gather_batch_norms, GatheredBatchNorm
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(4),
    )


def several(device):
    return SimpleNamespace(num_processes=2, device=torch.device(device))


class TestBatchNormsOfSeveralProcesses:
    @pytest.mark.parametrize("process", [0, 1])
    def test_statistics_are_those_of_the_whole_batch(self, process, monkeypatch):
        whole = torch.linspace(-1, 3, 4 * 2 * 5 * 3).sin().reshape(4, 2, 5, 3)
        alone = nn.BatchNorm2d(2)
        gathered = GatheredBatchNorm(nn.BatchNorm2d(2))
        # what the processes together would send
        monkeypatch.setattr(distributed, "gather", lambda own: whole)
        state = SimpleNamespace(process_index=process)
        monkeypatch.setattr(distributed, "PartialState", lambda: state)
        share = slice(2 * process, 2 * process + 2)
        torch.testing.assert_close(gathered(whole[share]), alone(whole)[share])
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(gathered.state_dict()[name], value)
        # a model in use sees its own rows alone
        torch.testing.assert_close(
            gathered.eval()(whole[share]), alone.eval()(whole[share])
        )

    def test_weights_and_names_stay(self):
        model = build()
        before = dict(model.state_dict())
        parameters = dict(model.named_parameters())
        gather_batch_norms(model, several("cpu"))
        assert isinstance(model[1], GatheredBatchNorm)
        assert isinstance(model[4], GatheredBatchNorm)
        assert list(model.state_dict()) == list(before)
        for name, parameter in model.named_parameters():
            assert parameter is parameters[name]
        # what is loaded or moved later, the norm uses
        model[1].load_state_dict(
            {name: value + 1 for name, value in model[1].state_dict().items()}
        )
        model.double().eval()
        image = torch.ones(1, 3, 4, 4, dtype=torch.double)
        expected = build().double().eval()
        expected.load_state_dict(model.state_dict())
        torch.testing.assert_close(model(image), expected(image))

    def test_feature_maps_on_a_gpu_are_left_to_torch(self):
        model = gather_batch_norms(build(), several("cuda"))
        assert isinstance(model[1], nn.SyncBatchNorm)
        assert isinstance(model[4], GatheredBatchNorm)
        assert list(model.state_dict()) == list(build().state_dict())

    def test_one_process_keeps_its_own(self):
        model = build()
        one = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
        assert type(gather_batch_norms(model, one)[1]) is nn.BatchNorm2d
