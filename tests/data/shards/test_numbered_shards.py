# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Samples of shards by their number: what a training that knows the batch of any step reads."""

import json
import os
import pickle
import tarfile

import pytest
import torch
from torchmultimodal_reid.data.dataset import PersonDataset, SampleKey
from torchmultimodal_reid.data.errors import DataError, UnreadableImageError
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.samplers import ShuffleSampler
from torchmultimodal_reid.data.shards.catalogue import Place, ROW_BYTES
from torchmultimodal_reid.data.shards.dataset import ShardDataset
from torchmultimodal_reid.data.shards.numbered import NumberedShards
from torchmultimodal_reid.data.shards.order import ShardOrder
from torchmultimodal_reid.data.shards.samples import ShardSamples
from torchmultimodal_reid.data.shards.writer import write_shards
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import (
    EvalImageTransform,
    TrainImageTransform,
)

pytest.importorskip("webdataset")

SIZE = (16, 8)


@pytest.fixture
def split(build_market):
    return market1501(build_market(train=5, cameras=2, per_camera=2))


@pytest.fixture
def folder(split, tmp_path):
    """20 training images in shards of 3."""
    out = str(tmp_path / "shards")
    write_shards(split, out, shard_size=3)
    return out


def damage(path, position, data=b"x"):
    with open(path, "r+b") as file:
        file.seek(position)
        file.write(data)


class TestSamples:
    def test_each_is_what_was_written(self, folder, split):
        samples = ShardSamples(folder)
        assert len(samples) == 20 and samples.counts == [3] * 6 + [2]
        found = [samples.read(number) for number in reversed(range(20))]
        assert sorted(raw.index for raw in found) == list(range(20))
        for raw in found:
            assert raw.person == split.train[raw.index]
            with open(raw.person.path, "rb") as file:
                assert raw.data == file.read()

    def test_the_table_names_the_bytes_of_the_tar_file(self, folder):
        with open(f"{folder}/train.table", "rb") as file:
            place = Place.from_row(file.read(ROW_BYTES))
        with tarfile.open(f"{folder}/train-000000.tar") as tar:
            image, record = tar.getmembers()[:2]
        assert place[:2] == (image.offset_data, image.size)
        assert place[2:4] == (record.offset_data, record.size)

    def test_people_are_those_of_the_tar_files(self, folder):
        samples = ShardSamples(folder)
        people = list(samples.people())
        assert people == [
            samples.read(number).person._replace(attributes=None)
            for number in range(20)
        ]

    def test_what_a_worker_gets_is_small(self, folder):
        # whatever is read, nothing of it stays
        samples = ShardSamples(folder)
        before = len(pickle.dumps(samples))
        for number in range(20):
            samples.read(number)
        assert len(pickle.dumps(samples)) == before

    def test_fingerprint_is_of_the_shards(self, folder, split, tmp_path):
        found = ShardSamples(folder).fingerprint
        for name, size in (("same", 3), ("other", 4)):
            write_shards(split, str(tmp_path / name), shard_size=size)
        assert ShardSamples(str(tmp_path / "same")).fingerprint == found
        assert ShardSamples(str(tmp_path / "other")).fingerprint != found


class TestDamage:
    @pytest.mark.parametrize(
        "file", ["train-000003.tar", "train.table", "train.records.jsonl"]
    )
    def test_a_file_that_is_missing_or_cut_short(self, folder, file):
        path = os.path.join(folder, file)
        size = os.path.getsize(path)
        os.truncate(path, size - 1)
        with pytest.raises(
            DataError, match=f"{file}: has {size - 1} bytes, its index says {size}; it"
        ):
            ShardSamples(folder)
        os.remove(path)
        with pytest.raises(DataError, match=f"{file}: cannot be read .No such file"):
            ShardSamples(folder)

    def test_a_shard_that_was_changed(self, folder):
        path = os.path.join(folder, "train-000001.tar")
        samples = ShardSamples(folder)
        with open(f"{folder}/train.table", "rb") as file:
            place = Place.from_row(file.read()[5 * ROW_BYTES : 6 * ROW_BYTES])
        damage(path, place.image + 20)
        samples.read(4)  # only what was changed cannot be used
        with pytest.raises(
            DataError, match="train-000001.tar: sample 2 of the shard is damaged or was"
        ):
            samples.read(5)
        os.truncate(path, 100)
        with pytest.raises(DataError, match="sample 0 of the shard is damaged"):
            samples.read(3)
        os.remove(path)
        with pytest.raises(DataError, match="train-000001.tar: cannot be read .No su"):
            samples.read(3)

    def test_a_table_or_records_that_were_changed(self, folder):
        damage(f"{folder}/train.records.jsonl", 30)
        samples = ShardSamples(folder)
        with pytest.raises(
            DataError, match="train.records.jsonl: its sha256 is not that of the index"
        ):
            next(samples.people())
        damage(f"{folder}/train.table", 30)
        with pytest.raises(DataError, match="train.table: its sha256 is not that of"):
            ShardSamples(folder)
        os.truncate(f"{folder}/train.table", 30)
        with pytest.raises(DataError, match="train.table: it is cut short or was"):
            samples.read(1)

    def test_a_table_of_other_samples(self, folder):
        path = f"{folder}/index.json"
        with open(path) as file:
            content = json.load(file)
        content["parts"]["train"]["table"] = content["parts"]["query"]["table"]
        with open(path, "w") as file:
            json.dump(content, file)
        with pytest.raises(
            DataError, match="query.table: the table has 112 bytes, expected 28 for eac"
        ):
            ShardSamples(folder)


