# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Evaluates a fine-tuned baseline by image queries over a gallery.

python -m examples.vtbr.evaluate checkpoint=runs/finetune/best data.root=datasets/target output=runs/target
"""

from functools import partial
from typing import Optional

import torch
from examples.common.config import load_config
from examples.common.data import read_split
from examples.common.distributed import leave_process_group, make_accelerator
from examples.common.evaluation import check_output, report_results
from examples.common.main import run_main
from examples.common.retrieval import Retrieval
from examples.common.selection import read_selection
from examples.vtbr.finetune import embed_images
from examples.vtbr.finetune_definitions import EvaluateConfig
from torchmultimodal_reid.data.validation import check_split
from torchmultimodal_reid.models.saved_reid import load_reid
from torchmultimodal_reid.utils.checkpoint import read_checkpoint


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        EvaluateConfig,
        argv,
        prog="python -m examples.vtbr.evaluate",
        description=__doc__,
    )
    accelerator = make_accelerator()
    output = check_output(config.output)
    split = read_split(config.data)
    check_split(split)
    model, description = load_reid(config.checkpoint)
    model.to(accelerator.device)

    retrieval = Retrieval(
        split,
        description,
        ["image"],
        accelerator,
        batch_size=config.batch_size,
        workers=config.data.workers,
    )
    with torch.no_grad():
        features = retrieval.extract(partial(embed_images, model))
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
