# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The ways to embed that are timed give the same embeddings, and the figures are what the benchmark says."""

import pytest
import torch
from benchmarks import embedding, embedding_contenders
from benchmarks.embedding import measure, show
from benchmarks.embedding_contenders import (
    CaptionWriter,
    check_same,
    Job,
    mmet_jobs,
    MODELS,
    WAYS,
    ways_of,
)
from torch import nn
from torchmultimodal_reid.models.mmet import mmet
from torchmultimodal_reid.models.vtbr import vtbr

CPU = torch.device("cpu")


@pytest.fixture
def jobs():
    """Images and captions of a very small MMET."""
    torch.manual_seed(0)
    sizes = {"projection_dim": 8, "max_text_length": 6, "vocab_size": 20}
    for part in ("image", "text", "mm"):
        numbers = {"d_model": 16, "n_layer": 1, "n_head": 2, "dim_feedforward": 32}
        sizes.update({f"{part}_{name}": number for name, number in numbers.items()})
    model = mmet(**sizes, image_size=(32, 16), patch_size=8)
    return mmet_jobs("small", model, (32, 16), 20, words=6)


@pytest.fixture
def clock(monkeypatch):
    """Stands still but for what is added to it."""
    now = [0.0]
    monkeypatch.setattr(embedding.time, "perf_counter", lambda: now[0])
    return now


class TestWays:
    @pytest.mark.parametrize("number, rows", [(0, "images"), (1, "captions")])
    @torch.no_grad()
    def test_all_give_the_same(self, number, rows, jobs, tmp_path, monkeypatch):
        job = jobs[number]
        # the real files and their differences are tests/export's
        written = {}

        def write(tower, folder, formats):
            assert formats == ["onnx"]
            written[folder / f"{tower.name}.onnx"] = tower.module

        monkeypatch.setattr(embedding_contenders, "write_tower", write)
        monkeypatch.setattr(embedding_contenders, "onnx_runner", written.get)
        ways = ways_of(job, WAYS, CPU, tmp_path, backend="eager")
        assert job.rows == rows and tuple(ways) == WAYS
        inputs = job.make_inputs(3)
        found = {way: run(*inputs) for way, run in ways.items()}
        check_same(found)
        assert all(part.shape == (3, 16) for part in found.values())

    def test_captions_have_no_padding(self, jobs):
        (text,) = jobs[1].make_inputs(4)
        assert text.shape == (4, 6) and text.min() >= 5 and text.max() < 20

    def test_another_device_has_no_exported_way(self, jobs, tmp_path):
        found = ways_of(jobs[0], WAYS, torch.device("meta"), tmp_path, "eager")
        assert tuple(found) == ("eager", "compiled")

    def test_a_captioner_has_the_eager_way_alone(self, tmp_path):
        job = Job("captioner", "captions", nn.Identity(), lambda n: (), None)
        assert tuple(ways_of(job, WAYS, CPU, tmp_path, "eager")) == ("eager",)
        assert ways_of(job, ["compiled"], CPU, tmp_path, "eager") == {}

    def test_others_are_refused(self):
        one = torch.zeros(2, 3)
        check_same({"eager": one, "compiled": one + 1e-4})
        with pytest.raises(RuntimeError, match="compiled gives .* of eager by 0.5"):
            check_same({"eager": one, "compiled": one + 0.5})


def test_captions_of_one_length():
    torch.manual_seed(0)
    model = vtbr(
        image_size=(64, 32),
        vocab_size=20,
        max_text_length=8,
        backbone="mobilenet_v3_small",
        d_model=16,
        n_head=2,
        dim_feedforward=32,
        backward=False,
    )
    writer = CaptionWriter(model, length=5).eval()
    image = torch.randint(256, (3, 3, 64, 32), dtype=torch.uint8)
    tokens = writer(image)
    assert tokens.shape == (3, 5) and not tokens.eq(3).any()


class TestFigures:
    @pytest.fixture
    def rows(self, clock):
        """Of a way that takes 2, 4 and 3 seconds, and one that takes 1 each time; the first calls take longer."""
        taken = {"eager": iter([99, 2, 4, 3]), "exported": iter([99, 1, 1, 1])}

        def run(way):
            def work(batch):
                clock[0] += next(taken[way])
                return batch

            return work

        job = Job("small", "images", nn.Identity(), lambda n: (torch.ones(n, 2),), None)
        ways = {way: run(way) for way in taken}
        return measure(job, ways, batch=6, turns=3, device=CPU)

    def test_medians(self, rows):
        eager, exported = rows
        assert eager["per_second"] == 6 / 3 and eager["speed"] == 1.0
        # 2, 4 and 3 times as fast
        assert exported["per_second"] == 6.0 and exported["speed"] == 3.0
        assert exported["seconds"] == [1, 1, 1]

    def test_table(self, rows):
        *_, line = show(rows).splitlines()
        assert line.split() == ["small", "exported", "6.0", "images", "3.00"]


def test_the_command_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    job = Job("toy", "images", nn.Identity(), lambda n: (torch.ones(n, 2),), None)
    monkeypatch.setitem(MODELS, "demo", lambda: [job])
    file = tmp_path / "out.json"
    command = ["embedding", "--models", "demo", "--batch", "2", "--json", str(file)]
    monkeypatch.setattr("sys.argv", command)
    embedding.main()
    assert "toy      eager" in capsys.readouterr().out
    assert '"precision": "float32"' in file.read_text()
