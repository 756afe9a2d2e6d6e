# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the benchmark of the loader compares are the same samples, and its figures are what it says."""

import argparse
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from benchmarks import loading
from benchmarks.loader_contenders import (
    contenders,
    decode_fully,
    first_batches,
    images_per_second,
    write_pictures,
)
from benchmarks.loading import (
    measure_loaders,
    measure_waiting,
    PEOPLE,
    SETTINGS,
    show_loaders,
    show_waiting,
    size,
)
from benchmarks.waiting import watch_pretraining, WatchedLoader
from PIL import Image
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.registry import read_dataset
from torchmultimodal_reid.data.synthetic.generate import generate


@pytest.fixture(autouse=True)
def another_precision():
    """Accelerate keeps the first precision of a process, which other tests must not find."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class Clock:
    """Stands still but for what it is told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def batches(self, seconds):
        """Batches of two images, each of which takes so long to come."""
        for taken in seconds:
            self.now += taken
            yield SimpleNamespace(index=torch.arange(2))


@pytest.fixture
def clock():
    return Clock()


class TestImagesPerSecond:
    @pytest.mark.parametrize("skip, expected", [(1, 4 / 3), (2, 2 / 2)])
    def test_the_first_batches_do_not_count(self, skip, expected, clock):
        batches = clock.batches([100.0, 1.0, 2.0])
        assert images_per_second(batches, skip, clock) == expected

    def test_each_worker_has_a_first_batch(self):
        assert [first_batches(workers) for workers in (0, 1, 4)] == [1, 1, 4]


class TestContenders:
    @pytest.fixture
    def found(self, tmp_path):
        pytest.importorskip("webdataset")

        def found(pictures, workers=(0,)):
            return contenders(tmp_path, pictures, 8, workers, (8, 4), batch_size=4)

        return found

    def test_folder_and_shards_have_the_same_images(self, found):
        folder, shards = found((16, 8))
        seen = []
        for one in (folder, shards):
            batches = list(one.make_loader())
            assert len(batches) == 3 and batches[0].image.shape == (4, 3, 8, 4)
            # an epoch, and the batch that is not counted
            seen.append(sorted(torch.cat([b.index for b in batches[:2]]).tolist()))
        assert seen == [list(range(8))] * 2
        assert (folder.source, shards.source) == ("folder", "shards")
        assert folder.pictures == "16x8"

    def test_more_workers_read_more_batches_that_do_not_count(self, found):
        lengths = [len(one.make_loader()) for one in found((16, 8), (0, 2))]
        assert lengths == [3, 4, 3, 4]

    def test_full_decoding_where_draft_mode_does_something(self, found):
        names = [one.source for one in found((32, 16))]
        assert names == ["folder", "shards", "folder, decoded in full"]
        assert len(found((24, 16))) == 2

    def test_full_decoding_of_a_small_file_is_the_same(self, tmp_path):
        image, *_ = write_pictures(tmp_path / "small", 1, (16, 8)).train
        expected = read_image(image.path, (12, 6))
        assert torch.equal(decode_fully(image.path, (12, 6)), expected)

    def test_draft_mode_begins_at_four_times_the_size(self, tmp_path):
        image, *_ = write_pictures(tmp_path / "large", 1, (128, 64)).train
        for asked, is_same in (((33, 17), True), ((32, 16), False)):
            drafted = read_image(image.path, asked)
            assert torch.equal(decode_fully(image.path, asked), drafted) == is_same

    def test_pictures(self, tmp_path):
        split = write_pictures(tmp_path / "pictures", 5, (16, 8))
        assert [image.identity for image in split.train] == [0, 0, 0, 0, 1]
        with Image.open(split.train[4].path) as picture:
            assert picture.size == (8, 16) and picture.format == "JPEG"


class TestLoaderFigures:
    def test_medians_over_turns_by_the_first_of_the_same_size(self, monkeypatch):
        rates = {"a": [10.0, 20.0, 30.0], "b": [20.0, 80.0, 45.0], "c": [7.0] * 3}
        told = {name: iter(values) for name, values in rates.items()}
        monkeypatch.setattr(
            loading, "images_per_second", lambda loader, skip: next(told[loader])
        )
        found = [
            SimpleNamespace(
                pictures=pictures, source=name, workers=0, make_loader=lambda n=name: n
            )
            for name, pictures in (("a", "small"), ("b", "small"), ("c", "large"))
        ]
        first, second, third = rows = measure_loaders(found, turns=3)
        assert first["images_per_second"] == 20.0 and first["speed"] == 1.0
        # 2, 4 and 1.5 times in the three turns
        assert second["images_per_second"] == 45.0 and second["speed"] == 2.0
        assert third["speed"] == 1.0 and third["turns"] == [7.0] * 3
        assert "small       b       0" in show_loaders(rows)

    @pytest.mark.parametrize("text", ["256", "axb", "1x2x3"])
    def test_size_that_is_none(self, text):
        assert size("256x128") == (256, 128)
        with pytest.raises(argparse.ArgumentTypeError, match="expected HEIGHTxWIDTH"):
            size(text)


class TestWaiting:
    def test_share_of_the_steps_between_the_first_two_and_the_last(self, clock):
        batches = clock.batches([50.0, 50.0, 1.0, 3.0, 50.0])
        watched = WatchedLoader(batches, clock)
        for _ in watched:
            clock.now += 6.0
        assert watched.waited == [50.0, 50.0, 1.0, 3.0, 50.0]
        assert watched.share == 4 / 16 and watched.seconds == 8.0

    def test_rendered_people_can_be_read(self, tmp_path):
        few = PEOPLE._replace(cameras=2, image_size=(32, 16))
        assert few.image_size != PEOPLE.image_size == (128, 64)
        generate(few._replace(identities=6), str(tmp_path / "people"), progress=False)
        people = read_dataset("market1501", str(tmp_path / "people"))
        assert len(people.train) == 2 * 4 and len(people.query) == 4 * 2

    def test_summary_is_the_loader_s(self):
        loader = SimpleNamespace(summary=lambda: "two images")
        assert WatchedLoader(loader).summary() == "two images"

    def test_settings_take_turns_and_give_medians(self, tmp_path, monkeypatch):
        asked, shares = [], iter([0.1, 0.2, 0.3, 0.4] * 2 + [0.5] * 4)

        def watch(root, output, steps, overrides):
            asked.append((output, overrides))
            return SimpleNamespace(share=next(shares), seconds=2.0)

        monkeypatch.setattr(loading, "watch_pretraining", watch)
        rows = measure_waiting(tmp_path, tmp_path, 9, turns=3)
        assert [overrides for _, overrides in asked] == [*SETTINGS.values()] * 3
        assert len({output for output, _ in asked}) == 12
        assert [row["waiting"] for row in rows] == [0.1, 0.2, 0.3, 0.4]
        assert "no worker, cached" in show_waiting(rows)
        assert "30.0%" in show_waiting(rows)

    def test_the_recipe_is_watched(self, build_market, tmp_path, monkeypatch):
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        small = "batch_size=4 image.size=[32,16] model.patch_size=16 data.workers=0"
        small += " data.validation_share=0 data.cache=false text.vocab_size=60"
        small += " losses.mmm_image=0 losses.mmm_text=0"
        root = build_market(size=(32, 16))
        try:
            watched = watch_pretraining(root, tmp_path / "run", 4, small.split())
        finally:  # as recipes set it
            torch.use_deterministic_algorithms(False)
        assert len(watched.waited) == len(watched.worked) == 4
        assert 0 < watched.share < 1
