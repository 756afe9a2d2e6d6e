# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchmultimodal_reid.utils.errors import CheckpointError
from torchmultimodal_reid.utils.state_dict import load_state_dict, read_state_dict


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(3, 2)
        self.output = nn.Linear(2, 3)
        self.output.weight = self.words.weight


@pytest.fixture
def module():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


@pytest.fixture
def state(module):
    return {key: torch.ones_like(value) for key, value in module.state_dict().items()}


class TestLoad:
    def test_everything(self, module, state):
        report = load_state_dict(module, state)
        assert report == (tuple(sorted(state)), (), ())
        assert all((value == 1).all() for value in module.state_dict().values())
        assert str(report) == "7 tensors loaded"

    def test_missing_unexpected_and_shapes_in_one_message(self, module, state):
        state["0.weight"] = torch.ones(5, 2)
        state["head.weight"] = state.pop("1.weight")
        state.pop("0.bias")
        with pytest.raises(CheckpointError) as error:
            load_state_dict(module, state, source="m.pth")
        message = str(error.value)
        assert message.startswith("m.pth does not fit Sequential: ")
        assert "2 missing: 0.bias, 1.weight" in message
        assert "1 unexpected: head.weight" in message
        assert (
            "1 of another shape: 0.weight has shape (5, 2), expected (3, 2)" in message
        )
        # nothing was loaded by halves
        assert module[0].weight.eq(0).all() and module[1].bias.eq(0).all()

    def test_long_lists_are_cut(self, state):
        many = nn.Sequential(*[nn.Linear(1, 1) for _ in range(10)])
        with pytest.raises(CheckpointError, match="19 missing: .* and 11 more"):
            load_state_dict(many, {"0.bias": torch.ones(1)})

    def test_nothing_fits(self, module):
        with pytest.raises(
            CheckpointError, match="none of the 1 tensors of x fits Sequential"
        ):
            load_state_dict(
                module, {"a": torch.ones(1)}, source="x", allowed_missing=["*"]
            )
        with pytest.raises(CheckpointError, match="none of the 0 tensors"):
            load_state_dict(module, {}, allowed_missing=["*"])

    def test_ignored_source_keys(self, module, state):
        state["head.weight"] = torch.ones(1)
        report = load_state_dict(module, state, ignored=["head.*"])
        assert report.ignored == ("head.weight",)
        assert "1 ignored (head.weight)" in str(report)

    def test_ignored_key_with_a_place_counts_as_missing(self, module, state):
        with pytest.raises(CheckpointError, match="1 missing: 0.bias"):
            load_state_dict(module, state, ignored=["0.bias"])

    def test_allowed_missing_keeps_its_values(self, module, state):
        del state["0.weight"]
        report = load_state_dict(module, state, allowed_missing=["0.*"])
        assert report.missing == ("0.weight",)
        assert module[0].weight.eq(0).all() and module[0].bias.eq(1).all()

    def test_allowed_missing_does_not_excuse_a_wrong_shape(self, module, state):
        state["0.weight"] = torch.ones(5, 2)
        with pytest.raises(CheckpointError, match="of another shape"):
            load_state_dict(module, state, allowed_missing=["*"])

    def test_key_map_sees_what_was_not_ignored(self, module, state):
        source = {f"old.{key}": value for key, value in state.items()}
        source["old.head"] = torch.ones(1)

        def key_map(given):
            assert "old.head" not in given
            return {key[len("old.") :]: value for key, value in given.items()}

        report = load_state_dict(module, source, key_map=key_map, ignored=["*.head"])
        assert len(report.loaded) == 7

    def test_kind_of_number(self, module, state):
        state["1.num_batches_tracked"] = torch.tensor(1.0)
        with pytest.raises(
            CheckpointError, match="dtype torch.float32, expected torch.int64"
        ):
            load_state_dict(module, state)

    def test_half_precision_is_widened(self, module, state):
        load_state_dict(
            module, {k: v.half() if v.ndim else v for k, v in state.items()}
        )
        assert module[0].weight.dtype == torch.float32

    @pytest.mark.parametrize("name", ["words.weight", "output.weight"])
    def test_tied_weight_stored_under_one_name(self, name):
        module = Tied()
        state = {name: torch.full((3, 2), 7.0), "output.bias": torch.ones(3)}
        report = load_state_dict(module, state)
        assert report.loaded == ("output.bias", "output.weight", "words.weight")
        assert module.words.weight.eq(7).all()
        assert module.output.weight is module.words.weight


class TestRead:
    def test_safetensors_and_pth(self, tmp_path, state):
        save_file(state, tmp_path / "a.safetensors")
        torch.save(state, tmp_path / "a.pth")
        for name in ("a.safetensors", "a.pth"):
            read = read_state_dict(tmp_path / name)
            assert sorted(read) == sorted(state)
            assert all(torch.equal(read[key], state[key]) for key in state)

    def test_nested(self, tmp_path, state):
        torch.save({"epoch": 3, "model": state}, tmp_path / "a.pth")
        assert sorted(read_state_dict(tmp_path / "a.pth", key="model")) == sorted(state)
        expected = "holds entries 'epoch' .int., 'model' .dict., expected tensors"
        with pytest.raises(CheckpointError, match=expected):
            read_state_dict(tmp_path / "a.pth")
        with pytest.raises(CheckpointError, match="no entry 'ema', it has entries"):
            read_state_dict(tmp_path / "a.pth", key="ema")

    def test_code_in_a_pickle_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "ran"), "w"))

        torch.save({"x": Evil()}, tmp_path / "a.pth")
        with pytest.raises(CheckpointError, match="pickled objects, which are refused"):
            read_state_dict(tmp_path / "a.pth")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_cut_short(self, tmp_path, state, name, share):
        file = tmp_path / name
        if name.endswith("pth"):
            torch.save(state, file)
        else:
            save_file(state, file)
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * share)])
        expected = rf"{name} \({int(len(data) * share)} bytes\) cannot be read"
        with pytest.raises(CheckpointError, match=expected):
            read_state_dict(file)

    def test_missing_and_unknown(self, tmp_path):
        with pytest.raises(CheckpointError, match="x.pth, but there is none"):
            read_state_dict(tmp_path / "x.pth")
        (tmp_path / "x.npz").write_bytes(b"")
        with pytest.raises(CheckpointError, match="unknown kind '.npz'"):
            read_state_dict(tmp_path / "x.npz")
