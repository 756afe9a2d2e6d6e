# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The configurations of VTBR's pretraining and captioning. Each key and its comment are printed by ``--help``."""

from dataclasses import dataclass, field
from typing import Optional, Tuple

from examples.common.checks import check_choice, check_range
from examples.common.data import DataConfig, ImageConfig
from examples.common.engine import LoopConfig
from examples.common.epochs import EpochConfig
from examples.common.optim import OptimizerConfig, ScheduleConfig
from examples.common.text import TextConfig
from torchmultimodal_reid.models.saved_vtbr import VTBR_MODELS

SEARCHES = ("beam", "greedy", "nucleus")


@dataclass
class CaptionerConfig:
    """Which captioner."""

    name: str = (
        "vtbr_r50"  # vtbr_r18, vtbr_r50 or the name of an ablation: task, backbone, layers (l), width (h)
    )
    backbone: Optional[str] = None  # another CNN of torchvision in the place of its own
    norm_first: Optional[bool] = (
        None  # norms before the decoder's blocks; after them if not given
    )
    dropout: Optional[float] = None  # of embedding and decoder; 0.1 if not given
    channels_last: bool = False  # memory layout that many convolutions are faster in

    def __post_init__(self) -> None:
        check_choice("model.name", self.name, tuple(VTBR_MODELS))
        if self.dropout is not None:
            check_range("model.dropout", self.dropout, 0, 1)


@dataclass
class CaptionEvaluationConfig:
    """What is measured on held-out identities at each evaluation."""

    images: int = 256  # captions are written for so many at most, spread over them
    beam_size: int = 5  # of the search that writes them; 1 is greedy
    batch_size: int = 64  # images at a time

    def __post_init__(self) -> None:
        for key in ("images", "beam_size", "batch_size"):
            check_range(f"evaluation.{key}", getattr(self, key), 1)


@dataclass
class VTBRPretrainConfig:
    """``python -m examples.vtbr.pretrain``"""

    output: str = "???"  # folder of the run
    seed: int = 0  # of all that is drawn
    precision: str = "no"  # no (float32), bf16 or fp16
    batch_size: int = 128  # images a step, over all processes
    data: DataConfig = field(default_factory=DataConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(
        default_factory=lambda: TextConfig(vocab_size=10000, max_length=40)
    )
    model: CaptionerConfig = field(default_factory=CaptionerConfig)
    evaluation: CaptionEvaluationConfig = field(default_factory=CaptionEvaluationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    epochs: EpochConfig = field(default_factory=EpochConfig)

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)

    @property
    def shared_out(self) -> Tuple[str, int]:
        """What processes and parts of ``loop.accumulate`` share out of a batch, by its key: samples."""
        return "batch_size", self.batch_size


@dataclass
class CaptionConfig:
    """``python -m examples.vtbr.caption``"""

    checkpoint: str = "???"  # checkpoint of pretrain.py
    images: Tuple[str, ...] = ()  # files, and folders of which every image is taken
    output: str = "???"  # folder for captions.json and captions.png
    search: str = "beam"  # beam, greedy or nucleus
    beam_size: int = 5  # of the beam search
    length_penalty: float = (
        0.0  # of the beam search: 0 as likely as possible, 1 compares means over the tokens
    )
    no_repeat_ngram: int = 0  # no so many tokens in a row come twice; 0 allows it
    top_p: float = 0.9  # of nucleus: the likeliest tokens with this much probability
    seed: int = 0  # of nucleus
    batch_size: int = 32  # images at a time
    shown: int = 24  # images in the picture and lines in the table at most

    def __post_init__(self) -> None:
        check_choice("search", self.search, SEARCHES)
        check_range("batch_size", self.batch_size, 1)
        check_range("shown", self.shown, 1)
        if not self.images:
            raise ValueError(
                "images must name files or folders, such as images=[people/], got none"
            )
