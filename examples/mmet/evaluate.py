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
from examples.common.evaluation import Loaded, run_evaluation
from examples.common.main import run_main
from examples.mmet.definitions import EvaluateConfig
from torchmultimodal_reid.models.saved import load
from torchmultimodal_reid.transforms.caption import CaptionTransform


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        EvaluateConfig,
        argv,
        prog="python -m examples.mmet.evaluate",
        description=__doc__,
    )

    def load_model(device: torch.device) -> Loaded:
        model, tokenizer, description = load(config.checkpoint)
        read = CaptionTransform(tokenizer, description.max_text_length)
        return Loaded(model.to(device).embed, description, read)

    run_evaluation(config, config.kinds, load_model)


if __name__ == "__main__":
    run_main(main)
