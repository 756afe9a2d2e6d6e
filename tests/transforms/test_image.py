# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.transforms.image import (
    EvalImageTransform,
    IMAGENET_MEAN,
    Normalize,
    resize,
    TrainImageTransform,
)

SIZE = (12, 6)
# everything off
PLAIN = {
    "flip": 0.0,
    "pad": 0,
    "color_jitter": (0, 0, 0, 0),
    "channel_gain": 0.0,
    "erase": 0.0,
}


@pytest.fixture
def image():
    """No two pixels of a channel are alike, none is 0."""
    values = torch.arange(1, 73, dtype=torch.uint8).view(1, *SIZE)
    return torch.cat([values, values + 80, values + 160])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def train(**changes):
    return TrainImageTransform(SIZE, **{**PLAIN, **changes})


class TestEval:
    def test_only_resizes(self, image):
        output = EvalImageTransform(SIZE)(image)
        assert output.image is image and output.flipped is False
        smaller = EvalImageTransform((6, 3))
        assert smaller.image_size == (6, 3)
        assert torch.equal(smaller(image).image, smaller.resize(image))
        assert smaller(image).image.shape == (3, 6, 3)

    def test_resize_averages(self):
        # black and white columns: without antialiasing, only one of the two would be left
        stripes = torch.tensor([0, 255] * 8, dtype=torch.uint8).expand(3, 16, 16)
        assert resize(stripes, (4, 4)).float().sub(127.5).abs().max() < 40

    @pytest.mark.parametrize(
        "image",
        [
            torch.zeros(3, 4, 4),
            torch.zeros(1, 4, 4, dtype=torch.uint8),
            torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        ],
    )
    def test_not_an_image(self, image):
        with pytest.raises(ValueError, match=r"uint8 image of shape \(3, h, w\), got"):
            EvalImageTransform(SIZE)(image)

    @pytest.mark.parametrize("size", [(12,), (0, 6), (12, 6, 3)])
    def test_image_size(self, size):
        with pytest.raises(ValueError, match="image_size must be"):
            EvalImageTransform(size)


