# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What is measured on held-out people while VTBR is pretrained: losses, and how good the captions are."""

from typing import Dict, List, Optional, Sequence, Tuple

import torch
from accelerate import Accelerator
from examples.common.loaders import evaluation_loader
from examples.vtbr.pretrain_definitions import CaptionEvaluationConfig
from examples.vtbr.pretraining_tasks import PretrainingTask
from torch import nn
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import (
    expand_captions,
    PersonImage,
    ReIDSplit,
    with_captions,
)
from torchmultimodal_reid.data.synthetic.told import told_attributes
from torchmultimodal_reid.evaluation.captions import (
    attribute_accuracy,
    bleu4,
    CAPTION_ATTRIBUTES,
    cider,
    mean_accuracy,
    Perplexity,
)
from torchmultimodal_reid.generation.beam_search import BeamSearch
from torchmultimodal_reid.models.saved import ModelDescription
from torchmultimodal_reid.models.saved_vtbr import make_captioner
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import EvalImageTransform
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer


def held_out_images(watched: Optional[ReIDSplit]) -> Tuple[PersonImage, ...]:
    """The images with captions of what is watched, each once: a query may stand in the gallery too."""
    if watched is None:
        return ()
    images = {image.path: image for image in watched.query + watched.gallery}
    return with_captions(images.values())


def spread(images: Sequence[PersonImage], count: int) -> Tuple[PersonImage, ...]:
    """``count`` of the images, or all where there are fewer, evenly spread over them."""
    step = max(1.0, len(images) / count)
    return tuple(images[int(i * step)] for i in range(min(count, len(images))))


class CaptionEvaluation:
    """Perplexity of held-out captions and, where the model writes captions, BLEU-4, CIDEr and attribute accuracy.

    Every process does all of it: the model is not wrapped here, and the numbers agree.

    Args:
        images (Sequence[PersonImage]): Held-out images with captions.
        description (ModelDescription): Of the model.
        tokenizer (WordPieceTokenizer): The model's.
        task (PretrainingTask): What the model is trained on.
        config (CaptionEvaluationConfig): How many images, which search.
        accelerator (Accelerator): Device and precision.
    """

    def __init__(
        self,
        images: Sequence[PersonImage],
        description: ModelDescription,
        tokenizer: WordPieceTokenizer,
        task: PretrainingTask,
        config: CaptionEvaluationConfig,
        accelerator: Accelerator,
    ) -> None:
        self.images = spread(images, config.images)
        self.description = description
        self.tokenizer = tokenizer
        self.task = task
        self.config = config
        self.accelerator = accelerator
        self.dataset = PersonDataset(
            expand_captions(self.images),
            EvalImageTransform(description.image_size),
            CaptionTransform(tokenizer, description.max_text_length),
        )

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Dict[str, float]:
        """The metrics of a model in evaluation mode. ``"selection"`` is minus its mean cross-entropy."""
        means = self._losses(model)
        metrics = {f"{name}_perplexity": mean.compute() for name, mean in means.items()}
        logs = torch.tensor(list(metrics.values())).log()
        metrics["selection"] = -float(logs.mean())
        if isinstance(model, BidirectionalCaptioner):
            metrics.update(caption_metrics(self.write(model), self.images))
        return metrics

    def write(self, model: BidirectionalCaptioner) -> List[str]:
        """A caption of each held-out image."""
        captioner = make_captioner(
            model, self.tokenizer, self.description, self.config.batch_size
        )
        paths = [image.path for image in self.images]
        return captioner.caption(paths, BeamSearch(self.config.beam_size))

    def _losses(self, model: nn.Module) -> Dict[str, Perplexity]:
        loader = evaluation_loader(
            self.dataset,
            Collate(self.tokenizer.pad_id),
            batch_size=self.config.batch_size,
            workers=0,
        )
        means: Dict[str, Perplexity] = {}
        for number, batch in enumerate(loader):
            batch = batch.to(self.accelerator.device)
            with self.accelerator.autocast():
                # the masks of an evaluation are the same each time, and no training step's
                losses = self.task(model, batch, -1 - number)
            for name, loss in losses.items():
                mean = means.setdefault(name, Perplexity())
                mean.update(float(loss), _num_tokens(batch))
        return means


def caption_metrics(
    captions: Sequence[str], images: Sequence[PersonImage]
) -> Dict[str, float]:
    """BLEU-4 and CIDEr against the images' own captions; where attributes are known, whether captions name them.

    ``told_X`` is the share of captions that tell attribute X, ``right_X`` how many of these tell it rightly,
    ``attributes`` the mean of the latter, ``attributes_constant`` the same for always saying the most frequent value.
    """
    references = [image.captions for image in images]
    metrics = {
        "bleu4": bleu4(captions, references),
        "cider": cider(captions, references),
    }
    people = [(image.attributes or {}).get("attributes") or {} for image in images]
    names = [n for n in CAPTION_ATTRIBUTES if all(n in person for person in people)]
    if not names:
        return metrics
    told = [told_attributes(caption) for caption in captions]
    found = attribute_accuracy(told, people, names)
    metrics["attributes"] = mean_accuracy(found)
    constant = [
        entry.constant for entry in found.values() if entry.constant is not None
    ]
    metrics["attributes_constant"] = sum(constant) / max(1, len(constant))
    for name, entry in found.items():
        if entry.accuracy is not None:
            metrics[f"right_{name}"] = entry.accuracy
            metrics[f"told_{name}"] = entry.told
    return metrics


def _num_tokens(batch: PersonBatch) -> int:
    """Tokens that are predicted: all but the first of each caption."""
    assert batch.text_padding is not None
    return int((~batch.text_padding[:, 1:]).sum())
