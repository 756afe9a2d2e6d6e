# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchmultimodal_reid.models.mmet import mmet_for_reid


@pytest.fixture
def model(build_mmet):
    model = mmet_for_reid(build_mmet(), num_identities=3)
    with torch.no_grad():  # what training would have left in the neck
        model.neck.norm.running_mean.normal_()
        model.neck.norm.running_var.uniform_(0.5, 2)
        model.neck.norm.weight.uniform_(0.5, 2)
    return model.eval()


def queries(pairs):
    """The three kinds of query, by the name of their output."""
    image, *text = pairs[:3]
    return {"fused": (image, *text), "image": (image,), "text": (None, *text)}


KINDS = ["fused", "image", "text"]


class TestEmbed:
    @pytest.mark.parametrize("kind", KINDS)
    def test_unit_length(self, model, pairs, kind):
        embedding = model.embed(*queries(pairs)[kind])
        assert embedding.shape == (4, 32) and embedding.dtype == torch.float32
        assert_close(embedding.norm(dim=1), torch.ones(4))

    @pytest.mark.parametrize("kind", KINDS)
    def test_unit_length_under_autocast(self, model, pairs, kind):
        query = queries(pairs)[kind]
        exact = model.embed(*query)
        with torch.autocast("cpu", torch.bfloat16):
            embedding = model.embed(*query)
        assert embedding.dtype == torch.float32
        assert_close(embedding.norm(dim=1), torch.ones(4))
        assert ((embedding * exact).sum(dim=1) > 0.999).all()

    def test_unit_length_of_a_model_in_half_precision(self, model, pairs):
        image, *text = pairs[:3]
        embedding = model.to(torch.bfloat16).embed(image.bfloat16(), *text)
        assert embedding.dtype == torch.float32
        # rounded to bfloat16 it would be off by some thousandths
        assert_close(embedding.norm(dim=1), torch.ones(4), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("kind", ["image", "text"])
    def test_it_is_what_the_neck_was_trained_to_give(self, model, pairs, kind):
        neck = getattr(model(*pairs[:3]), kind)
        expected = nn.functional.normalize(neck.normalized_embedding, dim=-1)
        assert_close(model.embed(*queries(pairs)[kind]), expected)

    def test_by_keyword(self, model, pairs):
        embedding = model.embed(text=pairs.text, text_padding=pairs.text_padding)
        assert torch.equal(embedding, model.embed(None, *pairs[1:3]))

    @pytest.mark.parametrize("kind", KINDS)
    def test_neighbours_change_nothing(self, model, pairs, kind):
        query = queries(pairs)[kind]
        together = model.embed(*query)
        for row in range(4):
            alone = [part if part is None else part[row : row + 1] for part in query]
            if len(alone) == 3:  # and neither does the padding that they bring
                length = int((~alone[2]).sum())
                alone[1:] = alone[1][:, :length], None
            assert_close(model.embed(*alone)[0], together[row], rtol=0, atol=1e-6)

    def test_padding_further_changes_nothing(self, model, pairs):
        image, text, padding, _ = pairs
        longer = nn.functional.pad(text, (0, 5))
        told = nn.functional.pad(padding, (0, 5), value=True)
        for given in (image, None):
            assert_close(
                model.embed(given, longer, told),
                model.embed(given, text, padding),
                rtol=0,
                atol=1e-6,
            )

    def test_training_mode_is_refused(self, model, pairs):
        with pytest.raises(ValueError, match="training mode; call model.eval"):
            model.train().embed(pairs.image)

    def test_wrong_input(self, model, pairs):
        with pytest.raises(ValueError, match="got neither image nor text"):
            model.embed()
        with pytest.raises(ValueError, match="got 2 images and 4 captions"):
            model.embed(pairs.image[:2], pairs.text)


class TestCaptionWeight:
    @pytest.mark.parametrize("weight", [0.0, 0.15, 1.0])
    def test_of_a_query_by_both(self, build_mmet, pairs, weight):
        model = mmet_for_reid(build_mmet(), num_identities=3, caption_weight=weight)
        model.eval()
        fused = nn.functional.normalize(
            model(*pairs[:3]).fused.normalized_embedding, dim=-1
        )
        expected = fused + model.embed(pairs.image)
        expected = expected + weight * model.embed(None, *pairs[1:3])
        assert_close(model.embed(*pairs[:3]), nn.functional.normalize(expected, dim=-1))

    @pytest.mark.parametrize("weight", [-0.1, float("nan")])
    def test_out_of_range(self, build_mmet, weight):
        with pytest.raises(ValueError, match=f"must be 0 or above, got {weight}"):
            mmet_for_reid(build_mmet(), num_identities=3, caption_weight=weight)


class TestForward:
    def test_each_kind_is_the_mean_of_two_fused_class_tokens(self, model, pairs):
        output = model(*pairs[:3])
        for kind, query in queries(pairs).items():
            cls_m, cls_of_image_or_text = model.mmet(*query).multimodal[:, :2].unbind(1)
            expected = (cls_m + cls_of_image_or_text) / 2
            assert_close(getattr(output, kind).embedding, expected)
            logits = getattr(output, kind).logits
            assert_close(logits, model.neck(expected).logits)

    def test_one_modality(self, model, pairs):
        output = model(pairs.image)
        assert output.fused is None and output.text is None
        assert output.image.logits.shape == (4, 3)
        output = model(text=pairs.text, text_padding=pairs.text_padding)
        assert output.fused is None and output.image is None
        assert output.text.logits.shape == (4, 3)

    def test_each_encoder_runs_once(self, model, pairs):
        calls = []
        for name in ("image_encoder", "text_encoder", "mm_encoder"):
            getattr(model.mmet, name).register_forward_hook(
                lambda module, inputs, output, name=name: calls.append(name)
            )
        model(*pairs[:3])
        assert calls == ["image_encoder", "text_encoder"] + ["mm_encoder"] * 3

    def test_wrong_input(self, model, pairs):
        with pytest.raises(ValueError, match="got neither image nor text"):
            model()
        with pytest.raises(ValueError, match="got 4 images and 1 captions"):
            model(pairs.image, pairs.text[:1])


class TestNeckSeesOneBatch:
    def test_its_statistics_are_of_all_three_kinds(self, model, pairs):
        norm = model.neck.norm
        norm.reset_running_stats()
        with torch.no_grad():
            norm.weight.fill_(1.0)
        output = model.train()(*pairs[:3])
        pooled = torch.cat([neck.embedding for neck in output])
        assert pooled.shape == (12, 32)
        assert_close(norm.running_mean, 0.1 * pooled.mean(dim=0))
        assert int(norm.num_batches_tracked) == 1
        # mean 0 and deviation 1 over the three together, not within each
        normalized = torch.cat([neck.normalized_embedding for neck in output])
        assert_close(normalized.mean(dim=0), torch.zeros(32), rtol=0, atol=1e-5)
        deviation = normalized.std(dim=0, unbiased=False)
        assert_close(deviation, torch.ones(32), rtol=0, atol=1e-2)
        assert output.text.normalized_embedding.mean(dim=0).abs().max() > 0.1

    def test_a_single_pair_can_be_trained_on(self, model, pairs):
        output = model.train()(*[part[:1] for part in pairs[:3]])
        assert output.fused.logits.shape == (1, 3)
