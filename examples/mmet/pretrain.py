# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pretrains MMET by Masked Multimodal Modelling (https://arxiv.org/abs/2304.09498).

python -m examples.mmet.pretrain --config examples/mmet/configs/demo_pretrain.yaml output=runs/pretrain
"""

from functools import partial
from typing import Dict, Optional, Tuple

import torch
from examples.common.config import load_config
from examples.common.data import (
    all_captions,
    read_split,
    training_loader,
    training_parts,
)
from examples.common.distributed import gather_pairs, make_accelerator
from examples.common.engine import Evaluate, Saved, Trainer
from examples.common.main import finish, run_main
from examples.common.optim import build_optimizer, build_schedule
from examples.common.run import prepare_run
from examples.mmet.definitions import PretrainConfig
from examples.mmet.pictures import draw_reconstruction
from examples.mmet.retrieval import contrastive_embed, Retrieval, validate
from torch import nn, Tensor
from torchmultimodal_reid.data.collate import Collate, PersonBatch
from torchmultimodal_reid.data.dataset import MixtureDataset, PersonDataset
from torchmultimodal_reid.data.image_cache import ImageCache
from torchmultimodal_reid.data.mixture import MixtureSampler
from torchmultimodal_reid.data.sample import PersonImage, with_captions
from torchmultimodal_reid.data.samplers import (
    IdentitySampler,
    ShuffleSampler,
    StepSampler,
)
from torchmultimodal_reid.models.mmet_pretraining import (
    mmet_for_pretraining,
    multimodal_masking,
)
from torchmultimodal_reid.models.saved import build_mmet, model_files, ModelDescription
from torchmultimodal_reid.modules.losses.identity_contrastive import (
    IdentityContrastiveLoss,
)
from torchmultimodal_reid.modules.losses.image_text_matching import (
    ImageTextMatchingLoss,
)
from torchmultimodal_reid.modules.losses.masked_prediction import (
    MaskedClassificationLoss,
    MaskedRegressionLoss,
)
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import derive_seed, generator_for


class PretrainingLosses:
    """Pretraining's losses by name: ``mim``, ``mlm``, ``mmm_image``, ``mmm_text``, ``itm`` and ``gc``."""

    def __init__(self, normalize: nn.Module, seed: int, rank: int) -> None:
        self.normalize = normalize
        self.seed = seed
        self.rank = rank
        self.pixels = MaskedRegressionLoss()
        self.words = MaskedClassificationLoss()
        self.matching = ImageTextMatchingLoss()
        self.contrast = IdentityContrastiveLoss()

    def __call__(
        self, model: nn.Module, batch: PersonBatch, step: int
    ) -> Dict[str, Tensor]:
        output = model(
            None if batch.image is None else self.normalize(batch.image),
            batch.text,
            batch.text_padding,
            identity=batch.identity,
            generator=generator_for(self.seed, "masks", step, self.rank),
        )
        losses = {}
        for name, prediction, loss in (
            ("mim", output.mim, self.pixels),
            ("mlm", output.mlm, self.words),
            ("mmm_image", output.mmm_image, self.pixels),
            ("mmm_text", output.mmm_text, self.words),
            ("itm", output.itm, self.matching),
        ):
            if prediction is not None:
                losses[name] = loss(*prediction)
        if output.image_embedding is not None:
            losses["gc"] = self.contrast(
                output.image_embedding,
                output.text_embedding,
                batch.identity,
                batch.identity,
                output.logit_scale,
                gathered=gather_pairs(
                    output.image_embedding, output.text_embedding, batch.identity
                ),
            )
        return losses


def build_tokenizer(
    config: PretrainConfig, images: Tuple[PersonImage, ...]
) -> WordPieceTokenizer:
    """BERT's vocabulary if one is given, else one that is trained on the training captions."""
    if config.text.vocabulary is not None:
        return WordPieceTokenizer.from_vocab(config.text.vocabulary)
    return WordPieceTokenizer.train(all_captions(images), config.text.vocab_size)


def build_sampler(
    config: PretrainConfig,
    dataset: PersonDataset,
    seed: int,
    rank: int,
    world_size: int,
) -> StepSampler:
    """Random batches, or K images of each identity, so that the contrast meets one person under several cameras."""
    k = config.images_per_identity
    if k is None:
        return ShuffleSampler(len(dataset), config.batch_size, seed, rank, world_size)
    if config.batch_size % k:
        raise ValueError(
            f"batch_size {config.batch_size} is not a multiple of images_per_identity {k}"
        )
    identities = [image.identity for image in dataset.images]
    cameras = [image.camera for image in dataset.images]
    return IdentitySampler(
        identities, config.batch_size // k, k, seed, rank, world_size, cameras=cameras
    )


