# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import signal

import pytest
from examples.common.loaders import training_loader
from examples.common.patient_loader import MAX_RESTARTS
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.samplers import IdentitySampler
from torchmultimodal_reid.transforms.image import TrainImageTransform

# 4 identities with 4 images each, two steps an epoch: each image comes in every second of its identity's visits
STEPS = 8


@pytest.fixture
def images(build_market):
    return market1501(build_market()).train


def load(images, workers=0, start=0, wrap=lambda dataset: dataset, **options):
    identities = [image.identity for image in images]
    return training_loader(
        wrap(PersonDataset(images, TrainImageTransform((16, 8)))),
        IdentitySampler(identities, 2, 2, seed=0),
        Collate(0),
        start=start,
        stop=STEPS,
        workers=workers,
        **options,
    )


def assert_same(batches, expected):
    assert len(batches) == len(expected)
    for one, other in zip(batches, expected):
        assert one.paths == other.paths and one.image.equal(other.image)


class TestUnreadableImages:
    def test_another_of_the_identity_takes_its_place(self, images, capsys):
        whole = list(load(images))
        bad = whole[1].paths[0]
        open(bad, "w").close()
        loader = load(images, max_unreadable=1)
        batches = list(loader)
        for batch, before in zip(batches, whole):
            assert bad not in batch.paths
            assert batch.identity.equal(before.identity)
            # the others are as they would have been
            for row, path in enumerate(before.paths):
                if path != bad:
                    assert batch.paths[row] == path
                    assert batch.image[row].equal(before.image[row])
        told = capsys.readouterr().err
        assert told.count("warning") == 1 and f"warning: {bad}: not an image" in told
        assert (
            "In its place comes another image of the same identity (1 of at most 1)"
            in told
        )
        assert loader.summary() == (
            "1 images could not be read, and another image of the same identity took the place of each: "
            + bad
        )
        # by seed, index and draw alone
        assert_same(list(load(images, 1, max_unreadable=1)), batches)
        assert_same(list(load(images, start=3, max_unreadable=1)), batches[3:])

    def test_file_that_vanishes_while_the_run_goes_on(self, images):
        loader = load(images, max_unreadable=1)
        batches = iter(loader)
        next(batches)
        gone = images[0].path
        os.remove(gone)
        assert all(gone not in batch.paths for batch in batches)
        assert list(loader.unreadable) == [gone]

    @pytest.mark.parametrize("workers", [0, 1])
    def test_more_than_allowed(self, images, workers):
        for image in images[:2]:
            open(image.path, "w").close()
        expected = (
            r"2 images could not be read, more than data\.max_unreadable 1: .*\.jpg: "
            r"not an image.*\.jpg: not an image"
        )
        with pytest.raises(DataError, match=expected):
            list(load(images, workers, max_unreadable=1))

    def test_none_is_allowed(self, images):
        open(images[0].path, "w").close()
        with pytest.raises(DataError, match=f"^{images[0].path}: not an image"):
            list(load(images))

    def test_no_other_image_is_left(self, images):
        for image in images:
            if image.identity == images[0].identity:
                open(image.path, "w").close()
        with pytest.raises(DataError, match="nor can another image of the same id"):
            list(load(images, max_unreadable=9))


class Deadly(Dataset):
    """Ends the worker that reads a step's first sample, so many times as ``lives`` says."""

    def __init__(self, dataset, step, lives):
        self.dataset, self.step, self.lives = dataset, step, lives

    def __getitem__(self, key):
        if key.draw == self.step and self.lives.stat().st_size:
            with open(self.lives, "r+b") as file:
                file.truncate(self.lives.stat().st_size - 1)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.dataset[key]


class TestWorkersThatDie:
    @pytest.fixture
    def deadly(self, images, tmp_path):
        def build(deaths):
            lives = tmp_path / "lives"
            lives.write_bytes(b"x" * deaths)
            return load(images, 1, wrap=lambda data: Deadly(data, 3, lives))

        return build

    def test_new_ones_go_on(self, deadly, images, capsys):
        loader = deadly(2)
        assert_same(list(loader), list(load(images)))
        assert loader.summary() == "processes that load images died 2 times"
        told = capsys.readouterr().err
        expected = (
            "warning: a process that loads images ended by signal 9. New ones go on"
        )
        assert f"{expected} (1/3)\n{expected} (2/3)\n" in told

    def test_over_and_over(self, deadly):
        expected = (
            r"ended by signal 9, after 3 others\. They may lack memory: use fewer by data\.workers, now 1, or none by "
            r"data\.workers=0$"
        )
        with pytest.raises(DataError, match=expected):
            list(deadly(MAX_RESTARTS + 1))

    def test_an_exception_in_a_worker_is_no_death(self, images):
        class Bug(Dataset):
            def __getitem__(self, key):
                raise RuntimeError("a bug")

        with pytest.raises(RuntimeError, match="a bug"):
            list(load(images, 1, wrap=lambda data: Bug()))
