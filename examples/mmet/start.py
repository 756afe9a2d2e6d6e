# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a run starts from: a tokeniser, and the description of the model to build."""

from typing import Union

from examples.common.sources import Source
from examples.common.text import make_tokenizer
from examples.mmet.definitions import FinetuneConfig, PretrainConfig
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.models.saved import ModelDescription
from torchmultimodal_reid.transforms.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer


def new_tokenizer(
    config: Union[PretrainConfig, FinetuneConfig], source: Source
) -> WordPieceTokenizer:
    """BERT's vocabulary if one is given, else one that is trained on the training captions.

    To fine-tune with images alone it may know the special tokens only: the text encoder is built, and not used.

    Raises:
        DataError: If pretraining needs captions to train on and there are none.
    """
    if source.has_captions or config.text.vocabulary is not None:
        return make_tokenizer(config.text, source.captions())
    if isinstance(config, PretrainConfig):
        raise DataError(
            f"none of the {len(source)} images has a caption to train a tokeniser on; expected "
            f"{source.where_captions_are}. To pretrain with images alone, give text.vocabulary"
        )
    return WordPieceTokenizer(SPECIAL_TOKENS)


def describe(
    config: Union[PretrainConfig, FinetuneConfig], tokenizer: WordPieceTokenizer
) -> ModelDescription:
    """The model that a configuration asks for, as it travels in the checkpoints."""
    return ModelDescription(
        builder=config.model.builder,
        arguments={
            "image_size": config.image.size,
            "patch_size": config.model.patch_size,
            "vocab_size": tokenizer.vocab_size,
            "max_text_length": config.text.max_length,
            "drop_path": config.model.drop_path,
        },
        mean=config.image.mean,
        std=config.image.std,
        tokenizer=tokenizer.fingerprint(),
    )
