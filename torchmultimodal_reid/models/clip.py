# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""MMET on CLIP's encoders (https://arxiv.org/abs/2103.00020), with its published weights if asked for."""

from typing import Dict, Mapping, Tuple

from torch import hub, nn, Tensor
from torchmultimodal.models.clip.model import CLIP_MODEL_MAPPING
from torchmultimodal.modules.layers.normalizations import Fp32LayerNorm
from torchmultimodal_reid.architectures.mmet import MMET
from torchmultimodal_reid.models.clip_encoders import (
    clip_image_encoder,
    clip_text_encoder,
)
from torchmultimodal_reid.models.mmet import check_heads
from torchmultimodal_reid.models.mmet_encoders import transformer
from torchmultimodal_reid.modules.encoders.multimodal_encoder import (
    MultimodalTransformerEncoder,
)
from torchmultimodal_reid.modules.layers.initialization import (
    initialize_transformer_weights,
)
from torchmultimodal_reid.utils.clip_key_maps import (
    CLIP_IGNORED,
    clip_to_mmet,
    openai_to_clip,
)
from torchmultimodal_reid.utils.key_maps import fit_positions
from torchmultimodal_reid.utils.state_dict import load_state_dict, LoadReport

# of an MMET, what CLIP has no weights for
NOT_CLIPS = ("mm_encoder.*", "image_to_mm.*", "text_to_mm.*")


def mmet_clip(
    *,
    image_size: Tuple[int, int] = (224, 224),
    patch_size: int = 16,
    vocab_size: int = 49408,
    max_text_length: int = 77,
    image_d_model: int = 768,
    image_n_layer: int = 12,
    image_n_head: int = 12,
    text_d_model: int = 512,
    text_n_layer: int = 12,
    text_n_head: int = 8,
    mm_d_model: int = 768,
    mm_n_layer: int = 6,
    mm_n_head: int = 12,
    mm_dim_feedforward: int = 3072,
    projection_dim: int = 512,
    quick_gelu: bool = True,
) -> MMET:
    """An MMET whose image and text encoder are TorchMultimodal's of CLIP. The defaults are CLIP ViT-B/16's sizes.

    It is a model for re-identification and for contrasts. It has no masking: CLIP's vocabulary has no [MASK], and its
    text encoder does not look ahead. Checkpoints of the recipes, which hold a WordPiece tokeniser, do not know it.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels, multiples of ``patch_size``. Default: (224, 224).
        patch_size (int): Side of a patch in pixels. Default: 16.
        vocab_size (int): Ids of the tokeniser. Default: 49408, CLIP's.
        max_text_length (int): The longest caption in tokens, start and end included. Default: 77.
        image_d_model (int), image_n_layer (int), image_n_head (int): Sizes of the image encoder, whose feed-forward
            blocks are four times as wide, as are the text encoder's. Defaults: 768, 12, 12.
        text_d_model (int), text_n_layer (int), text_n_head (int): Sizes of the text encoder. Defaults: 512, 12, 8.
        mm_d_model (int), mm_n_layer (int), mm_n_head (int), mm_dim_feedforward (int): Sizes of the multimodal
            encoder; ``mm_d_model`` is the embedding's. Defaults: 768, 6, 12, 3072.
        projection_dim (int): Width of the contrastive space. Default: 512.
        quick_gelu (bool): ``x * sigmoid(1.702 * x)``, which OpenAI trained with. False for GELU, which most weights
            that open_clip's authors trained need; no file tells which. Default: True.

    Returns:
        MMET: With random weights.

    Raises:
        ValueError: If a width is not a multiple of its number of heads, or the image not one of its patches.
    """
    check_heads(
        image=(image_d_model, image_n_head),
        text=(text_d_model, text_n_head),
        mm=(mm_d_model, mm_n_head),
    )
    model = MMET(
        image_encoder=clip_image_encoder(
            image_size=image_size,
            patch_size=patch_size,
            d_model=image_d_model,
            n_layer=image_n_layer,
            n_head=image_n_head,
            quick_gelu=quick_gelu,
        ),
        text_encoder=clip_text_encoder(
            vocab_size=vocab_size,
            max_length=max_text_length,
            d_model=text_d_model,
            n_layer=text_n_layer,
            n_head=text_n_head,
            quick_gelu=quick_gelu,
        ),
        mm_encoder=MultimodalTransformerEncoder(
            transformer(mm_n_layer, mm_d_model, mm_n_head, mm_dim_feedforward),
            Fp32LayerNorm(mm_d_model, eps=1e-12),
            mm_d_model,
        ),
        image_to_mm=nn.Linear(image_d_model, mm_d_model),
        text_to_mm=nn.Linear(text_d_model, mm_d_model),
        image_projection=nn.Linear(image_d_model, projection_dim, bias=False),
        text_projection=nn.Linear(text_d_model, projection_dim, bias=False),
    )
    for name, part in model.named_children():
        if name not in ("image_encoder", "text_encoder"):
            initialize_transformer_weights(part)
    return model


