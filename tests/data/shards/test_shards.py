# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import itertools
import json
import os
import sys

import pytest
import torch
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset, SampleKey
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.sample import relabel_identities
from torchmultimodal_reid.data.shards.__main__ import main
from torchmultimodal_reid.data.shards.dataset import ShardDataset
from torchmultimodal_reid.data.shards.index import identity_ranges, read_index, Relabel
from torchmultimodal_reid.data.shards.loader import ShardLoader
from torchmultimodal_reid.data.shards.order import EpochOrder
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
def shards(split, tmp_path):
    """20 training images in shards of 3."""
    out = str(tmp_path / "shards")
    write_shards(split, out, shard_size=3)
    return out


def stream(folder, **options):
    return ShardDataset(folder, "train", EvalImageTransform(SIZE), **options)


def indices(samples):
    return [sample.index for sample in samples]


class TestWriting:
    def test_the_index_tells_what_was_written(self, shards, split):
        index = read_index(shards)
        assert index.name == "market1501"
        train = index.parts["train"]
        assert [shard.num_samples for shard in train.shards] == [3] * 6 + [2]
        assert (train.num_samples, train.num_captions) == (20, 40)
        assert train.identity_ranges == ((1, 5),)
        assert set(os.listdir(shards)) == {"index.json"} | {
            file.file
            for part in index.parts.values()
            for file in (*part.shards, part.table, part.records)
        }

    def test_the_same_bytes_again(self, shards, split, tmp_path):
        again = str(tmp_path / "again")
        write_shards(split, again, shard_size=3)
        for name in os.listdir(shards):
            with (
                open(f"{shards}/{name}", "rb") as a,
                open(f"{again}/{name}", "rb") as b,
            ):
                assert a.read() == b.read()

    def test_equal_parts_are_written_once(self, split, tmp_path):
        out = str(tmp_path / "text")
        index = write_shards(split._replace(query=split.gallery), out)
        assert index.parts["query"] == index.parts["gallery"]
        assert "gallery-000000.tar" not in os.listdir(out)

    def test_nothing_is_written_where_an_image_is_missing(self, split, tmp_path):
        os.remove(split.train[3].path)
        with pytest.raises(DataError, match="the image cannot be read"):
            write_shards(split, str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()

    def test_replaces_only_shards_and_only_if_told(self, shards, split, tmp_path):
        with pytest.raises(DataError, match="holds shards already; pass overwrite"):
            write_shards(split, shards)
        write_shards(split, shards, parts=["query"], overwrite=True)
        assert set(read_index(shards).parts) == {"query"}
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "work.txt").touch()
        with pytest.raises(DataError, match="does not hold shards; name a new or"):
            write_shards(split, str(tmp_path / "mine"), overwrite=True)

    def test_command(self, build_market, tmp_path, capsys):
        out = str(tmp_path / "out")
        arguments = ["market1501", build_market(), "--out", out, "--quiet"]
        assert main([*arguments, "missing_captions=allow", "--shard-size", "5"]) == 0
        assert "train: 16 samples in 4 shards" in capsys.readouterr().out
        assert main(arguments) == 2
        assert "holds shards already" in capsys.readouterr().err
        assert main(["market1501", "none", "--out", out]) == 2

    def test_command_leaves_images_without_captions_out(self, build_market, tmp_path):
        root, out = build_market(), str(tmp_path / "out")
        with open(f"{root}/captions.json") as file:
            records = json.load(file)
        with open(f"{root}/captions.json", "w") as file:
            json.dump(records[3:], file)
        arguments = ["market1501", root, "missing_captions=allow", "--out", out]
        assert main([*arguments, "--quiet", "--captioned"]) == 0
        train = read_index(out).parts["train"]
        assert train.num_samples == 13 and train.captioned

    def test_without_webdataset(self, split, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "webdataset", None)
        with pytest.raises(
            DataError, match=r"need the library webdataset: .*streaming"
        ):
            write_shards(split, str(tmp_path / "out"))


