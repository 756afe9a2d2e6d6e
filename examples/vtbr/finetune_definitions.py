# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The configurations of fine-tuning and evaluating the baseline. ``--help`` prints each key and its comment."""

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from examples.common.checks import check_choice, check_range, check_weights
from examples.common.data import DataConfig, ImageConfig
from examples.common.engine import LoopConfig
from examples.common.epochs import EpochConfig
from examples.common.optim import OptimizerConfig, ScheduleConfig
from examples.common.ranking import RankingConfig
from torchmultimodal_reid.evaluation.protocols import PROTOCOLS
from torchmultimodal_reid.models.backbone_weights import check_source
from torchmultimodal_reid.models.backbones import BACKBONES
from torchmultimodal_reid.models.reid_baseline import POOLINGS


@dataclass
class BaselineConfig:
    """Which CNN, and where it starts from."""

    backbone: str = "resnet50"  # a name of torchvision: ResNets, MobileNets, ...
    # random, imagenet, imagenet:NAME, vtbr:CHECKPOINT, virtex, or a file (.pth, .safetensors)
    weights: str = "random"
    pooling: str = "average"  # average or gem
    last_stride: int = 1  # 1 for a last feature map of twice the size, or 2
    channels_last: bool = False  # memory layout that many convolutions are faster in

    def __post_init__(self) -> None:
        check_choice("model.backbone", self.backbone, tuple(BACKBONES))
        check_choice("model.pooling", self.pooling, tuple(POOLINGS))
        check_range("model.last_stride", self.last_stride, 1, 2)
        check_source(self.weights)


@dataclass
class FinetuneConfig:
    """``python -m examples.vtbr.finetune``"""

    output: str = "???"  # folder of the run
    seed: int = 0  # of all that is drawn
    precision: str = "no"  # no (float32), bf16 or fp16
    identities_per_batch: int = 16  # P, over all processes
    images_per_identity: int = 4  # K
    data: DataConfig = field(default_factory=DataConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    model: BaselineConfig = field(default_factory=BaselineConfig)
    label_smoothing: float = 0.1  # of the identity loss
    margin: Optional[float] = 0.3  # of the triplet loss; null for a soft margin
    center_rate: float = 0.5  # how fast the centres of the center loss move
    # weight of each loss; 0 switches it off
    losses: Dict[str, float] = field(
        default_factory=lambda: {"identity": 1.0, "triplet": 1.0, "center": 0.0}
    )
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    epochs: EpochConfig = field(default_factory=EpochConfig)

    def __post_init__(self) -> None:
        check_range("label_smoothing", self.label_smoothing, 0, 1)
        check_weights(self, "losses")

    @property
    def shared_out(self) -> Tuple[str, int]:
        """What processes and parts of ``loop.accumulate`` share out of a batch, by its key: people."""
        return "identities_per_batch", self.identities_per_batch


@dataclass
class EvaluateConfig:
    """``python -m examples.vtbr.evaluate``"""

    checkpoint: str = "???"  # checkpoint of finetune.py
    output: str = "???"  # folder for the table, the JSON and the figures
    batch_size: int = 128  # images at a time
    protocol: Optional[str] = None  # rules by name; without it, the usual ones
    figures: bool = True  # draw ranked lists and CMC curves
    # also print results by pair of cameras and by attribute, and 95 % bootstrap intervals
    breakdown: bool = False
    ranking: RankingConfig = field(default_factory=RankingConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)
        by_image = [name for name, rules in PROTOCOLS.items() if rules.query == "image"]
        if self.protocol is not None:
            check_choice("protocol", self.protocol, by_image)