class TestDataset:
    def test_samples_equal_those_of_files(self, folder, split, tokenizer):
        transforms = TrainImageTransform(SIZE), CaptionTransform(tokenizer)
        files = PersonDataset(split.train, *transforms, seed=3)
        shards = NumberedShards(ShardSamples(folder), *transforms, seed=3)
        assert len(shards) == 20
        for number in range(20):
            sample = shards[SampleKey(number, draw=7)]
            expected = files[SampleKey(sample.index, draw=7)]
            assert torch.equal(sample.image, expected.image)
            assert torch.equal(sample.text, expected.text)
            assert sample[2:] == expected[2:]

    def test_a_broken_image_names_its_shard(self, split, tmp_path):
        open(split.train[3].path, "w").close()
        write_shards(split, str(tmp_path / "out"), shard_size=20)
        data = NumberedShards(
            ShardSamples(str(tmp_path / "out")), EvalImageTransform(SIZE)
        )
        number = [data.samples.read(n).index for n in range(20)].index(3)
        with pytest.raises(
            UnreadableImageError, match=r"\.jpg in train-000000.tar: not an image"
        ):
            data[SampleKey(number)]

    def test_replacements_are_the_other_samples_of_the_shard(self, folder):
        data = NumberedShards(ShardSamples(folder), EvalImageTransform(SIZE))
        found = list(data.replacements(SampleKey(4, draw=2)))
        assert sorted(key.index for key in found) == [3, 5]
        assert found == list(data.replacements(SampleKey(4, draw=2)))
        assert min(key.draw for key in found) > 1 << 50

    def test_bad_arguments(self, folder, split, tokenizer, tmp_path):
        with pytest.raises(ValueError, match="give an image_transform, a caption_tran"):
            NumberedShards(ShardSamples(folder))
        with pytest.raises(DataError, match="no part 'val'; it has train, query"):
            ShardSamples(folder, "val")
        bare = split._replace(train=(split.train[0]._replace(captions=()),))
        write_shards(bare, str(tmp_path / "bare"), parts=["train"])
        with pytest.raises(DataError, match="have none; write .*with --captioned"):
            NumberedShards(
                ShardSamples(str(tmp_path / "bare")),
                caption_transform=CaptionTransform(tokenizer),
            )


class TestOrder:
    def test_every_epoch_has_every_sample_once(self):
        order = ShardOrder([3] * 6 + [2], seed=1)
        epochs = [[order(epoch, i) for i in range(20)] for epoch in range(3)]
        assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
        assert epochs[0] != epochs[1] != epochs[2]

    def test_any_position_at_any_time(self):
        order = ShardOrder([3] * 6 + [2], seed=1)
        whole = {(e, i): order(e, i) for e in range(2) for i in range(20)}
        for place in [(1, 19), (0, 4), (0, 3), (1, 0), (0, 19)]:
            assert order(*place) == whole[place]
            assert ShardOrder([3] * 6 + [2], seed=1)(*place) == whole[place]

    def test_is_that_of_the_stream_of_one_process(self, folder):
        streamed = ShardDataset(folder, "train", EvalImageTransform(SIZE), seed=5)
        samples = ShardSamples(folder)
        order = ShardOrder(samples.counts, seed=5)
        for epoch in range(2):
            expected = [sample.index for sample in streamed]
            assert [samples.read(order(epoch, i)).index for i in range(20)] == expected

    def test_neighbours_lie_in_a_window(self):
        order = ShardOrder([5] * 40, seed=0, window=4)
        for first in range(0, 200, 20):
            shards = {order(0, i) // 5 for i in range(first, first + 20)}
            assert len(shards) == 4

    def test_a_window_is_all_that_is_kept(self):
        # as many shards as FineGPR's two million images have
        order = ShardOrder([1000] * 2000, seed=0)
        assert len({order(0, 1_999_000 + i) for i in range(1000)}) == 1000
        assert len(order._numbers) == 4000

    @pytest.mark.parametrize("world_size", [1, 2, 3])
    def test_processes_share_the_batches_of_one(self, world_size):
        def batch(step, rank, world_size):
            order = ShardOrder([3] * 6 + [2], seed=1)
            return ShuffleSampler(20, 6, 0, rank, world_size, order).batch(step)

        for step in (0, 3, 5):  # step 3 goes from one epoch to the next
            shares = [batch(step, rank, world_size) for rank in range(world_size)]
            assert sum(shares, []) == batch(step, 0, 1)