class TestReading:
    def test_samples_equal_those_of_files(self, shards, split, tokenizer):
        transforms = TrainImageTransform(SIZE), CaptionTransform(tokenizer)
        files = PersonDataset(split.train, *transforms, seed=3)
        streamed = ShardDataset(shards, "train", *transforms, seed=3)
        for epoch in range(2):
            samples = list(streamed)
            assert sorted(indices(samples)) == list(range(20))
            for sample in samples:
                expected = files[SampleKey(sample.index, draw=epoch)]
                assert torch.equal(sample.image, expected.image)
                assert torch.equal(sample.text, expected.text)
                assert sample[2:] == expected[2:]

    def test_order_is_of_seed_and_epoch(self, shards):
        first, second = (indices(stream(shards, seed=1)) for _ in range(2))
        assert first == second
        assert first != indices(stream(shards, seed=2))
        later = stream(shards, seed=1)
        later.set_epoch(1)
        assert indices(later) != first

    def test_unshuffled_parts_keep_the_order_of_the_split(self, shards, split):
        data = ShardDataset(shards, "gallery", EvalImageTransform(SIZE), shuffle=False)
        assert indices(data) == list(range(len(split.gallery)))

    @pytest.mark.parametrize("world_size, workers", [(1, 3), (2, 1), (3, 2), (7, 5)])
    def test_shares_are_the_epoch_without_loss_or_repeats(
        self, shards, world_size, workers
    ):
        seen = []
        for rank, worker in itertools.product(range(world_size), range(workers)):
            data = stream(shards, rank=rank, world_size=world_size)
            own = indices(data.stream(1, 0, worker, workers))
            assert len(own) == data.share_size(worker, workers)
            assert abs(len(own) - 20 / (world_size * workers)) < 1
            seen += own
        assert sorted(seen) == list(range(20))

    def test_labels(self, shards, split):
        labels = {
            image.path: image.identity for image in relabel_identities(split.train)
        }
        expected = [labels[image.path] for image in split.train]
        data = stream(shards, relabel=True)
        assert data.num_identities == 5
        assert all(sample.identity == expected[sample.index] for sample in data)

    def test_a_window_is_all_that_is_read(self, shards, monkeypatch):
        from torchmultimodal_reid.data.shards import dataset

        reads = []
        read_shard = dataset.read_shard
        monkeypatch.setattr(
            dataset, "read_shard", lambda f, s: reads.append(s) or read_shard(f, s)
        )
        samples = iter(stream(shards, window=2))
        next(samples)
        assert len(reads) == 2
        assert len(list(stream(shards, window=2).stream(0, 18))) == 2
        assert len(reads) <= 4  # what lies before the position is skipped, not read

    def test_damage_is_told(self, shards):
        path = os.path.join(shards, "train-000001.tar")
        with open(path, "r+b") as file:
            file.seek(700)
            file.write(b"x")
        with pytest.raises(DataError, match="train-000001.tar: the shard is damaged"):
            list(stream(shards))
        os.truncate(path, 100)
        with pytest.raises(DataError, match="has 100 bytes, its index says"):
            list(stream(shards))
        os.remove(path)
        with pytest.raises(DataError, match="train-000001.tar: the shard cannot be"):
            list(stream(shards))

    @pytest.mark.parametrize(
        "change, message",
        [
            (lambda c: c.pop("parts"), "a damaged index .*KeyError"),
            (lambda c: c.update(format="other"), "not an index of shards of format"),
            (lambda c: c["parts"]["train"].pop("table"), "a damaged index .*KeyError"),
            (
                lambda c: c["parts"]["train"]["records"].update(num_bytes=0),
                "counts of 'train.records.jsonl' are",
            ),
            (
                lambda c: c.update(format="torchmultimodal_reid shards 3"),
                "shards of format 3 were written by a newer version of this library, this one reads format 2; install",
            ),
            (
                lambda c: c.update(format="torchmultimodal_reid shards 1"),
                "shards of format 1 were written by an older version .*; write the shards again",
            ),
            (lambda c: c["parts"]["train"].update(num_samples=7), "do not add up"),
            (
                lambda c: c["parts"]["train"]["shards"][0].update(file="../x"),
                "not a fi",
            ),
        ],
    )
    def test_a_damaged_index(self, shards, change, message):
        path = os.path.join(shards, "index.json")
        with open(path) as file:
            content = json.load(file)
        change(content)
        with open(path, "w") as file:
            json.dump(content, file)
        with pytest.raises(DataError, match=message):
            stream(shards)

    def test_bad_arguments(self, shards, split, tmp_path, tokenizer):
        with pytest.raises(ValueError, match="rank must be .* got rank 2 of 2"):
            stream(shards, rank=2, world_size=2)
        with pytest.raises(ValueError, match="window must be at least 1, got 0"):
            stream(shards, window=0)
        with pytest.raises(DataError, match="no index.json"):
            stream(str(tmp_path))
        with pytest.raises(DataError, match="no part 'val'; it has train, query"):
            ShardDataset(shards, "val", EvalImageTransform(SIZE))
        bare = split._replace(train=(split.train[0]._replace(captions=()),))
        write_shards(bare, str(tmp_path / "bare"), parts=["train"])
        with pytest.raises(DataError, match="captions are asked for, but some images"):
            ShardDataset(
                str(tmp_path / "bare"), caption_transform=CaptionTransform(tokenizer)
            )


