# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchmultimodal_reid.architectures.masked_streams import split_fused
from torchmultimodal_reid.architectures.mmet_pretraining import predict_masked
from torchmultimodal_reid.modules.encoders.protocols import EncoderOutput
from torchmultimodal_reid.modules.masking.multimodal import MultimodalMask

MASKED = {"mim", "mlm", "mmm_image", "mmm_text"}
EMBEDDINGS = {"image_embedding", "text_embedding"}


@pytest.fixture
def mask(pairs):
    # other numbers of patches and words in each row
    masked_patches = torch.arange(8) < torch.tensor([[1], [2], [3], [5]])
    masked_tokens = torch.zeros(4, 7, dtype=torch.bool)
    masked_tokens[[0, 0, 1, 2, 3], [1, 6, 2, 3, 4]] = True
    masked_text = pairs.text.masked_fill(masked_tokens, 4)
    return MultimodalMask(masked_patches, masked_tokens, masked_text)


def present(output):
    return {name for name, value in output._asdict().items() if value is not None}


class TestFields:
    def test_paired(self, build_pretraining, pairs):
        output = build_pretraining()(*pairs)
        assert present(output) == MASKED | EMBEDDINGS | {"itm", "logit_scale"}

    def test_images_alone(self, build_pretraining, pairs):
        output = build_pretraining()(pairs.image, identity=pairs.identity)
        assert present(output) == {"mim", "mmm_image", "logit_scale"}

    def test_captions_alone(self, build_pretraining, pairs):
        output = build_pretraining()(
            text=pairs.text, text_padding=pairs.text_padding, identity=pairs.identity
        )
        assert present(output) == {"mlm", "mmm_text", "logit_scale"}

    @pytest.mark.parametrize(
        "left_out, gone",
        [
            ("mim", {"mim"}),
            ("mlm", {"mlm"}),
            ("mmm", {"mmm_image", "mmm_text"}),
            ("itm", {"itm"}),
        ],
    )
    def test_a_head_that_was_left_out(self, build_pretraining, pairs, left_out, gone):
        model = build_pretraining(**{left_out: False})
        everything = MASKED | EMBEDDINGS | {"itm", "logit_scale"}
        assert present(model(*pairs)) == everything - gone

    def test_the_same_fields_in_evaluation(self, build_pretraining, pairs):
        model = build_pretraining().eval()
        assert len(present(model(*pairs))) == 8


class TestMaskedPrediction:
    def test_heads_run_on_masked_positions_only(self, build_pretraining, pairs, mask):
        model = build_pretraining()
        rows = {}
        for name in MASKED:
            getattr(model, f"{name}_head").register_forward_hook(
                lambda module, inputs, output, name=name: rows.update(
                    {name: inputs[0].shape}
                )
            )
        model(*pairs, mask=mask)
        # 1 + 2 + 3 + 5 patches, 2 + 1 + 1 + 1 words
        assert rows == {
            "mim": (11, 16),
            "mmm_image": (11, 32),
            "mlm": (5, 24),
            "mmm_text": (5, 32),
        }

    def test_each_token_predicts_what_stood_there(self, build_pretraining, pairs, mask):
        model = build_pretraining().eval()
        output = model(*pairs, mask=mask)
        seen = model.mmet(*pairs[:3], mask)
        # the multimodal tokens: [CLS_M], [CLS_I], 8 patches, 7 words
        for masked, head, tokens, where in (
            (output.mim, model.mim_head, seen.image.tokens[:, 1:], 0),
            (output.mlm, model.mlm_head, seen.text.tokens, 1),
            (output.mmm_image, model.mmm_image_head, seen.multimodal[:, 2:10], 0),
            (output.mmm_text, model.mmm_text_head, seen.multimodal[:, 10:], 1),
        ):
            assert_close(masked.prediction, head(tokens)[mask[where]])
        pixels = model.image_targets(pairs.image)[mask.masked_patches]
        assert torch.equal(output.mim.target, pixels)
        assert torch.equal(output.mmm_image.target, pixels)
        words = pairs.text[[0, 0, 1, 2, 3], [1, 6, 2, 3, 4]]
        assert torch.equal(output.mlm.target, words)
        assert torch.equal(output.mmm_text.target, words)

    @pytest.mark.parametrize("contrast_masked", [True, False])
    def test_what_is_masked_does_not_leak(
        self, build_pretraining, pairs, mask, contrast_masked
    ):
        model = build_pretraining(contrast_masked=contrast_masked).eval()
        hidden = mask.masked_patches.view(4, 1, 4, 2)
        hidden = hidden.repeat_interleave(8, 2).repeat_interleave(8, 3)
        other = pairs._replace(
            image=torch.where(hidden, torch.randn(pairs.image.shape), pairs.image),
            text=torch.where(mask.masked_tokens, 24 - pairs.text, pairs.text),
        )
        expected, got = model(*pairs, mask=mask), model(*other, mask=mask)
        for name in MASKED:
            ours, theirs = getattr(got, name), getattr(expected, name)
            assert torch.equal(ours.prediction, theirs.prediction)
            assert not torch.equal(ours.target, theirs.target)
        # the pairs that do belong together
        assert torch.equal(got.itm.logits[:4], expected.itm.logits[:4])
        for name in EMBEDDINGS:
            same = torch.equal(getattr(got, name), getattr(expected, name))
            assert same == contrast_masked

    def test_the_mask_is_drawn_from_the_generator(self, build_pretraining, pairs):
        model = build_pretraining().eval()

        def draw(seed):
            return model(*pairs, generator=torch.Generator().manual_seed(seed))

        assert_close(draw(0), draw(0), rtol=0, atol=0)
        assert not torch.equal(draw(0).mim.target, draw(1).mim.target)

    def test_targets_of_another_patch_size(self, build_pretraining, pairs):
        model = build_pretraining(patch_size=16)
        with pytest.raises(ValueError, match="2 targets .* 8 tokens.* patch_size"):
            model(*pairs)

    def test_a_missing_part_predicts_nothing(self):
        parts = [nn.Identity(), torch.ones(1, 3), torch.ones(1, 2)]
        parts.append(torch.tensor([[True, False]]))
        assert predict_masked(*parts).prediction.shape == (1, 3)
        for i in range(4):
            assert predict_masked(*parts[:i], None, *parts[i + 1 :]) is None


