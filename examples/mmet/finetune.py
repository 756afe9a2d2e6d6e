# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Fine-tunes MMET for re-identification by an image, a caption or both (https://arxiv.org/abs/2304.09498).

python -m examples.mmet.finetune --config examples/mmet/configs/demo_finetune.yaml pretrained=runs/pretrain/best
"""

from functools import partial
from pathlib import Path
from typing import Optional, Tuple, Union

import torch
from examples.common.data import captioned, check_captions
from examples.common.distributed import gather_batch_norms
from examples.common.engine import Evaluate
from examples.common.loaders import identity_sampler, training_loader
from examples.common.main import run_main
from examples.common.retrieval import Retrieval, validate
from examples.common.run_checkpoints import finished_steps, Saved
from examples.common.selection import training_data
from examples.common.session import open_session
from examples.common.sources import FileSource
from examples.mmet.definitions import FinetuneConfig
from examples.mmet.losses import ReIDLosses
from examples.mmet.start import describe, new_tokenizer
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonDataset
from torchmultimodal_reid.data.sample import PersonImage, relabel_identities
from torchmultimodal_reid.models.mmet import mmet_for_reid
from torchmultimodal_reid.models.saved import (
    build_mmet,
    check_tokenizer,
    load_mmet,
    LoadedEncoders,
    model_files,
)
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import derive_seed


def start_model(
    config: FinetuneConfig,
    images: Tuple[PersonImage, ...],
    source: Optional[Union[str, Path]],
) -> LoadedEncoders:
    """The encoders to fine-tune: those of the checkpoint ``source``, or without one new ones with random weights."""
    if source is None:
        tokenizer = new_tokenizer(config, FileSource(images))
        description = describe(config, tokenizer)
        return LoadedEncoders(build_mmet(description), tokenizer, description)
    loaded = load_mmet(source, drop_path=config.model.drop_path)
    if loaded.description.image_size != tuple(config.image.size):
        raise ValueError(
            f"image.size is {config.image.size}, but {source} was pretrained at {loaded.description.image_size}; "
            "fine-tune at that size"
        )
    if config.text.vocabulary is not None:
        given = WordPieceTokenizer.from_vocab(config.text.vocabulary)
        check_tokenizer(given, loaded.description, str(source))
    return loaded


def main(argv: Optional[list] = None) -> None:
    config, session = open_session(
        FinetuneConfig, argv, "examples.mmet.finetune", __doc__
    )
    accelerator = session.accelerator
    checkpoint = session.find_checkpoint(config.loop)

    with_text = "text" in config.modalities
    images, validation, watched = training_data(config.data, config.seed)
    if with_text:
        images = relabel_identities(captioned(images))

    torch.manual_seed(derive_seed(config.seed, "weights"))
    # a run that is resumed needs neither the pretrained model any more nor the captions of its tokeniser
    source = config.pretrained if checkpoint is None else checkpoint.path
    encoders, tokenizer, description = start_model(config, images, source)
    num_identities = 1 + max(image.identity for image in images)
    description = description._replace(
        num_identities=num_identities, caption_weight=config.caption_weight
    )
    model = mmet_for_reid(
        encoders, num_identities=num_identities, caption_weight=config.caption_weight
    )
    gather_batch_norms(model, accelerator)
    model.to(accelerator.device)

    read = CaptionTransform(
        tokenizer, description.max_text_length, config.text.overflow
    )
    if with_text:
        check_captions(images, read)
    dataset = PersonDataset(
        images,
        config.image.train_transform() if "image" in config.modalities else None,
        read if with_text else None,
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
        Collate(tokenizer.pad_id),
        start=finished_steps(checkpoint),
        stop=config.loop.steps,
        workers=config.data.workers,
        max_unreadable=config.data.max_unreadable,
    )

    trainer = session.make_trainer(
        model,
        config.optimizer,
        config.schedule,
        config.loop,
        config.losses,
        Saved({"model": description._asdict()}, model_files(tokenizer), watched),
        checkpoint,
    )
    losses = ReIDLosses(
        Normalize(description.mean, description.std).to(accelerator.device),
        config.losses,
        config.label_smoothing,
        config.margin,
        config.temperature,
    )
    evaluate: Optional[Evaluate] = None
    if validation is not None and config.loop.evaluate_every > 0:
        kinds = ["image", "text", "image+text"] if with_text else ["image"]
        cut = CaptionTransform(tokenizer, description.max_text_length)
        retrieval = Retrieval(validation, description, kinds, accelerator, cut)
        evaluate = partial(validate, retrieval, model.embed)

    # by now everything was looked at but the images themselves
    session.prepare_run()
    trainer.fit(loader, losses, evaluate, description="fine-tune")
    session.finish(trainer, loader)


if __name__ == "__main__":
    run_main(main)
