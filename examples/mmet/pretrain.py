# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Pretrains MMET by Masked Multimodal Modelling (https://arxiv.org/abs/2304.09498).

python -m examples.mmet.pretrain --config examples/mmet/configs/demo_pretrain.yaml output=runs/pretrain
"""

from functools import partial
from typing import Any, Dict, Optional, Tuple

import torch
from examples.common.engine import Evaluate
from examples.common.loaders import training_loader
from examples.common.main import run_main
from examples.common.pretraining_data import pretraining_data
from examples.common.retrieval import Retrieval, validate
from examples.common.run_checkpoints import finished_steps, Saved
from examples.common.session import open_session, Session
from examples.common.sharding import whole_weights
from examples.common.sources import FileSource, Source
from examples.mmet.definitions import PretrainConfig
from examples.mmet.losses import PretrainingLosses
from examples.mmet.pictures import draw_reconstruction
from examples.mmet.retrieval import contrastive_embed
from examples.mmet.start import describe, new_tokenizer
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import MixtureDataset
from torchmultimodal_reid.data.mixture import MixtureSampler
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

SHOWN = 8  # columns of the picture


def build_data(
    config: PretrainConfig,
    source: Source,
    tokenizer: WordPieceTokenizer,
    session: Session,
    is_new: bool,
) -> Tuple[MixtureDataset, MixtureSampler]:
    """Pairs, images alone and captions alone, one of the three a step; those of weight 0 are left out."""
    used = {name: weight for name, weight in config.mixture.items() if weight > 0}
    see = config.image.train_transform()
    read = CaptionTransform(tokenizer, config.text.max_length, config.text.overflow)
    described = source
    if "paired" in used or "text" in used:
        described = source.captioned()
        # the captions of a run that goes on were looked at when it began
        if is_new:
            described.check_captions(read)
    parts: Dict[str, Tuple[Source, Any, Any]] = {
        "paired": (described, see, read),
        "image": (source, see, None),
        "text": (described, None, read),
    }
    datasets, samplers = [], []
    for name in used:
        part, seen, words = parts[name]
        datasets.append(part.dataset(seen, words, config.seed))
        samplers.append(
            # K images of each identity let the contrast meet one person under several cameras
            part.sampler(
                config.batch_size,
                config.images_per_identity,
                derive_seed(config.seed, name),
                session.rank,
                session.world_size,
            )
        )
    return MixtureDataset(datasets), MixtureSampler(
        samplers,
        list(used.values()),
        config.loop.steps,
        derive_seed(config.seed, "mixture"),
    )


def main(argv: Optional[list] = None) -> None:
    config, session = open_session(
        PretrainConfig, argv, "examples.mmet.pretrain", __doc__
    )
    accelerator = session.accelerator
    checkpoint = session.find_checkpoint(config.loop)

    source, validation, watched = pretraining_data(config.data, config.seed)
    if checkpoint is None:
        tokenizer = new_tokenizer(config, source)
    else:
        tokenizer = read_tokenizer(checkpoint, read_description(checkpoint))
    dataset, sampler = build_data(
        config, source, tokenizer, session, is_new=checkpoint is None
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
        contrast_whole_text=config.contrast_whole_text,
        masked_share=config.masked_share,
        negative_share=config.negative_share,
        normalize_pixels=config.masking.normalize_pixels,
    ).to(accelerator.device)
    normalize = Normalize(config.image.mean, config.image.std).to(accelerator.device)

    trainer = session.make_trainer(
        model,
        config.optimizer,
        config.schedule,
        config.loop,
        config.losses,
        Saved(
            {"model": description._asdict(), **source.stamp},
            model_files(tokenizer),
            watched,
        ),
        checkpoint,
    )
    if config.loop.shard:
        # a forward pass bounds its own copy of a weight that is shared out
        trainer.optimizer.register_step_post_hook(lambda *_: model.bound_logit_scale())
    losses = PretrainingLosses(normalize, config.losses, config.seed, model.draw_mask)
    evaluate: Optional[Evaluate] = None
    if validation is not None and config.loop.evaluate_every > 0:
        read = CaptionTransform(tokenizer, config.text.max_length)
        kinds = ["image", "text"]
        retrieval = Retrieval(validation, description, kinds, accelerator, read)
        evaluate = partial(validate, retrieval, contrastive_embed(encoders))

    # by now everything was looked at but the images themselves
    session.prepare_run()
    trainer.fit(loader, losses, evaluate, "pretrain", losses.count_rows)

    if trainer.is_finished and config.losses["mmm_image"] > 0:
        unseen = source if validation is None else FileSource(validation.query)
        with whole_weights(model), unseen.shown(SHOWN) as shown:
            if shown and session.is_main:
                picture = session.directory / "reconstruction.png"
                draw_reconstruction(
                    model, shown, description, tokenizer, picture, SHOWN
                )
                print(f"written: {picture}")
    session.finish(trainer, loader)


if __name__ == "__main__":
    run_main(main)
