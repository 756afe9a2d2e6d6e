# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How good captions are: against reference captions, and against what the person looks like.

BLEU and CIDEr need sacrebleu and pycocoevalcap, which the package's extra ``examples`` installs.
"""

import math
import re
from collections import Counter
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

# what an attribute accuracy is the mean of, unless told otherwise
CAPTION_ATTRIBUTES = (
    "gender",
    "upper_color",
    "lower_color",
    "hair_length",
    "hair_color",
    "hat",
    "hat_color",
    "bag",
    "bag_color",
)


class Perplexity:
    """The exponential of the mean cross-entropy of a token, over batches that may have unequal numbers of tokens."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def update(self, mean_cross_entropy: float, num_tokens: int) -> None:
        """Adds a batch.

        Args:
            mean_cross_entropy (float): The mean over the batch's tokens, in nats.
            num_tokens (int): Over how many tokens.
        """
        self._sum += mean_cross_entropy * num_tokens
        self._count += num_tokens

    def compute(self) -> float:
        """The perplexity.

        Raises:
            ValueError: If no token was seen.
        """
        if self._count == 0:
            raise ValueError("the perplexity of no tokens is undefined")
        return math.exp(min(self._sum / self._count, 700.0))


class AttributeAccuracy(NamedTuple):
    """How often captions are right about one attribute.

    Args:
        accuracy (Optional[float]): Share of the captions that tell the attribute which tell it rightly; None where
            none tells it.
        told (float): Share of the captions that tell it.
        constant (Optional[float]): The accuracy of saying the most frequent value in the same captions: what is reached
            without looking at the image. None where none tells it.
    """

    accuracy: Optional[float]
    told: float
    constant: Optional[float]


def bleu4(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU of four-grams, 0 to 1 (https://aclanthology.org/P02-1040), by sacreBLEU.

    Case and punctuation do not count, see :func:`caption_words`. No smoothing.

    Args:
        captions (Sequence[str]): One caption an image.
        references (Sequence[Sequence[str]]): The image's own captions, at least one; their number may differ.

    Raises:
        ValueError: If the two differ in length or are empty, or an image has no reference.
    """
    _check(captions, references)
    from sacrebleu.metrics import BLEU

    most = max(len(own) for own in references)
    # sacreBLEU wants the first reference of each caption, then the second, ...; None where there are fewer
    streams: List[List[Any]] = [  # its types allow no None, though it takes them
        [caption_words(own[i]) if i < len(own) else None for own in references]
        for i in range(most)
    ]
    metric = BLEU(smooth_method="none", tokenize="none", force=True)
    score = metric.corpus_score(
        [caption_words(caption) for caption in captions], streams
    )
    return float(score.score) / 100


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D, 0 to 10 (https://arxiv.org/abs/1411.5726), by the code of the COCO caption challenge, pycocoevalcap.

    It weighs words by how few images' references have them, so it depends on all images, and of a single image it is 0.
    Words are those of :func:`caption_words`, where the challenge splits with a Java program.

    Args:
        captions (Sequence[str]): One caption an image.
        references (Sequence[Sequence[str]]): The image's own captions, at least one; their number may differ.

    Raises:
        ValueError: If the two differ in length or are empty, or an image has no reference.
    """
    _check(captions, references)
    from pycocoevalcap.cider.cider import Cider

    written = {row: [caption_words(caption)] for row, caption in enumerate(captions)}
    given = {
        row: [caption_words(caption) for caption in own]
        for row, own in enumerate(references)
    }
    score, _ = Cider().compute_score(given, written)
    return float(score)


def caption_words(caption: str) -> str:
    """The words in lower case with single spaces between them, so that "T-shirt," and "t - shirt" are the same."""
    return " ".join(re.findall(r"\w+", caption.lower()))


def attribute_accuracy(
    told: Sequence[Mapping[str, str]],
    attributes: Sequence[Mapping[str, str]],
    names: Sequence[str] = CAPTION_ATTRIBUTES,
) -> Dict[str, AttributeAccuracy]:
    """Whether captions name the right gender, colours of clothes, hat, bag and hair.

    Args:
        told (Sequence[Mapping[str, str]]): For each caption what it tells, as from
            :func:`~torchmultimodal_reid.data.synthetic.told.told_attributes`.
        attributes (Sequence[Mapping[str, str]]): For each caption what the person is like.
        names (Sequence[str]): Which attributes. Default: ``CAPTION_ATTRIBUTES``

    Raises:
        ValueError: If the two differ in length or are empty, or a person's attribute is not known.
    """
    if len(told) != len(attributes) or not told:
        raise ValueError(
            f"told and attributes need one entry a caption, got {len(told)} and {len(attributes)}"
        )
    return {name: _accuracy_of(name, told, attributes) for name in names}


def mean_accuracy(accuracies: Mapping[str, AttributeAccuracy]) -> float:
    """The mean accuracy over the attributes that are told in any caption; 0 where none is."""
    known = [
        entry.accuracy for entry in accuracies.values() if entry.accuracy is not None
    ]
    return sum(known) / len(known) if known else 0.0


def _accuracy_of(
    name: str,
    told: Sequence[Mapping[str, str]],
    attributes: Sequence[Mapping[str, str]],
) -> AttributeAccuracy:
    right = 0
    values: List[str] = []
    for row, (said, person) in enumerate(zip(told, attributes)):
        if name not in person:
            raise ValueError(
                f"the person of caption {row} has no attribute {name!r}, expected one of {', '.join(person)}"
            )
        if name in said:
            values.append(person[name])
            right += said[name] == person[name]
    if not values:
        return AttributeAccuracy(None, 0.0, None)
    most = Counter(values).most_common(1)[0][1]
    return AttributeAccuracy(
        right / len(values), len(values) / len(told), most / len(values)
    )


def _check(captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(captions) != len(references) or not captions:
        raise ValueError(
            f"captions and references need one entry an image, got {len(captions)} and {len(references)}"
        )
    for row, own in enumerate(references):
        if not own:
            raise ValueError(
                f"image {row} has no reference caption, expected at least one"
            )
