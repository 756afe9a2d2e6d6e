# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Evaluates a fine-tuned MMET by image, text and image+text queries over one gallery.

python -m examples.mmet.evaluate checkpoint=runs/finetune/best data.root=datasets/target output=runs/target
"""

from typing import Optional

import torch
from examples.common.config import load_config
from examples.common.data import read_split
from examples.common.distributed import leave_process_group, make_accelerator
from examples.common.evaluation import check_output, report_results
from examples.common.main import run_main
from examples.common.retrieval import Retrieval
from examples.common.selection import read_selection
from examples.mmet.definitions import EvaluateConfig
from torchmultimodal_reid.data.validation import check_split
from torchmultimodal_reid.models.saved import load
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.utils.checkpoint import read_checkpoint


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        EvaluateConfig,
        argv,
        prog="python -m examples.mmet.evaluate",
        description=__doc__,
    )
    accelerator = make_accelerator()
    output = check_output(config.output)
    split = read_split(config.data)
    check_split(split)
    model, tokenizer, description = load(config.checkpoint)
    model.to(accelerator.device)

    retrieval = Retrieval(
        split,
        description,
        config.kinds,
        accelerator,
        CaptionTransform(tokenizer, description.max_text_length),
        config.batch_size,
        config.data.workers,
    )
    with torch.no_grad():
        features = retrieval.extract(model.embed)
    leave_process_group()
    if accelerator.is_main_process:
        report_results(
            features,
            config.data,
            config.checkpoint,
            output,
            config.figures,
            protocol=config.protocol,
            selection=read_selection(read_checkpoint(config.checkpoint, []).metadata),
        )


if __name__ == "__main__":
    run_main(main)
