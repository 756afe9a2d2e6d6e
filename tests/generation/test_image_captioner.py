# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from PIL import Image
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.generation.image_captioner import ImageCaptioner
from torchmultimodal_reid.generation.sampling import Greedy


@pytest.fixture
def image_captioner(captioner, tokenizer):
    def build(**arguments):
        model = captioner(vocab_size=tokenizer.vocab_size, **arguments)
        return ImageCaptioner(
            model, tokenizer, image_size=(16, 8), max_text_length=10, batch_size=2
        )

    return build


@pytest.fixture
def images():
    return [
        torch.full((3, 20 + 4 * i, 10), 60 * i, dtype=torch.uint8) for i in range(4)
    ]


def test_one_text_an_image(image_captioner, images):
    captions = image_captioner().caption(images)
    assert len(captions) == 4 and all(isinstance(text, str) for text in captions)


def test_the_kind_of_image_and_the_batch_change_nothing(
    image_captioner, images, tmp_path
):
    writer = image_captioner()
    expected = writer.write(images, Greedy())
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for picture, path in zip(pictures, paths):
        picture.save(path)
    writer.batch_size = 4
    for given in (pictures, paths, [str(path) for path in paths]):
        for found, wanted in zip(writer.write(given, Greedy()), expected):
            assert found[0].tokens == wanted[0].tokens
            assert found[0].log_prob == pytest.approx(wanted[0].log_prob, abs=1e-5)


def test_several_captions(image_captioner, images):
    search = BeamSearch(4, length_penalty=1.0, num_captions=3)
    for captions in image_captioner().write(images, search):
        assert len(captions) == 3
        scores = [caption.score for caption in captions]
        assert scores == sorted(scores, reverse=True)
        assert len({caption.tokens for caption in captions}) == 3
        assert all(caption.log_prob <= caption.score <= 0 for caption in captions)


def test_only_words_are_written(image_captioner, images, tokenizer):
    for captions in image_captioner().write(images, BeamSearch(3, num_captions=3)):
        for caption in captions:
            assert not set(caption.tokens) & set(tokenizer.special_ids)
            assert len(caption.tokens) <= 9
            assert caption.text == tokenizer.decode(caption.tokens)


@torch.no_grad()
def test_backward_captions_read_from_left_to_right(image_captioner, images):
    writer = image_captioner()
    ids = writer.tokenizer
    search = BeamSearch(3, length_penalty=1.0)
    pixels = torch.stack([writer.transform(image).image for image in images])
    for i, captions in enumerate(writer.write(images, search, backward=True)):
        words = captions[0].tokens
        # the model, given the caption in reading order, gives the same log-probability to its reading backwards
        text = torch.tensor([[ids.cls_id, *words, ids.sep_id]])
        output = writer.model(writer.normalize(pixels[i : i + 1]), text)
        log_probs = output.backward_logits.log_softmax(-1)
        each = log_probs.gather(1, output.backward_target.unsqueeze(1))
        complete = each.sum().item()
        cut_off = each[:-1].sum().item()  # where the search ended it by its length
        expected = complete if len(words) < 9 else cut_off
        assert captions[0].log_prob == pytest.approx(expected, abs=1e-4)


def test_the_mode_of_the_model_is_kept(image_captioner, images):
    writer = image_captioner()
    writer.model.train()
    first = writer.write(images, Greedy())
    assert writer.model.training
    # and dropout did not touch the captions
    assert writer.write(images, Greedy()) == first


def test_no_images(image_captioner):
    assert image_captioner().caption([]) == []


def test_one_image_is_no_list(image_captioner, images):
    for image in (images[0], "image.jpg"):
        with pytest.raises(ValueError, match="expected a list of images, got one"):
            image_captioner().caption(image)


def test_what_cannot_be_read(image_captioner, tmp_path):
    with pytest.raises(ValueError, match="nothing.jpg: the image is not there"):
        image_captioner().caption([tmp_path / "nothing.jpg"])


def test_a_forward_captioner_writes_forwards_only(image_captioner, images):
    writer = image_captioner(backward=False)
    writer.caption(images)
    with pytest.raises(ValueError, match="no backward decoder, it writes forwards"):
        writer.caption(images, backward=True)