def build_data(
    config: PretrainConfig,
    images: Tuple[PersonImage, ...],
    tokenizer: WordPieceTokenizer,
    rank: int,
    world_size: int,
) -> Tuple[MixtureDataset, MixtureSampler]:
    """Pairs, images alone and captions alone, one of the three a step."""
    see = config.image.train_transform()
    read = CaptionTransform(tokenizer, config.text.max_length, config.text.overflow)
    described = with_captions(images)
    cache = (
        ImageCache((image.path for image in images), config.image.size)
        if config.data.cache
        else False
    )
    sources = {
        "paired": lambda: PersonDataset(
            described, see, read, seed=config.seed, cache=cache
        ),
        "image": lambda: PersonDataset(images, see, seed=config.seed, cache=cache),
        "text": lambda: PersonDataset(described, None, read, seed=config.seed),
    }
    used = {name: weight for name, weight in config.mixture.items() if weight > 0}
    unknown = sorted(set(used) - set(sources))
    if unknown:
        raise ValueError(
            f"mixture.{unknown[0]} is unknown, expected {', '.join(sources)}"
        )
    datasets = [sources[name]() for name in used]
    samplers = [
        build_sampler(config, dataset, derive_seed(config.seed, name), rank, world_size)
        for name, dataset in zip(used, datasets)
    ]
    return MixtureDataset(datasets), MixtureSampler(
        samplers,
        list(used.values()),
        config.loop.steps,
        derive_seed(config.seed, "mixture"),
    )


def main(argv: Optional[list] = None) -> None:
    config, command = load_config(
        PretrainConfig, argv, prog="python -m examples.mmet.pretrain"
    )
    accelerator = make_accelerator(
        config.precision, partial_inputs=len(config.mixture) > 1
    )
    rank, world_size = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(derive_seed(config.seed, "weights"))

    images, validation = training_parts(
        read_split(config.data).train, config.data.validation_share, config.seed
    )
    tokenizer = build_tokenizer(config, images)
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
    masking = multimodal_masking(
        vocab_size=tokenizer.vocab_size,
        mask_id=tokenizer.mask_id,
        special_ids=tokenizer.special_ids,
        continuation=tokenizer.continuation,
        patch_ratio=config.masking.patch_ratio,
        token_ratio=config.masking.token_ratio,
        block_wise=config.masking.block_wise,
    )
    encoders = build_mmet(description, masking)
    model = mmet_for_pretraining(
        encoders,
        vocab_size=tokenizer.vocab_size,
        patch_size=config.model.patch_size,
        mim=config.losses["mim"] > 0,
        mlm=config.losses["mlm"] > 0,
        mmm=config.losses["mmm_image"] > 0 or config.losses["mmm_text"] > 0,
        itm=config.losses["itm"] > 0,
        contrast_masked=config.contrast_masked,
        normalize_pixels=config.masking.normalize_pixels,
    ).to(accelerator.device)

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

    dataset, sampler = build_data(config, images, tokenizer, rank, world_size)
    loader = training_loader(
        dataset,
        sampler,
        Collate(tokenizer.pad_id),
        start=start,
        stop=config.loop.steps,
        workers=config.data.workers,
    )
    normalize = Normalize(config.image.mean, config.image.std).to(accelerator.device)
    evaluate: Optional[Evaluate] = None
    if validation is not None and config.loop.evaluate_every > 0:
        retrieval = Retrieval(
            validation, description, tokenizer, ["image", "text"], accelerator
        )
        evaluate = partial(validate, retrieval, contrastive_embed(encoders))

    trainer.fit(
        loader,
        PretrainingLosses(normalize, config.seed, rank),
        evaluate,
        description="pretrain",
    )
    if (
        trainer.stop_signal is None
        and config.losses["mmm_image"] > 0
        and accelerator.is_main_process
    ):
        shown = with_captions(validation.query if validation is not None else images)
        print(
            f"written: {draw_reconstruction(model, shown, description, tokenizer, directory / 'reconstruction.png')}"
        )
    finish(trainer, "examples.mmet.pretrain")


if __name__ == "__main__":
    run_main(main)
