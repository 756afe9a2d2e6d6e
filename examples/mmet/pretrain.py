# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pretrains MMET by Masked Multimodal Modelling (https://arxiv.org/abs/2304.09498).

python -m examples.mmet.pretrain --config examples/mmet/configs/demo_pretrain.yaml output=runs/pretrain
"""

from functools import partial
from typing import Optional, Tuple

import torch
from examples.common.config import load_config
from examples.common.data import captioned, check_captions
from examples.common.distributed import make_accelerator
from examples.common.engine import (
    Evaluate,
    find_checkpoint,
    finished_steps,
    Saved,
    Trainer,
)
from examples.common.loaders import training_loader
from examples.common.main import finish, run_main
from examples.common.optim import build_optimizer, build_schedule
from examples.common.retrieval import Retrieval, validate
from examples.common.run import check_run, prepare_run
from examples.common.selection import training_data
from examples.mmet.definitions import PretrainConfig
from examples.mmet.losses import PretrainingLosses
from examples.mmet.pictures import draw_reconstruction
from examples.mmet.retrieval import contrastive_embed
from examples.mmet.start import describe, new_tokenizer
from torchmultimodal_reid.data.collate import Collate
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
from torchmultimodal_reid.models.saved import (
    build_mmet,
    model_files,
    read_description,
    read_tokenizer,
)
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import derive_seed


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
    """Pairs, images alone and captions alone, one of the three a step; those of weight 0 are left out."""
    used = {name: weight for name, weight in config.mixture.items() if weight > 0}
    see = config.image.train_transform()
    read = CaptionTransform(tokenizer, config.text.max_length, config.text.overflow)
    described = captioned(images) if "paired" in used or "text" in used else ()
    check_captions(described, read)
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
        PretrainConfig,
        argv,
        prog="python -m examples.mmet.pretrain",
        description=__doc__,
    )
    accelerator = make_accelerator(config.precision)
    rank, world_size = accelerator.process_index, accelerator.num_processes
    is_main, resume = accelerator.is_main_process, command.resume is not None
    directory = check_run(
        command.resume or config.output, resume=resume, is_main=is_main
    )
    checkpoint = find_checkpoint(directory, config.loop) if resume else None

    images, validation, watched = training_data(config.data, config.seed)
    if checkpoint is None:
        tokenizer = new_tokenizer(config, images)
    else:
        tokenizer = read_tokenizer(checkpoint, read_description(checkpoint))
    dataset, sampler = build_data(config, images, tokenizer, rank, world_size)
    loader = training_loader(
        dataset,
        sampler,
        Collate(tokenizer.pad_id),
        start=finished_steps(checkpoint),
        stop=config.loop.steps,
        workers=config.data.workers,
    )

    torch.manual_seed(derive_seed(config.seed, "weights"))
    description = describe(config, tokenizer)
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
        masked_stream=config.masking.mode,
        decoder_dim=config.masking.decoder_dim,
        decoder_n_layer=config.masking.decoder_n_layer,
        contrast_masked=config.contrast_masked,
        masked_share=config.masked_share,
        negative_share=config.negative_share,
        normalize_pixels=config.masking.normalize_pixels,
    ).to(accelerator.device)
    normalize = Normalize(config.image.mean, config.image.std).to(accelerator.device)

    trainer = Trainer(
        directory,
        accelerator,
        model,
        build_optimizer(model, config.optimizer),
        build_schedule(config.schedule, config.loop.steps),
        config.loop,
        config.seed,
        config.losses,
        Saved({"model": description._asdict()}, model_files(tokenizer), watched),
    )
    if checkpoint is not None:
        trainer.restore(checkpoint)
    losses = PretrainingLosses(normalize, config.losses, config.seed, rank)
    evaluate: Optional[Evaluate] = None
    if validation is not None and config.loop.evaluate_every > 0:
        read = CaptionTransform(tokenizer, config.text.max_length)
        kinds = ["image", "text"]
        retrieval = Retrieval(validation, description, kinds, accelerator, read)
        evaluate = partial(validate, retrieval, contrastive_embed(encoders))

    # by now everything was looked at but the images themselves
    prepare_run(directory, config, seed=config.seed, resume=resume, is_main=is_main)
    trainer.fit(loader, losses, evaluate, description="pretrain")

    shown = with_captions(images if validation is None else validation.query)
    if trainer.is_finished and config.losses["mmm_image"] > 0 and shown and is_main:
        picture = directory / "reconstruction.png"
        draw_reconstruction(model, shown, description, tokenizer, picture)
        print(f"written: {picture}")
    finish(trainer, "examples.mmet.pretrain")


if __name__ == "__main__":
    run_main(main)
