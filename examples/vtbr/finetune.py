# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Fine-tunes a CNN for re-identification by images: the strong baseline (https://arxiv.org/abs/1903.07071), from
random weights, ImageNet's, or those that VTBR learned from captions (https://arxiv.org/abs/2110.05074).

python -m examples.vtbr.finetune --config examples/vtbr/configs/demo_finetune.yaml model.weights=vtbr:runs/pretrain/best
"""

from functools import partial
from typing import Optional

import torch
from examples.common.distributed import gather_batch_norms
from examples.common.engine import Evaluate
from examples.common.epochs import in_steps
from examples.common.loaders import identity_sampler, training_loader
from examples.common.main import run_main
from examples.common.retrieval import Retrieval, validate
from examples.common.run_checkpoints import finished_steps, Saved
from examples.common.selection import training_data
from examples.common.session import open_session
from examples.vtbr.baseline_losses import BaselineLosses
from examples.vtbr.finetune_definitions import FinetuneConfig
from torch import Tensor
from torchmultimodal_reid.architectures.reid import ReIDModel
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.models.backbone_weights import load_backbone_weights
from torchmultimodal_reid.models.backbones import find_backbone
from torchmultimodal_reid.models.saved_reid import build_reid, ReIDDescription
from torchmultimodal_reid.modules.losses.center import CenterLoss
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.utils.seeding import derive_seed


def describe(config: FinetuneConfig, num_identities: int) -> ReIDDescription:
    """The model that a configuration asks for, as it travels in the checkpoints."""
    return ReIDDescription(
        backbone=config.model.backbone,
        pooling=config.model.pooling,
        last_stride=config.model.last_stride,
        num_identities=num_identities,
        image_size=config.image.size,
        mean=config.image.mean,
        std=config.image.std,
    )


def embed_images(
    model: ReIDModel,
    image: Optional[Tensor],
    text: Optional[Tensor],
    text_padding: Optional[Tensor],
) -> Tensor:
    """As the evaluation calls any model; this one reads no text."""
    assert image is not None and text is None and text_padding is None
    return model.embed(image)


def main(argv: Optional[list] = None) -> None:
    config, session = open_session(
        FinetuneConfig, argv, "examples.vtbr.finetune", __doc__
    )
    accelerator = session.accelerator

    images, watched, watched_name = training_data(config.data, config.seed)
    num_identities = 1 + max(image.identity for image in images)
    batch_size = config.identities_per_batch * config.images_per_identity
    loop, schedule = in_steps(
        config.epochs, config.loop, config.schedule, len(images), batch_size
    )
    checkpoint = session.find_checkpoint(loop)

    torch.manual_seed(derive_seed(config.seed, "weights"))
    description = describe(config, num_identities)
    model = build_reid(description)
    weights = "a checkpoint of this run"
    if checkpoint is None:
        # a run that is resumed does not need them any more
        report = load_backbone_weights(
            model.backbone, config.model.backbone, config.model.weights
        )
        # the report of random weights would list them all as missing
        weights = f"{config.model.weights} ({report})" if report.loaded else "random"
    center: Optional[CenterLoss] = None
    if config.losses["center"] > 0:
        channels = find_backbone(config.model.backbone).channels
        center = CenterLoss(channels, num_identities, config.center_rate)
        # so that the run's checkpoints hold the centres
        model.add_module("center_loss", center)
    gather_batch_norms(model, accelerator)
    model.to(accelerator.device)
    if config.model.channels_last:
        model.to(memory_format=torch.channels_last)

    dataset = PersonDataset(
        images,
        config.image.train_transform(),
        seed=config.seed,
        cache=config.data.cache,
    )
    sampler = identity_sampler(
        images,
        config.identities_per_batch,
        config.images_per_identity,
        derive_seed(config.seed, "identities"),
        session.rank,
        session.world_size,
    )
    loader = training_loader(
        dataset,
        sampler,
        Collate(pad_id=0),
        start=finished_steps(checkpoint),
        stop=loop.steps,
        workers=config.data.workers,
        max_unreadable=config.data.max_unreadable,
    )

    trainer = session.make_trainer(
        model,
        config.optimizer,
        schedule,
        loop,
        config.losses,
        Saved({"model": description._asdict()}, {}, watched_name),
        checkpoint,
    )
    losses = BaselineLosses(
        Normalize(description.mean, description.std).to(accelerator.device),
        config.losses,
        config.label_smoothing,
        config.margin,
        center,
    )
    evaluate: Optional[Evaluate] = None
    if watched is not None and loop.evaluate_every > 0:
        retrieval = Retrieval(watched, description, ["image"], accelerator)
        evaluate = partial(validate, retrieval, partial(embed_images, model))

    # by now everything was looked at but the images themselves
    session.prepare_run()
    if session.is_main:
        print(
            f"{config.model.backbone} from {weights}; {num_identities} identities, {len(images)} images, "
            f"{loop.steps} steps"
        )
    trainer.fit(loader, losses, evaluate, description="fine-tune")
    session.finish(trainer, loader)


if __name__ == "__main__":
    run_main(main)
