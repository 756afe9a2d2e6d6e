# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import os
import random
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import MixtureDataset, PersonDataset, SampleKey
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_cache import ImageCache
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.sample import expand_captions, PersonImage
from torchmultimodal_reid.data.samplers import ShuffleSampler, StepBatchSampler
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import (
    EvalImageTransform,
    ImageTransformOutput,
    TrainImageTransform,
)

SIZE = (16, 8)


class AlwaysFlip:
    image_size = SIZE

    def __call__(self, image, generator):
        return ImageTransformOutput(image.flip(-1), True)


class SpyCaption:
    """Keeps what it was asked for."""

    def __init__(self):
        self.calls = []

    def __call__(self, caption, flipped=False):
        self.calls.append((caption, flipped))
        return torch.tensor([2, 3])


def equal(first, second):
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(first, second)
    )


def test_paired_sample(market, tokenizer):
    query = expand_captions(market.query)
    dataset = PersonDataset(
        query, EvalImageTransform(SIZE), CaptionTransform(tokenizer)
    )
    assert len(dataset) == len(market.query) * 2
    sample = dataset[1]
    assert sample.image.shape == (3, 16, 8) and sample.image.dtype == torch.uint8
    assert sample.text.tolist() == tokenizer.encode(query[1].captions[0])
    assert (sample.identity, sample.camera, sample.index) == (5, 0, 1)


def test_image_only_and_text_only(market, tokenizer):
    assert PersonDataset(market.train, EvalImageTransform(SIZE))[0].text is None
    absent = [image._replace(path="nowhere.jpg") for image in market.train]
    sample = PersonDataset(absent, None, CaptionTransform(tokenizer))[0]
    assert sample.image is None and sample.text is not None


def test_a_flip_reaches_the_caption(market):
    spy = SpyCaption()
    PersonDataset(market.train, AlwaysFlip(), spy)[0]
    PersonDataset(market.train, EvalImageTransform(SIZE), spy)[0]
    assert [flipped for _, flipped in spy.calls] == [True, False]


def test_draws_choose_among_all_captions(market):
    spy = SpyCaption()
    dataset = PersonDataset(market.train, None, spy)
    for draw in range(40):
        dataset[SampleKey(0, draw)]
    counts = Counter(caption for caption, _ in spy.calls)
    assert set(counts) == set(market.train[0].captions)
    assert min(counts.values()) > 5


def test_sample_is_a_function_of_seed_index_and_draw(build_market, tokenizer):
    images = market1501(build_market(size=(32, 16))).train

    def make(seed):
        return PersonDataset(
            images, TrainImageTransform(SIZE), CaptionTransform(tokenizer), seed=seed
        )

    first = [make(1)[SampleKey(i, 5)] for i in range(4)]
    torch.manual_seed(99)
    random.seed(99)
    dataset = make(1)
    for i in (3, 1, 0, 2):  # in any order, after any other draw
        dataset[SampleKey(i, 7)]
        assert equal(dataset[SampleKey(i, 5)], first[i])
    assert not equal(dataset[SampleKey(0, 6)], first[0])
    assert not equal(make(2)[SampleKey(0, 5)], first[0])
    assert equal(dataset[2], dataset[SampleKey(2, 0)])


def test_cache_changes_nothing_and_decodes_once(market, tokenizer):
    transform = TrainImageTransform(SIZE)
    plain = PersonDataset(market.train, transform)
    cached = PersonDataset(market.train, transform, cache=True)
    keys = [SampleKey(i, draw) for i in range(len(plain)) for draw in range(2)]
    expected = [plain[key] for key in keys]
    assert all(equal(cached[key], sample) for key, sample in zip(keys, expected))
    for image in market.train:
        os.remove(image.path)
    assert all(equal(cached[key], sample) for key, sample in zip(keys, expected))


def test_data_sets_can_share_a_cache(market, tokenizer):
    cache = ImageCache([image.path for image in market.train], SIZE)
    first = PersonDataset(market.train, EvalImageTransform(SIZE), cache=cache)
    paired = PersonDataset(
        market.train, EvalImageTransform(SIZE), CaptionTransform(tokenizer), cache=cache
    )
    image = first[3].image.clone()
    os.remove(market.train[3].path)
    assert torch.equal(paired[3].image, image)


def test_shared_cache_that_does_not_fit(market):
    cache = ImageCache([image.path for image in market.train], SIZE)
    with pytest.raises(ValueError, match=r"16 images of \(16, 8\).* needs \(8, 4\)"):
        PersonDataset(market.train, EvalImageTransform((8, 4)), cache=cache)
    with pytest.raises(ValueError, match="4 images that the cache was not made for"):
        PersonDataset(market.query, EvalImageTransform(SIZE), cache=cache)


def test_workers_give_the_same_batches_and_print_nothing(market, tokenizer, capfd):
    dataset = PersonDataset(
        market.train, TrainImageTransform(SIZE), CaptionTransform(tokenizer), cache=True
    )
    batches = StepBatchSampler(ShuffleSampler(len(dataset), 6, seed=0), 2, 7)
    collate = Collate(tokenizer.pad_id)

    def load(num_workers):
        loader = DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=collate,
        )
        return list(loader)

    from_workers = load(2)
    # the workers have filled the cache for this process too
    for image in market.train:
        os.remove(image.path)
    here = load(0)
    assert len(here) == len(batches) == 5
    assert all(equal(a, b) for a, b in zip(from_workers, here))
    assert capfd.readouterr().err == ""


def test_mixture_picks_the_source(market, tokenizer):
    transform = CaptionTransform(tokenizer)
    mixture = MixtureDataset(
        [
            PersonDataset(market.train, EvalImageTransform(SIZE)),
            PersonDataset(market.query, None, transform),
        ]
    )
    assert len(mixture) == 20
    assert mixture[SampleKey(0, source=0)].text is None
    sample = mixture[SampleKey(0, source=1)]
    assert sample.image is None and sample.identity == market.query[0].identity


class TestErrors:
    def test_no_images(self):
        with pytest.raises(DataError, match="at least one image"):
            PersonDataset([], EvalImageTransform(SIZE))

    def test_no_transform(self, market):
        with pytest.raises(ValueError, match="image_transform, a caption_transform"):
            PersonDataset(market.train)

    def test_images_without_captions(self, tokenizer):
        images = [PersonImage(f"{i}.jpg", i, 0) for i in range(7)]
        images.append(PersonImage("7.jpg", 7, 0, ("a man",)))
        with pytest.raises(
            DataError, match=r"7 of 8 images have none: 0\.jpg.*4\.jpg and 2 more"
        ):
            PersonDataset(images, None, CaptionTransform(tokenizer))

    def test_caption_too_long_names_the_image(self, market, tokenizer):
        transform = CaptionTransform(tokenizer, max_length=4, overflow="error")
        dataset = PersonDataset(market.train, None, transform)
        with pytest.raises(DataError) as error:
            dataset[0]
        assert market.train[0].path in str(error.value)
        assert "more than max_length 4" in str(error.value)

    def test_broken_image_names_the_file(self, market):
        dataset = PersonDataset(market.train, EvalImageTransform(SIZE), cache=True)
        with open(market.train[2].path, "wb") as file:
            file.write(b"no image")
        with pytest.raises(DataError) as error:
            dataset[2]
        assert market.train[2].path in str(error.value)
        assert "not an image" in str(error.value)
