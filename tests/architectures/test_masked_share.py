# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch.testing import assert_close
from torchmultimodal_reid.modules.masking.row_draws import RowDraws


def seed():
    return torch.Generator().manual_seed(0)


def test_the_masked_stream_sees_a_share_and_the_contrast_all(build_pretraining, pairs):
    whole, half = build_pretraining(), build_pretraining(masked_share=0.5)
    output = half.eval()(*pairs, generator=seed())
    seen = [part[[0, 2]] for part in pairs]
    expected = whole.eval()(*seen, generator=seed())
    for name in ("mim", "mlm", "mmm_image", "mmm_text"):
        assert_close(getattr(output, name), getattr(expected, name))
    everything = whole(*pairs, generator=seed())
    assert_close(output.image_embedding, everything.image_embedding)
    assert_close(output.text_embedding, everything.text_embedding)


def test_matching_takes_its_negatives_from_the_share(build_pretraining, pairs):
    itm = build_pretraining(masked_share=0.5)(*pairs, generator=seed()).itm
    assert itm.is_match.tolist() == [True, True, False, False]


def test_one_sample_at_least(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.01, ratio=0.5)
    assert len(model(*pairs, generator=seed()).mim.prediction) == 4  # of 8 patches


def test_images_alone(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.5, ratio=0.5)
    output = model(pairs.image, generator=seed())
    assert len(output.mim.prediction) == 2 * 4 and output.image_embedding is None


def test_a_given_mask_is_for_all(build_pretraining, pairs):
    model = build_pretraining(masked_share=0.5, ratio=0.5)
    mask = model.mmet.draw_mask(pairs.image, pairs.text, seed())
    output = model(*pairs, mask=mask, generator=seed())
    assert len(output.mim.prediction) == 4 * 4
    assert len(output.itm.logits) == 8


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_mask_can_be_known_before(share, build_pretraining, pairs):
    model = build_pretraining(masked_share=share).eval()
    draws = lambda: RowDraws(3, torch.arange(4))
    mask = model.draw_mask(pairs.image, pairs.text, draws())
    expected = model(*pairs, generator=draws())
    assert mask.masked_patches.sum() == len(expected.mim.target)
    shown = pairs.text[:: round(1 / share)]
    assert torch.equal(shown[mask.masked_tokens], expected.mlm.target)
    assert model.draw_mask(text=pairs.text, generator=draws()).masked_patches is None


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_no_share(build_pretraining, share):
    with pytest.raises(ValueError, match=rf"in \(0, 1\], got {share}"):
        build_pretraining(masked_share=share)


class TestMaskedContrast:
    """The contrast has all of the batch, masked; the masked losses learn from a share of it."""

    @pytest.mark.parametrize("stream", ["replace", "drop"])
    def test_the_share_sees_what_the_whole_batch_would(
        self, build_pretraining, pairs, stream
    ):
        arguments = {"contrast_masked": True, "masked_stream": stream}
        arguments.update(decoder_dim=16, decoder_n_head=2)
        draws = lambda: RowDraws(3, torch.arange(4))
        whole = build_pretraining(**arguments).eval()
        half = build_pretraining(masked_share=0.5, **arguments).eval()
        expected, output = whole(*pairs, generator=draws()), half(
            *pairs, generator=draws()
        )
        assert_close(output.image_embedding, expected.image_embedding)
        assert_close(output.text_embedding, expected.text_embedding)
        masks = whole.draw_mask(pairs.image, pairs.text, draws())
        for name, masked in (
            ("mim", masks.masked_patches),
            ("mmm_image", masks.masked_patches),
            ("mlm", masks.masked_tokens),
            ("mmm_text", masks.masked_tokens),
        ):
            seen = torch.tensor([True, False, True, False])
            rows = seen.unsqueeze(1).expand_as(masked)[masked]
            for got, all_of_them in zip(getattr(output, name), getattr(expected, name)):
                assert_close(got, all_of_them[rows])
        assert output.itm.is_match.tolist() == [True, True, False, False]

    def test_the_mask_can_be_known_before(self, build_pretraining, pairs):
        model = build_pretraining(masked_share=0.5, contrast_masked=True).eval()
        draws = lambda: torch.Generator().manual_seed(5)
        mask = model.draw_mask(pairs.image, pairs.text, draws())
        expected = model(*pairs, generator=draws())
        assert mask.masked_patches.sum() == len(expected.mim.target)
        shown = pairs.text[[0, 2]]
        assert torch.equal(shown[mask.masked_tokens], expected.mlm.target)

    def test_images_alone_have_no_contrast_to_be_masked_for(
        self, build_pretraining, pairs
    ):
        model = build_pretraining(masked_share=0.5, contrast_masked=True)
        sizes = []
        model.mmet.image_encoder.register_forward_pre_hook(
            lambda module, inputs: sizes.append(len(inputs[0]))
        )
        model(pairs.image, generator=seed())
        assert sizes == [2]


class TestWholeCaptions:
    """The contrast of masked images with captions of which all is seen."""

    @pytest.mark.parametrize("share", [1.0, 0.5])
    def test_only_images_are_masked(self, build_pretraining, pairs, share):
        changed = {"masked_share": share, "contrast_masked": True}
        masked = build_pretraining(**changed).eval()(*pairs, generator=seed())
        model = build_pretraining(contrast_whole_text=True, **changed).eval()
        output = model(*pairs, generator=seed())
        assert_close(output.image_embedding, masked.image_embedding)
        text = model.mmet.encode_text(pairs.text, pairs.text_padding).cls
        expected = torch.nn.functional.normalize(
            model.mmet.text_projection(text), dim=-1
        )
        assert_close(output.text_embedding, expected)
        assert not torch.allclose(output.text_embedding, masked.text_embedding)
        # the masked losses are the same: they read masked captions
        for name in ("mim", "mlm", "mmm_image", "mmm_text"):
            assert_close(getattr(output, name), getattr(masked, name))

    def test_nothing_masked_to_contrast_with(self, build_pretraining):
        with pytest.raises(ValueError, match="but contrast_masked is False"):
            build_pretraining(contrast_whole_text=True)