class TestResuming:
    @pytest.mark.parametrize("seen", [0, 1, 7, 19])
    def test_a_position_goes_on_with_the_next_sample(self, shards, seen):
        whole = indices(stream(shards))
        data = stream(shards)
        iterator = iter(data)
        begun = [next(iterator).index for _ in range(seen)]
        state = json.loads(json.dumps(data.state_dict()))
        resumed = stream(shards)
        resumed.load_state_dict(state)
        assert begun + indices(resumed) == whole

    def test_endless(self, shards):
        data = stream(shards, endless=True)
        samples = indices(itertools.islice(data, 45))
        assert sorted(samples[:20]) == sorted(samples[20:40]) == list(range(20))
        assert data.state_dict()["epoch"] == 2

    def test_a_position_of_something_else(self, shards):
        state = stream(shards, seed=1).state_dict()
        with pytest.raises(ValueError, match="with another seed: 1, not 2"):
            stream(shards, seed=2).load_state_dict(state)
        with pytest.raises(ValueError, match="with another shards; resume"):
            stream(shards, seed=1).load_state_dict({**state, "shards": []})

    @pytest.mark.parametrize("workers, endless", [(0, True), (2, True), (0, False)])
    def test_a_loader_goes_on_with_the_next_batch(self, shards, workers, endless):
        def loader():
            data = stream(shards, endless=endless)
            return ShardLoader(data, 3, Collate(0), num_workers=workers)

        def rows(batches):
            return [batch.index.tolist() for batch in batches]

        count = 6
        whole = rows(itertools.islice(loader(), count))
        first = loader()
        begun = rows(itertools.islice(first, 3))
        state = json.loads(json.dumps(first.state_dict()))
        second = loader()
        second.load_state_dict(state)
        assert begun + rows(itertools.islice(second, count - 3)) == whole

    def test_epochs_of_a_loader_with_workers(self, shards):
        loader = ShardLoader(stream(shards), 3, Collate(0), num_workers=2)
        epochs = [[i for b in loader for i in b.index.tolist()] for _ in range(2)]
        assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 2
        assert epochs[0] != epochs[1]
        with pytest.raises(ValueError, match="saved with 2 workers .* not 1 and 3"):
            ShardLoader(stream(shards), 3, Collate(0)).load_state_dict(
                loader.state_dict()
            )

    def test_too_many_workers(self, shards):
        data = stream(shards, endless=True)
        with pytest.raises(ValueError, match="20 samples are too few for 21 workers"):
            ShardLoader(data, 1, Collate(0), num_workers=21)


def test_ranges_and_labels():
    numbers = [7, 3, 4, 5, 9, 3]
    ranges = identity_ranges(numbers)
    assert ranges == ((3, 5), (7, 7), (9, 9))
    relabel = Relabel(ranges)
    assert len(relabel) == 5
    assert [relabel(n) for n in (3, 4, 5, 7, 9)] == [0, 1, 2, 3, 4]


def test_a_share_of_an_order_holds_a_window_only():
    order = EpochOrder([5] * 100, seed=0, window=4, shuffle=True)
    windows = list(order.windows(0, 1, 3))
    assert max(len(window) for window in windows) == 4
    assert sum(len(p.places) for w in windows for p in w) == 500 * 2 // 3 - 500 // 3
