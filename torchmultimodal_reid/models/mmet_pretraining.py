# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Builders of what MMET's pretraining needs (https://arxiv.org/abs/2304.09498)."""

from typing import Any, Dict, Optional, Sequence, Tuple

from torch import nn, Tensor
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.architectures.drop_stream import DropStream
from torchmultimodal_reid.architectures.masked_streams import ReplaceStream
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.architectures.mmet_pretraining import MMETForPretraining
from torchmultimodal_reid.modules.layers.initialization import (
    initialize_transformer_weights,
    sine_positions,
)
from torchmultimodal_reid.modules.layers.masked_decoder import (
    CrossAttentionLayer,
    MaskedTokenDecoder,
    MaskTokens,
)
from torchmultimodal_reid.modules.layers.prediction_head import PredictionHead
from torchmultimodal_reid.modules.masking.multimodal import MaskedMultimodalModeling
from torchmultimodal_reid.modules.masking.patch_masking import (
    BlockPatchMasking,
    RandomPatchMasking,
)
from torchmultimodal_reid.modules.masking.targets import CodebookTargets, PixelTargets
from torchmultimodal_reid.modules.masking.token_masking import TokenMasking


def multimodal_masking(
    *,
    vocab_size: int = 30522,
    mask_id: int = 103,
    special_ids: Sequence[int] = (0, 100, 101, 102, 103),
    continuation: Optional[Tensor] = None,
    patch_ratio: Tuple[float, float] = (0.3, 0.5),
    token_ratio: Tuple[float, float] = (0.15, 0.3),
    block_wise: bool = True,
) -> MaskedMultimodalModeling:
    """Masked Multimodal Modelling's masking of patches and words, with ratios drawn afresh at every step.

    Args:
        vocab_size (int): Ids of the tokeniser. Default: 30522.
        mask_id (int): Id of [MASK]. Default: 103, BERT's.
        special_ids (Sequence[int]): Ids that are never masked, padding among them. Default: BERT's.
        continuation (Optional[Tensor]): Bool of shape ``(vocab_size,)``, True for pieces that go on a word. Given,
            whole words are masked. Default: None.
        patch_ratio (Tuple[float, float]): Range of the share of masked patches. Default: (0.3, 0.5).
        token_ratio (Tuple[float, float]): Range of the share of masked tokens. Default: (0.15, 0.3).
        block_wise (bool): Mask rectangles as BEiT does, rather than single patches. Default: True.
    """
    patch_masking = (
        BlockPatchMasking(patch_ratio)
        if block_wise
        else RandomPatchMasking(patch_ratio)
    )
    return MaskedMultimodalModeling(
        patch_masking,
        TokenMasking(
            vocab_size,
            mask_id,
            special_ids,
            continuation=continuation,
            ratio=token_ratio,
        ),
    )