class TestTrain:
    def test_everything_off(self, image, generator):
        output = train()(image, generator)
        assert torch.equal(output.image, image) and not output.flipped

    def test_same_generator_same_output(self, image):
        transform = TrainImageTransform(SIZE, scale=(0.8, 1.0))
        state = torch.Generator().manual_seed(3)
        first = transform(image, state)
        second = transform(image, state)
        torch.manual_seed(1)  # the global state plays no part
        again = transform(image, torch.Generator().manual_seed(3))
        assert torch.equal(again.image, first.image)
        assert not torch.equal(second.image, first.image)

    def test_takes_as_many_draws_whatever_is_on(self, image):
        states = []
        for transform in (train(), TrainImageTransform(SIZE, erase=1.0)):
            generator = torch.Generator().manual_seed(0)
            transform(image, generator)
            states.append(generator.get_state())
        assert torch.equal(*states)

    def test_leaves_its_input_alone(self, image, generator):
        before = image.clone()
        for _ in range(20):
            TrainImageTransform(SIZE, erase=1.0)(image, generator)
            train(erase=1.0)(image, generator)
        assert torch.equal(image, before)

    def test_flip_mirrors_and_says_so(self, image, generator):
        output = train(flip=1.0)(image, generator)
        assert output.flipped and torch.equal(output.image, image.flip(-1))

    def test_flips_half_of_the_time(self, image, generator):
        count = sum(train(flip=0.5)(image, generator).flipped for _ in range(400))
        assert abs(count - 200) < 40  # four standard deviations

    def test_pad_crop_moves_the_image(self, image, generator):
        padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
        expected = [
            padded[:, top : top + 12, left : left + 6]
            for top in range(3)
            for left in range(3)
        ]
        seen = set()
        for _ in range(200):
            output = train(pad=1)(image, generator).image
            matches = [i for i, e in enumerate(expected) if torch.equal(output, e)]
            assert len(matches) == 1
            seen.update(matches)
        assert seen == set(range(9))

    def test_pad_is_in_proportion_by_default(self):
        assert TrainImageTransform((256, 128)).pad == 10
        assert TrainImageTransform((128, 64)).pad == 5

    def test_zoom_stays_inside(self, generator):
        # a constant image stays constant if nothing from outside comes in
        image = torch.full((3, *SIZE), 77, dtype=torch.uint8)
        for _ in range(30):
            output = train(scale=(0.5, 1.0))(image, generator).image
            assert output.shape == image.shape and (output == 77).all()

    def test_zoom_out_shows_the_border(self, generator):
        image = torch.full((3, *SIZE), 77, dtype=torch.uint8)
        output = train(scale=(2.0, 2.0))(image, generator).image
        assert output.shape == image.shape and (output == 0).any()
        assert (output == 77).any()

    def test_jitter_keeps_within_its_ranges(self, generator):
        image = torch.full((3, *SIZE), 100, dtype=torch.uint8)
        transform = train(color_jitter=(0.2, 0, 0, 0))
        values = [int(transform(image, generator).image[0, 0, 0]) for _ in range(100)]
        assert 80 <= min(values) < 90 and 110 < max(values) <= 120

    def test_gain_is_drawn_for_each_channel(self, generator):
        image = torch.full((3, *SIZE), 100, dtype=torch.uint8)
        output = train(channel_gain=0.3)(image, generator).image
        values = output[:, 0, 0].tolist()
        assert len(set(values)) == 3 and all(70 <= value <= 130 for value in values)

    def test_erases_one_rectangle(self, image, generator):
        transform = train(erase=1.0, erase_area=(0.1, 0.3), erase_color=(0, 0, 0))
        for _ in range(100):
            erased = (transform(image, generator).image == 0).all(dim=0)
            rows, columns = erased.any(dim=1), erased.any(dim=0)
            assert torch.equal(erased, rows.unsqueeze(1) & columns)
            assert rows.nonzero().flatten().diff().eq(1).all()
            assert columns.nonzero().flatten().diff().eq(1).all()
            assert 0 < int(erased.sum()) <= 0.3 * erased.numel() + 6

    def test_erases_with_imagenets_mean(self, image, generator):
        output = train(erase=1.0, erase_area=(1.0, 1.0), erase_aspect=(2.0, 2.0))
        pixels = output(image, generator).image
        expected = [round(255 * value) for value in IMAGENET_MEAN]
        assert pixels[:, 0, 0].tolist() == expected and (pixels[0] == expected[0]).all()

    def test_erases_as_often_as_told(self, image, generator):
        count = sum(
            not torch.equal(train(erase=0.3)(image, generator).image, image)
            for _ in range(400)
        )
        assert abs(count - 120) < 37  # four standard deviations

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ({"flip": 1.5}, "flip must be between 0 and 1, got 1.5"),
            ({"erase": -1}, "erase must be between 0 and 1, got -1"),
            ({"pad": -1}, "pad must be at least 0 .*got -1"),
            ({"pad": 6}, "less than the image's 6 pixels, got 6"),
            ({"scale": (0.0, 1.0)}, r"scale must be a range .*got \(0.0, 1.0\)"),
            ({"scale": (1.0, 0.9)}, "scale must be a range"),
            ({"color_jitter": (0.1, 0.1)}, "color_jitter must be"),
            ({"color_jitter": (0.1, 0.1, 0.1, 0.6)}, "hue between 0 and 0.5"),
            ({"channel_gain": 2.0}, "channel_gain must be between 0 and 1, got 2.0"),
            ({"erase_area": (0.1, 1.2)}, "erase_area must be a range"),
            ({"erase_aspect": (0.3,)}, "erase_aspect must be a range"),
            ({"erase_color": (0.5,)}, "erase_color must be 3 values"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            TrainImageTransform(SIZE, **arguments)


class TestNormalize:
    def test_values(self):
        normalize = Normalize(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
        image = torch.tensor([0, 255, 255], dtype=torch.uint8).view(1, 3, 1, 1)
        output = normalize(image.expand(2, 3, 4, 4))
        assert output.dtype == torch.float32 and output.shape == (2, 3, 4, 4)
        assert output[0, :, 0, 0].tolist() == [0.0, 1.0, 0.0]

    def test_inverse(self):
        image = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
        image = image.expand(1, 3, 16, 16)
        normalize = Normalize()
        assert torch.equal(normalize.inverse(normalize(image)), image)
        far = torch.full((1, 3, 2, 2), 100.0)
        assert (normalize.inverse(far) == 255).all()

    def test_is_no_weight(self):
        assert not Normalize().state_dict()

    def test_images_that_are_normalised_already(self):
        with pytest.raises(ValueError, match="uint8 .*got torch.float32"):
            Normalize()(torch.zeros(1, 3, 2, 2))

    def test_std(self):
        with pytest.raises(ValueError, match="std above 0"):
            Normalize(std=(1.0, 0.0, 1.0))