def mmet_clip_vit_b16(
    *,
    image_size: Tuple[int, int] = (224, 224),
    max_text_length: int = 77,
    quick_gelu: bool = True,
    pretrained: bool = False,
    interpolate_positions: bool = False,
) -> MMET:
    """An MMET on CLIP ViT-B/16's encoders, with OpenAI's weights of them if asked for; the rest is random.

    The text encoder reads the ids of CLIP's byte-pair encoding and no others: 49406 begins a caption, 49407 ends it,
    49,406 pieces of words are numbered from 0. That tokeniser is not in this library, which has WordPiece alone, and
    its table of merges is not shipped. Each of these fetches it once::

        torchmultimodal.transforms.clip_transform.CLIPTextTransform()
        tokenizers.Tokenizer.from_pretrained("openai/clip-vit-base-patch16")
        open_clip.get_tokenizer("ViT-B-16")  # pip install open_clip_torch

    The first and the last fill up captions with 0, which is a word too ("!"), so padding is not known by its id: give
    ``text_padding``, True after the first 49407, which :func:`clip_padding` makes. Images are normalised with CLIP's
    own mean and deviation, ``CLIP_DEFAULT_MEAN`` and ``CLIP_DEFAULT_STD`` in that ``clip_transform``.

    Args:
        image_size (Tuple[int, int]): Height and width in pixels, multiples of 16. Default: (224, 224), CLIP's.
        max_text_length (int): The longest caption in tokens, at most 77 with the weights. Default: 77.
        quick_gelu (bool): See :func:`mmet_clip`. Default: True, as OpenAI's weights need it.
        pretrained (bool): Download the weights as TorchMultimodal publishes them, and load them strictly. Other
            weights come from :func:`load_clip`. Default: False.
        interpolate_positions (bool): Interpolate the weights' position embeddings for images of another size than
            CLIP's, which is refused otherwise. Default: False.

    Raises:
        ValueError: If the image is no multiple of its patches.
        CheckpointError: If the weights do not fit the arguments.
    """
    model = mmet_clip(
        image_size=image_size, max_text_length=max_text_length, quick_gelu=quick_gelu
    )
    if pretrained:
        state = hub.load_state_dict_from_url(
            CLIP_MODEL_MAPPING["vit_b16"], map_location="cpu", weights_only=True
        )
        load_clip(model, state, interpolate_positions=interpolate_positions)
    return model


def load_clip(
    model: MMET, state: Mapping[str, Tensor], *, interpolate_positions: bool = False
) -> LoadReport:
    """Loads CLIP's encoders and projections into an MMET of :func:`mmet_clip` of the same widths and depths.

    Only positions may differ in number: those of patches are interpolated if asked for, those of words past the
    model's longest caption are left out. The multimodal encoder keeps its values: CLIP has none.

    Args:
        model (MMET): Is filled in place.
        state (Mapping[str, Tensor]): The state dict of OpenAI's CLIP (of ``torch.jit.load(file)``), of open_clip's
            class ``CLIP`` (entry ``"state_dict"`` of its files), or of TorchMultimodal's; of any floating dtype.
        interpolate_positions (bool): Whether to interpolate the positions of another grid of patches. Default: False

    Returns:
        LoadReport: What was loaded, what kept its values (:data:`NOT_CLIPS`), what was left out.

    Raises:
        CheckpointError: If anything else is missing, unexpected or of another shape.
    """

    def rename(given: Dict[str, Tensor]) -> Dict[str, Tensor]:
        given = openai_to_clip(given)
        image, text = (f"encoder_{part}.positional_embedding" for part in "ab")
        if image in given and given[image].ndim == 2:
            given[image] = fit_positions(
                given[image].unsqueeze(0), model.grid, interpolate_positions, "CLIP"
            ).squeeze(0)
        if text in given:
            given[text] = given[text][: model.text_encoder.max_length]
        return clip_to_mmet(given)

    return load_state_dict(
        model,
        state,
        key_map=rename,
        ignored=(*CLIP_IGNORED, *(f"module.{name}" for name in CLIP_IGNORED)),
        allowed_missing=NOT_CLIPS,
        source="CLIP's weights",
    )


def clip_padding(text: Tensor, end_id: int = 49407) -> Tensor:
    """Where captions of CLIP's tokeniser are filled up: True after the first ``end_id`` of each row.

    Args:
        text (Tensor): Token ids of shape ``(b, s)``.
        end_id (int): That ends a caption. Default: 49407, CLIP's.

    Returns:
        Tensor: Bool of shape ``(b, s)``.
    """
    is_end = text == end_id
    return (is_end.cumsum(dim=1) - is_end.long()) > 0