def mmet_for_pretraining(
    model: MMET,
    *,
    vocab_size: int = 30522,
    patch_size: int = 16,
    mim: bool = True,
    mlm: bool = True,
    mmm: bool = True,
    itm: bool = True,
    masked_stream: str = "replace",
    decoder_dim: int = 192,
    decoder_n_layer: int = 1,
    decoder_n_head: int = 3,
    contrast_masked: Optional[bool] = None,
    contrast_whole_text: bool = False,
    masked_share: float = 1.0,
    negative_share: float = 1.0,
    normalize_pixels: bool = True,
    codebook: Optional[nn.Module] = None,
    codebook_size: int = 8192,
    codebook_method: str = "forward",
    codebook_scale: float = 1.0,
) -> MMETForPretraining:
    """``model`` with the heads of its pretraining.

    Args:
        model (MMET): From one of MMET's builders, built with ``masking``. It is used, not copied.
        vocab_size (int): Ids of the tokeniser. Default: 30522.
        patch_size (int): Side of a patch in pixels, the model's. Default: 16.
        mim (bool): Masked image modelling on the image encoder. Default: True.
        mlm (bool): Masked language modelling on the text encoder. Default: True.
        mmm (bool): Both, on the multimodal encoder. Default: True.
        itm (bool): Image-text matching. Default: True.
        masked_stream (str): "replace": all encoders see mask tokens where patches and words are hidden, as in FLAVA.
            "drop": they see the visible ones alone and light decoders complete them, see
            :class:`~torchmultimodal_reid.architectures.drop_stream.DropStream`. The encoders' weights have the same
            names and shapes. Default: "replace".
        decoder_dim (int), decoder_n_layer (int), decoder_n_head (int): Sizes of each decoder of "drop".
            Defaults: 192, 1, 3.
        contrast_masked (Optional[bool]): Contrast the masked stream rather than a second one that sees all. Default:
            None, True for "drop", so that one pass serves all losses, and False for "replace".
        contrast_whole_text (bool): With a masked contrast, contrast captions of which all words are seen, as FLIP does,
            by a second pass of the text encoder alone. Default: False.
        masked_share (float): Share of the batch that the masked losses learn from; the contrast has all of it.
            Default: 1.0.
        negative_share (float): Share of the images that image-text matching also pairs with a wrong caption.
            Default: 1.0.
        normalize_pixels (bool): Predict pixels relative to their patch's mean and deviation, as MAE does, which asks
            for texture; without it for colour. Default: True.
        codebook (Optional[nn.Module]): Images to ``(b, rows, columns)`` code indices, to be predicted in place of
            normalised pixels. Default: None.
        codebook_size (int): Entries of ``codebook``. Default: 8192.
        codebook_method (str): Name of the method that gives them, "encode" for TorchMultimodal's ``VQVAE``.
            Default: "forward".
        codebook_scale (float): Images are resized by this factor for the codebook; the dVAE's codes of 8 pixels need
            0.5 for patches of 16. Default: 1.0.
    """
    if masked_stream not in ("replace", "drop"):
        raise ValueError(
            f"masked_stream must be 'replace' or 'drop', got {masked_stream!r}"
        )
    image_dim, text_dim, mm_dim = _widths(model)
    stream: nn.Module = ReplaceStream()
    if masked_stream == "drop":
        stream = drop_stream(
            model,
            mim=mim,
            mlm=mlm,
            mmm=mmm,
            d_model=decoder_dim,
            n_layer=decoder_n_layer,
            n_head=decoder_n_head,
        )
        image_dim = text_dim = mm_dim = decoder_dim
    targets: nn.Module = PixelTargets(patch_size, normalize_pixels)
    patch_dim = 3 * patch_size**2
    if codebook is not None:
        targets = CodebookTargets(
            codebook, patch_size, method=codebook_method, scale=codebook_scale
        )
        patch_dim = codebook_size

    def head(used: bool, d_model: int, out_dim: int) -> Optional[PredictionHead]:
        return PredictionHead(d_model, out_dim) if used else None

    heads: Dict[str, Any] = {
        "mim_head": head(mim, image_dim, patch_dim),
        "mlm_head": head(mlm, text_dim, vocab_size),
        "mmm_image_head": head(mmm, mm_dim, patch_dim),
        "mmm_text_head": head(mmm, mm_dim, vocab_size),
        "itm_head": nn.Linear(_widths(model)[2], 2) if itm else None,
    }
    for part in heads.values():
        if part is not None:
            initialize_transformer_weights(part)
    if contrast_masked is None:
        contrast_masked = masked_stream == "drop"
    return MMETForPretraining(
        model,
        image_targets=targets if mim or mmm else None,
        contrast_masked=contrast_masked,
        contrast_whole_text=contrast_whole_text,
        stream=stream,
        masked_share=masked_share,
        negative_share=negative_share,
        **heads,
    )


def drop_stream(
    model: MMET,
    *,
    mim: bool = True,
    mlm: bool = True,
    mmm: bool = True,
    d_model: int = 192,
    n_layer: int = 1,
    n_head: int = 3,
) -> DropStream:
    """A masked stream for ``model`` whose encoders see visible tokens only, with the decoders that are used.

    Args:
        model (MMET): From one of MMET's builders.
        mim (bool), mlm (bool), mmm (bool): Whether there is a decoder of the image, the text and the multimodal
            encoder. Defaults: True.
        d_model (int), n_layer (int), n_head (int): Sizes of each decoder. Defaults: 192, 1, 3.

    Raises:
        ValueError: If the width is not a multiple of the number of heads, or of 4.
    """
    if d_model % n_head:
        raise ValueError(
            f"decoder_dim {d_model} is not a multiple of its {n_head} heads"
        )
    image_dim, text_dim, mm_dim = _widths(model)

    def decoder(used: bool, width: int) -> Optional[MaskedTokenDecoder]:
        if not used:
            return None
        layers = [
            CrossAttentionLayer(d_model, n_head, 4 * d_model) for _ in range(n_layer)
        ]
        return MaskedTokenDecoder(
            nn.Linear(width, d_model), layers, Fp32LayerNorm(d_model, eps=1e-12)
        )

    text_encoder: Any = model.text_encoder
    stream = DropStream(
        MaskTokens(sine_positions(model.grid, d_model)),
        # [CLS] and a row of words
        MaskTokens(sine_positions((1, text_encoder.max_length - 1), d_model)),
        image_decoder=decoder(mim, image_dim),
        text_decoder=decoder(mlm, text_dim),
        mm_decoder=decoder(mmm, mm_dim),
    )
    initialize_transformer_weights(stream)
    return stream


def _widths(model: MMET) -> Tuple[int, int, int]:
    """Widths of the image, the text and the multimodal encoder."""
    image_to_mm: Any = model.image_to_mm
    text_to_mm: Any = model.text_to_mm
    return image_to_mm.in_features, text_to_mm.in_features, image_to_mm.out_features