class TestContrast:
    def test_embeddings_are_normalised_projections(self, build_pretraining, pairs):
        model = build_pretraining().eval()
        output = model(*pairs)
        mmet = model.mmet
        seen = mmet(*pairs[:3])
        for got, projection, cls in (
            (output.image_embedding, mmet.image_projection, seen.image.cls),
            (output.text_embedding, mmet.text_projection, seen.text.cls),
        ):
            assert_close(got, nn.functional.normalize(projection(cls), dim=-1))
            assert_close(got.norm(dim=1), torch.ones(4))

    def test_of_the_masked_stream(self, build_pretraining, pairs, mask):
        model = build_pretraining(contrast_masked=True).eval()
        encoded = []
        model.mmet.image_encoder.register_forward_hook(
            lambda module, inputs, output: encoded.append(output)
        )
        output = model(*pairs, mask=mask)
        assert len(encoded) == 1  # no second pass
        expected = model.mmet.image_projection(encoded[0].cls)
        assert_close(output.image_embedding, nn.functional.normalize(expected, dim=-1))

    def test_float32_under_autocast(self, build_pretraining, pairs):
        with torch.autocast("cpu", torch.bfloat16):
            output = build_pretraining()(*pairs)
        assert output.image_embedding.dtype == torch.float32
        assert output.text_embedding.dtype == torch.float32

    def test_the_scale_is_bounded_and_can_come_back(self, build_pretraining, pairs):
        model = build_pretraining()
        with torch.no_grad():
            model.log_logit_scale.fill_(math.log(500))
        scale = model(*pairs).logit_scale
        assert math.isclose(scale.item(), 100, rel_tol=1e-5)
        # a bound that cut the gradient would hold the scale where it is for ever
        scale.backward()
        assert model.log_logit_scale.grad > 0


def test_split_fused():
    fused = torch.arange(8.0).view(1, 8, 1)  # [CLS_M], [CLS_I], 3 patches, 3 words
    image = EncoderOutput(*[torch.zeros(1, 4, 1)] * 2)
    text = EncoderOutput(*[torch.zeros(1, 3, 1)] * 2)
    image_tokens, text_tokens = split_fused(fused, image, text)
    assert image_tokens.flatten().tolist() == [2, 3, 4]
    assert text_tokens.flatten().tolist() == [5, 6, 7]
    image_tokens, text_tokens = split_fused(fused[:, :5], image, None)
    assert image_tokens.flatten().tolist() == [2, 3, 4] and text_tokens is None
    image_tokens, text_tokens = split_fused(fused[:, :4], None, text)
    assert image_tokens is None and text_tokens.flatten().tolist() == [1, 2, 3]
