# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Fine-tunes MMET for re-identification by an image, a caption or both (https://arxiv.org/abs/2304.09498).

python -m examples.mmet.finetune --config examples/mmet/configs/demo_finetune.yaml pretrained=runs/pretrain/best
"""

from functools import partial
from typing import Dict, Mapping, Optional, Tuple

import torch
from examples.common.config import load_config
from examples.common.data import (
    all_captions,
    read_split,
    training_loader,
    training_parts,
)
from examples.common.distributed import gather_pairs, gather_rows, make_accelerator
from examples.common.engine import Evaluate, Saved, Trainer
from examples.common.main import finish, run_main
from examples.common.optim import build_optimizer, build_schedule
from examples.common.run import prepare_run
from examples.mmet.definitions import FinetuneConfig
from examples.mmet.retrieval import Retrieval, validate
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.samplers import IdentitySampler
from torchmultimodal_reid.models.mmet import mmet_for_reid
from torchmultimodal_reid.models.saved import (
    build_mmet,
    load_mmet,
    LoadedEncoders,
    model_files,
    ModelDescription,
)
from torchmultimodal_reid.modules.layers.bnneck import BNNeckOutput
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.triplet import BatchHardTripletLoss
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import derive_seed


class ReIDLosses:
    """Fine-tuning's losses by name: ``identity_`` and ``triplet_`` of ``fused``, ``image`` and ``text``;
    ``triplet_cross`` between image and text embeddings before the neck; ``contrast_text`` and ``contrast_fused``
    between these and image embeddings behind it, where a search compares them. Those of weight 0 are not computed.
    """

    def __init__(
        self,
        normalize: nn.Module,
        weights: Mapping[str, float],
        label_smoothing: float,
        margin: Optional[float],
        temperature: float,
    ) -> None:
        self.normalize = normalize
        self.weights = weights
        self.identity = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.triplet = BatchHardTripletLoss(margin)
        self.contrast = IdentityContrastiveLoss()
        self.logit_scale = 1 / temperature

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        image = None if batch.image is None else self.normalize(batch.image)
        output = model(image, batch.text, batch.text_padding)
        losses = {}
        for kind, neck in output._asdict().items():
            if neck is None:
                continue
            if self.weights[f"identity_{kind}"] > 0:
                losses[f"identity_{kind}"] = self.identity(
                    neck.logits.float(), batch.identity
                )
            if self.weights[f"triplet_{kind}"] > 0:
                losses[f"triplet_{kind}"] = self._mine(
                    neck.embedding, neck.embedding, batch.identity, True
                )
        if output.image is None or output.text is None:
            return losses
        if self.weights["triplet_cross"] > 0:
            one, other = output.image.embedding, output.text.embedding
            losses["triplet_cross"] = (
                self._mine(one, other, batch.identity, False)
                + self._mine(other, one, batch.identity, False)
            ) / 2
        for kind, neck in (("text", output.text), ("fused", output.fused)):
            if self.weights[f"contrast_{kind}"] > 0:
                losses[f"contrast_{kind}"] = self._contrast(
                    output.image, neck, batch.identity
                )
        return losses

    def _contrast(
        self, image: BNNeckOutput, other: BNNeckOutput, identity: Tensor
    ) -> Tensor:
        one, two = (
            nn.functional.normalize(neck.normalized_embedding.float(), dim=-1)
            for neck in (image, other)
        )
        pairs = gather_pairs(one, two, identity)
        return self.contrast(
            one, two, identity, identity, self.logit_scale, gathered=pairs
        )

    def _mine(
        self, anchor: Tensor, candidate: Tensor, identity: Tensor, is_self: bool
    ) -> Tensor:
        gathered = gather_rows(candidate, identity)
        offset = gathered.offset if is_self else None
        return self.triplet(
            anchor, identity, gathered.embedding, gathered.identity, self_offset=offset
        )


def start_model(
    config: FinetuneConfig, images: Tuple[PersonImage, ...]
) -> LoadedEncoders:
    """The encoders to fine-tune: a checkpoint's, or new ones with random weights and a tokeniser of their own."""
    if config.pretrained is not None:
        loaded = load_mmet(config.pretrained, drop_path=config.model.drop_path)
        if tuple(loaded.description.image_size) != tuple(config.image.size):
            raise ValueError(
                f"image.size is {config.image.size}, but {config.pretrained} was pretrained at "
                f"{loaded.description.image_size}; fine-tune at that size"
            )
        return loaded
    if config.text.vocabulary is not None:
        tokenizer = WordPieceTokenizer.from_vocab(config.text.vocabulary)
    else:
        tokenizer = WordPieceTokenizer.train(
            all_captions(images), config.text.vocab_size
        )
    description = ModelDescription(
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
    return LoadedEncoders(build_mmet(description), tokenizer, description)


def main(argv: Optional[list] = None) -> None:
    config, command = load_config(
        FinetuneConfig, argv, prog="python -m examples.mmet.finetune"
    )
    accelerator = make_accelerator(
        config.precision, partial_inputs="text" not in config.modalities
    )
    rank, world_size = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(derive_seed(config.seed, "weights"))

    images, validation = training_parts(
        read_split(config.data).train, config.data.validation_share, config.seed
    )
    encoders, tokenizer, description = start_model(config, images)
    num_identities = 1 + max(image.identity for image in images)
    description = description._replace(num_identities=num_identities)
    model = mmet_for_reid(encoders, num_identities=num_identities).to(
        accelerator.device
    )

    directory = prepare_run(
        config.output,
        config,
        seed=config.seed,
        resume=command.resume is not None,
        is_main=accelerator.is_main_process,
    )
    trainer = Trainer(
        directory,
        accelerator,
        model,
        build_optimizer(model, config.optimizer),
        build_schedule(config.schedule, config.loop.steps),
        config.loop,
        config.seed,
        config.losses,
        Saved({"model": description._asdict()}, model_files(tokenizer)),
    )
    start = trainer.resume() if command.resume is not None else 0

    with_text = "text" in config.modalities
    dataset = PersonDataset(
        images,
        config.image.train_transform() if "image" in config.modalities else None,
        (
            CaptionTransform(
                tokenizer, description.max_text_length, config.text.overflow
            )
            if with_text
            else None
        ),
        seed=config.seed,
        cache=config.data.cache,
    )
    sampler = IdentitySampler(
        [image.identity for image in images],
        config.identities_per_batch,
        config.images_per_identity,
        derive_seed(config.seed, "identities"),
        rank,
        world_size,
        cameras=[image.camera for image in images],
    )
    loader = training_loader(
        dataset,
        sampler,
        Collate(tokenizer.pad_id),
        start=start,
        stop=config.loop.steps,
        workers=config.data.workers,
    )
    normalize = Normalize(description.mean, description.std).to(accelerator.device)
    evaluate: Optional[Evaluate] = None
    if validation is not None and config.loop.evaluate_every > 0:
        kinds = ["image", "text", "image+text"] if with_text else ["image"]
        retrieval = Retrieval(validation, description, tokenizer, kinds, accelerator)
        evaluate = partial(validate, retrieval, model.embed)

    losses = ReIDLosses(
        normalize,
        config.losses,
        config.label_smoothing,
        config.margin,
        config.temperature,
    )
    trainer.fit(loader, losses, evaluate, description="fine-tune")
    finish(trainer, "examples.mmet.finetune")


if __name__ == "__main__":
    run_main(main)
