# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""BERT as a text encoder (https://arxiv.org/abs/1810.04805), with the names that Hugging Face publishes it under."""

import re
from typing import Dict, Mapping

import torch
from torch import Tensor
from torchmultimodal_reid.models.mmet import check_heads
from torchmultimodal_reid.models.mmet_encoders import text_transformer_encoder
from torchmultimodal_reid.modules.encoders.text_encoder import TextTransformerEncoder
from torchmultimodal_reid.modules.layers.initialization import (
    initialize_transformer_weights,
)
from torchmultimodal_reid.utils.state_dict import load_state_dict, LoadReport

# heads, and a buffer of older releases
BERT_IGNORED = ("cls.*", "pooler.*", "bert.pooler.*", "*embeddings.position_ids")

_NAMES = (
    # files of the first releases have TensorFlow's names of a norm's two vectors
    (r"\.LayerNorm\.gamma$", ".LayerNorm.weight"),
    (r"\.LayerNorm\.beta$", ".LayerNorm.bias"),
    (r"^embeddings\.LayerNorm\.", "embeddings.layer_norm."),
    (r"\.attention\.output\.dense\.", ".attention.output_proj."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_layernorm."),
    (r"\.intermediate\.dense\.", ".feedforward.model.0."),
    (r"(\.layer\.\d+)\.output\.dense\.", r"\1.feedforward.model.2."),
    (r"(\.layer\.\d+)\.output\.LayerNorm\.", r"\1.feedforward_layernorm."),
)
_QUERY = re.compile(r"\.attention\.self\.query\.(weight|bias)$")


def bert_text_encoder(
    *,
    vocab_size: int = 30522,
    max_length: int = 512,
    d_model: int = 768,
    n_layer: int = 12,
    n_head: int = 12,
    dim_feedforward: int = 3072,
    layer_norm_eps: float = 1e-12,
) -> TextTransformerEncoder:
    """BERT without its pooler: a text encoder for MMET. The defaults are ``bert-base-uncased``'s sizes.

    It takes the place of an MMET's own of the same width, ``model.text_encoder = bert_text_encoder()``. Its ids are of
    ``WordPieceTokenizer.from_vocab("vocab.txt")``, that file being published beside the weights. There is no dropout.

    Args:
        vocab_size (int): Ids of the tokeniser. Default: 30522.
        max_length (int): The longest caption in tokens. Default: 512.
        d_model (int), n_layer (int), n_head (int), dim_feedforward (int): Sizes. Defaults: 768, 12, 12, 3072.
        layer_norm_eps (float): Epsilon of all norms. Default: 1e-12.

    Returns:
        TextTransformerEncoder: With random weights.

    Raises:
        ValueError: If the width is not a multiple of the number of heads.
    """
    check_heads(text=(d_model, n_head))
    encoder = text_transformer_encoder(
        vocab_size=vocab_size,
        max_length=max_length,
        d_model=d_model,
        n_layer=n_layer,
        n_head=n_head,
        dim_feedforward=dim_feedforward,
        layer_norm_eps=layer_norm_eps,
        norm_first=False,
    )
    initialize_transformer_weights(encoder)
    return encoder


def load_bert(
    encoder: TextTransformerEncoder, state: Mapping[str, Tensor]
) -> LoadReport:
    """Loads Hugging Face's BERT into an encoder of :func:`bert_text_encoder` of the same width and depth.

    Positions past the encoder's longest caption are left out, and so are pooler and heads (:data:`BERT_IGNORED`).

    Args:
        encoder (TextTransformerEncoder): Is filled in place.
        state (Mapping[str, Tensor]): The state dict of ``BertModel``, or of a model that has one as ``bert``; from a
            file by :func:`~torchmultimodal_reid.utils.state_dict.read_state_dict`.

    Raises:
        CheckpointError: If anything is missing, unexpected or of another shape.
    """

    def rename(given: Dict[str, Tensor]) -> Dict[str, Tensor]:
        given = bert_to_text_encoder(given)
        positions = "embeddings.position_embeddings.weight"
        if positions in given:
            given[positions] = given[positions][: encoder.max_length]
        return given

    return load_state_dict(
        encoder,
        state,
        key_map=rename,
        ignored=BERT_IGNORED,
        source="BERT's weights",
    )


def bert_to_text_encoder(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Hugging Face's ``BertModel`` -> :func:`bert_text_encoder` of the same sizes.

    | Hugging Face, also behind ``bert.`` | ours |
    |---|---|
    | ``embeddings.LayerNorm.*`` | ``embeddings.layer_norm.*`` |
    | ``attention.self.{query,key,value}.*`` of a layer | ``attention.input_proj.*``, the three as one |
    | ``attention.output.{dense,LayerNorm}.*`` | ``attention.output_proj.*``, ``attention_layernorm.*`` |
    | ``intermediate.dense.*`` | ``feedforward.model.0.*`` |
    | ``output.{dense,LayerNorm}.*`` | ``feedforward.model.2.*``, ``feedforward_layernorm.*`` |

    Args:
        state (Dict[str, Tensor]): The state dict. ``LayerNorm.gamma`` and ``beta`` are read as weight and bias.

    Returns:
        Dict[str, Tensor]: The same weights under our names; unknown names are kept, for loading to report them.
    """
    state = {re.sub(r"^bert\.", "", name): tensor for name, tensor in state.items()}
    for name in [name for name in state if _QUERY.search(name)]:
        parts = [
            name.replace(".query.", f".{part}.") for part in ("query", "key", "value")
        ]
        if all(part in state for part in parts):  # else loading reports those there are
            tensor = torch.cat([state.pop(part) for part in parts])
            state[_QUERY.sub(r".attention.input_proj.\1", name)] = tensor
    mapped = {}
    for name, tensor in state.items():
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        mapped[name] = tensor
    return mapped
