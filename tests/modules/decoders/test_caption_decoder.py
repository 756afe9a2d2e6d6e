# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torch import nn
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.modules.decoders.caption_decoder import CaptionDecoder
from torchmultimodal_reid.modules.layers.cached_attention import (
    CachedCrossAttention,
    CachedSelfAttention,
)
from torchmultimodal_reid.modules.layers.caption_decoder_layer import (
    CaptionDecoderLayer,
)


def build(norm_first=False, causal=True, dropout=0.0):
    torch.manual_seed(0)
    layers = [CaptionDecoderLayer(16, 4, 32, dropout, norm_first) for _ in range(2)]
    decoder = CaptionDecoder(layers, Fp32LayerNorm(16) if norm_first else None, causal)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=0.4)
    return decoder


def inputs(b=3, s=5, n=6):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(b, s, 16, generator=generator)
    return tokens, torch.randn(b, n, 16, generator=generator)


def reference(decoder):
    """PyTorch's decoder with the same weights."""
    first = decoder.layers[0]
    layer = nn.TransformerDecoderLayer(
        16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=first.norm_first
    )
    theirs = nn.TransformerDecoder(
        layer, 2, nn.LayerNorm(16) if first.norm_first else None
    )
    with torch.no_grad():
        for own, layer in zip(decoder.layers, theirs.layers):
            cross = own.cross_attention
            for name in ("weight", "bias"):
                pairs = (
                    (own.attention.input_proj, layer.self_attn, "in_proj_" + name),
                    (own.attention.output_proj, layer.self_attn.out_proj, name),
                    (cross.output_proj, layer.multihead_attn.out_proj, name),
                    (own.feedforward["inner"], layer.linear1, name),
                    (own.feedforward["outer"], layer.linear2, name),
                    (own.attention_norm, layer.norm1, name),
                    (own.cross_attention_norm, layer.norm2, name),
                    (own.feedforward_norm, layer.norm3, name),
                )
                for ours, module, their_name in pairs:
                    getattr(module, their_name).copy_(getattr(ours, name))
                both = (cross.query_proj, cross.key_value_proj)
                getattr(layer.multihead_attn, "in_proj_" + name).copy_(
                    torch.cat([getattr(part, name) for part in both])
                )
        if decoder.norm is not None:
            theirs.norm.load_state_dict(decoder.norm.state_dict())
    return theirs


@pytest.mark.parametrize("norm_first", [False, True])
def test_equals_pytorchs(norm_first):
    decoder = build(norm_first)
    tokens, grid = inputs()
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected = reference(decoder)(tokens, grid, tgt_mask=future)
    torch.testing.assert_close(decoder(tokens, grid), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_only_tokens_that_count(norm_first):
    decoder = build(norm_first)
    tokens, grid = inputs()
    counts = torch.arange(5) < torch.tensor([[5], [2], [3]])
    expected = decoder(tokens, grid)[counts]
    got = decoder.at(tokens, grid, counts)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_all_tokens_where_each_looks_at_all():
    decoder = build(causal=False)
    with pytest.raises(ValueError, match="looks at all tokens: call it with text_pad"):
        decoder.at(*inputs(), torch.ones(3, 5, dtype=torch.bool))


@torch.no_grad()
@pytest.mark.parametrize("norm_first", [False, True])
def test_step_by_step_equals_at_once(norm_first):
    decoder = build(norm_first).eval()
    tokens, grid = inputs()
    cache = decoder.start(grid)
    assert cache.length == 0
    for i in range(5):
        step, cache = decoder.step(tokens[:, i : i + 1], cache)
        expected = decoder(tokens[:, : i + 1], grid)[:, -1:]
        torch.testing.assert_close(step, expected, rtol=0, atol=1e-5)
        assert cache.length == i + 1


@torch.no_grad()
def test_beams_share_the_images_keys():
    decoder = build().eval()
    tokens, grid = inputs(b=4, s=2)
    grid = grid[:2]
    cache = decoder.start(grid)
    _, cache = decoder.step(tokens[:2, :1], cache)
    # both images go on in two rows each, the second image's in the other order
    rows = torch.tensor([0, 0, 1, 1])
    step, grown = decoder.step(tokens[:, 1:], cache.select(rows))
    assert grown.memory is cache.memory
    for row, image in enumerate(rows.tolist()):
        prefix = torch.stack([tokens[image, 0], tokens[row, 1]]).unsqueeze(0)
        expected = decoder(prefix, grid[image : image + 1])[0, -1:]
        torch.testing.assert_close(step[row], expected, rtol=0, atol=1e-5)


def test_what_comes_later_changes_nothing():
    decoder = build()
    tokens, grid = inputs()
    changed = torch.cat([tokens[:, :3], tokens[:, 3:] + 1], dim=1)
    before, after = decoder(tokens, grid), decoder(changed, grid)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert (before[:, 3:] - after[:, 3:]).abs().max() > 0.01


def test_without_order_padding_is_not_looked_at():
    decoder = build(causal=False)
    tokens, grid = inputs()
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [True] * 5])
    changed = torch.where(padding.unsqueeze(-1), tokens + 1, tokens)
    before, after = decoder(tokens, grid, padding), decoder(changed, grid, padding)
    torch.testing.assert_close(before[~padding], after[~padding])
    assert before.isfinite().all()
    # and what comes later is looked at
    later = tokens.clone()
    later[0, 4] = -later[0, 4]
    assert (decoder(later, grid, padding)[0, 0] - before[0, 0]).abs().max() > 1e-5


def test_dropout_is_for_training():
    decoder = build(dropout=0.5)
    tokens, grid = inputs()
    assert not torch.equal(decoder(tokens, grid), decoder(tokens, grid))
    decoder.eval()
    assert torch.equal(decoder(tokens, grid), decoder(tokens, grid))


@pytest.mark.parametrize("attention", [CachedSelfAttention, CachedCrossAttention])
def test_heads_that_do_not_divide(attention):
    with pytest.raises(ValueError, match="d_model 16 is not a multiple of n_head 3"):
        attention(16, 3)
