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
from examples.common.evaluation import Loaded, run_evaluation
from examples.common.main import run_main
from examples.vtbr.finetune import embed_images
from examples.vtbr.finetune_definitions import EvaluateConfig
from torchmultimodal_reid.models.saved_reid import load_reid


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        EvaluateConfig,
        argv,
        prog="python -m examples.vtbr.evaluate",
        description=__doc__,
    )

    def load_model(device: torch.device) -> Loaded:
        model, description = load_reid(config.checkpoint)
        return Loaded(partial(embed_images, model.to(device)), description, None)

    run_evaluation(config, ["image"], load_model)


if __name__ == "__main__":
    run_main(main)
