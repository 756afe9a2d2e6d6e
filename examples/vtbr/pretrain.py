# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pretrains a CNN by writing captions: VTBR (https://arxiv.org/abs/2110.05074), after VirTex.

python -m examples.vtbr.pretrain --config examples/vtbr/configs/demo_pretrain.yaml output=runs/vtbr
"""

from functools import partial
from typing import Optional

import torch
from examples.common.distributed import gather_batch_norms
from examples.common.engine import Evaluate
from examples.common.epochs import in_steps
from examples.common.loaders import training_loader
from examples.common.main import run_main
from examples.common.pretraining_data import pretraining_data
from examples.common.run_checkpoints import finished_steps, Saved
from examples.common.session import open_session
from examples.common.sources import FileSource
from examples.common.text import make_tokenizer
from examples.vtbr.caption_evaluation import CaptionEvaluation, held_out_images, spread
from examples.vtbr.pretrain_definitions import VTBRPretrainConfig
from examples.vtbr.pretraining_tasks import TASKS
from torchmultimodal_reid.architectures.captioner import BidirectionalCaptioner
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.captioned import draw_captions
from torchmultimodal_reid.models.saved import (
    model_files,
    ModelDescription,
    read_tokenizer,
)
from torchmultimodal_reid.models.saved_vtbr import (
    build_vtbr,
    load_captioner,
    read_vtbr_description,
    VTBR_MODELS,
)
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.seeding import derive_seed

SHOWN = 24  # images in the picture of captions


def describe(
    config: VTBRPretrainConfig, tokenizer: WordPieceTokenizer
) -> ModelDescription:
    """The model that a configuration asks for, as it travels in the checkpoints."""
    builder, arguments = VTBR_MODELS[config.model.name]
    changed = {
        "backbone": config.model.backbone,
        "norm_first": config.model.norm_first,
        "dropout": config.model.dropout,
    }
    return ModelDescription(
        builder=builder.__name__,
        arguments={
            **arguments,
            **{name: value for name, value in changed.items() if value is not None},
            "image_size": config.image.size,
            "vocab_size": tokenizer.vocab_size,
            "max_text_length": config.text.max_length,
        },
        mean=config.image.mean,
        std=config.image.std,
        tokenizer=tokenizer.fingerprint(),
    )


def main(argv: Optional[list] = None) -> None:
    config, session = open_session(
        VTBRPretrainConfig, argv, "examples.vtbr.pretrain", __doc__
    )
    accelerator = session.accelerator

    source, watched, watched_name = pretraining_data(config.data, config.seed)
    source = source.captioned()
    loop, schedule = in_steps(
        config.epochs, config.loop, config.schedule, len(source), config.batch_size
    )
    checkpoint = session.find_checkpoint(loop)
    if checkpoint is None:
        tokenizer = make_tokenizer(config.text, source.captions())
        description = describe(config, tokenizer)
    else:
        description = read_vtbr_description(checkpoint)
        tokenizer = read_tokenizer(checkpoint, description)
    read = CaptionTransform(tokenizer, config.text.max_length, config.text.overflow)
    if checkpoint is None:
        source.check_captions(read)
    dataset = source.dataset(config.image.train_transform(), read, config.seed)
    sampler = source.sampler(
        config.batch_size,
        None,
        derive_seed(config.seed, "images"),
        session.rank,
        session.world_size,
    )
    loader = training_loader(
        dataset,
        sampler,
        Collate(tokenizer.pad_id),
        start=finished_steps(checkpoint),
        stop=loop.steps,
        workers=config.data.workers,
        max_unreadable=config.data.max_unreadable,
    )

    torch.manual_seed(derive_seed(config.seed, "weights"))
    model = build_vtbr(description)
    gather_batch_norms(model, accelerator)
    model.to(accelerator.device)
    if config.model.channels_last:
        model.to(memory_format=torch.channels_last)
    normalize = Normalize(config.image.mean, config.image.std).to(accelerator.device)
    task = TASKS[description.builder](tokenizer, normalize, config.seed)
    trainer = session.make_trainer(
        model,
        config.optimizer,
        schedule,
        loop,
        dict.fromkeys(task.names, 1.0),
        Saved(
            {"model": description._asdict(), **source.stamp},
            model_files(tokenizer),
            watched_name,
        ),
        checkpoint,
    )
    evaluate: Optional[Evaluate] = None
    held_out = held_out_images(watched)
    if held_out and loop.evaluate_every > 0:
        evaluation = CaptionEvaluation(
            held_out, description, tokenizer, task, config.evaluation, accelerator
        )
        evaluate = partial(evaluation, model)

    # by now everything was looked at but the images themselves
    session.prepare_run()
    trainer.fit(loader, task, evaluate, "pretrain", task.count_rows)

    if (
        trainer.is_finished
        and isinstance(model, BidirectionalCaptioner)
        and session.is_main
    ):
        unseen = FileSource(held_out) if held_out else source
        with unseen.shown(SHOWN) as images:
            shown = spread(images, SHOWN)
            paths = [image.path for image in shown]
            figure = draw_captions(
                [read_image(path, description.image_size) for path in paths],
                load_captioner(trainer.result).caption(paths),
                references=[image.captions[0] for image in shown],
                title="What the model writes (black), and what the data set says (grey)",
            )
        print(f"written: {save_figure(figure, session.directory / 'captions.png')}")
    session.finish(trainer, loader)


if __name__ == "__main__":
    run_main(main)
