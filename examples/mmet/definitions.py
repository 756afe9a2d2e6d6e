# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The configurations of the MMET recipes. Each key and its comment are printed by ``--help``."""

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from examples.common.checks import check_choice, check_range, check_weights
from examples.common.data import DataConfig, ImageConfig
from examples.common.engine import LoopConfig
from examples.common.optim import OptimizerConfig, ScheduleConfig
from examples.common.ranking import RankingConfig
from examples.common.text import TextConfig
from torchmultimodal_reid.evaluation.protocols import PROTOCOLS
from torchmultimodal_reid.models.saved import MMET_BUILDERS


@dataclass
class ModelConfig:
    """Which MMET."""

    builder: str = "mmet_base"  # mmet_tiny, mmet_small, mmet_base or mmet_flava_base
    patch_size: int = 16  # side of a patch in pixels
    drop_path: Optional[float] = None  # stochastic depth of each encoder's last layer

    def __post_init__(self) -> None:
        check_choice("model.builder", self.builder, tuple(MMET_BUILDERS))
        check_range("model.patch_size", self.patch_size, 1)
        if self.drop_path is not None:
            check_range("model.drop_path", self.drop_path, 0, 1)


@dataclass
class MaskingConfig:
    """Masked Multimodal Modelling: ranges from which the ratios of a step are drawn."""

    mode: str = (
        "replace"  # replace: mask tokens everywhere; drop: encoders see what is visible, a light decoder completes it
    )
    decoder_dim: int = 192  # width of drop's decoders, a multiple of 12
    decoder_n_layer: int = 1  # layers of each of them
    patch_ratio: Tuple[float, float] = (0.3, 0.5)  # share of the patches
    token_ratio: Tuple[float, float] = (0.15, 0.3)  # share of the words
    block_wise: bool = True  # mask rectangles of patches rather than single ones
    normalize_pixels: bool = (
        True  # predict pixels relative to their patch's mean and deviation
    )

    def __post_init__(self) -> None:
        check_choice("masking.mode", self.mode, ("replace", "drop"))
        check_range("masking.decoder_n_layer", self.decoder_n_layer, 1)
        if self.decoder_dim < 1 or self.decoder_dim % 12:
            raise ValueError(
                f"masking.decoder_dim must be a multiple of 12, got {self.decoder_dim}"
            )


@dataclass
class PretrainConfig:
    """``python -m examples.mmet.pretrain``"""

    output: str = "???"  # folder of the run
    seed: int = 0  # of all that is drawn
    precision: str = "no"  # no (float32), bf16 or fp16
    batch_size: int = 64  # pairs a step, over all processes
    images_per_identity: Optional[int] = (
        None  # K of PxK batches; without it batches are random
    )
    data: DataConfig = field(default_factory=DataConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    # contrast the masked stream instead of a second pass that sees everything; null: with masking.mode drop
    contrast_masked: Optional[bool] = None
    # with a masked contrast: captions of which all words are seen, as FLIP has it
    contrast_whole_text: bool = False
    masked_share: float = (
        1.0  # of a batch that the masked losses learn from; the contrast has all of it
    )
    negative_share: float = (
        1.0  # of the images that image-text matching also pairs with a wrong caption
    )
    # how often a step takes pairs, images alone, captions alone
    mixture: Dict[str, float] = field(
        default_factory=lambda: {"paired": 1.0, "image": 0.0, "text": 0.0}
    )
    # weight of each loss; 0 switches it off
    losses: Dict[str, float] = field(
        default_factory=lambda: {
            "mim": 1.0,
            "mlm": 1.0,
            "mmm_image": 1.0,
            "mmm_text": 1.0,
            "itm": 1.0,
            "gc": 1.0,
            "gc_image": 0.0,
            "gc_text": 0.0,
        }
    )
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)
        for name in ("masked_share", "negative_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be above 0 and at most 1, got {getattr(self, name)}"
                )
        if self.contrast_whole_text and not (
            self.masking.mode == "drop"
            if self.contrast_masked is None
            else self.contrast_masked
        ):
            raise ValueError(
                "contrast_whole_text is true, but the contrast is not masked: give contrast_masked=true too"
            )
        if self.images_per_identity is not None:
            check_range("images_per_identity", self.images_per_identity, 1)
            if self.batch_size % self.images_per_identity:
                raise ValueError(
                    f"batch_size {self.batch_size} is not a multiple of images_per_identity {self.images_per_identity}"
                )
            if self.data.shards is not None:
                raise ValueError(
                    f"images_per_identity is {self.images_per_identity}, but batches out of data.shards are random; "
                    "give images_per_identity=null, or data.root in place of data.shards"
                )
        check_weights(self, "mixture")
        check_weights(self, "losses")
        for source, own in (
            ("image", ("mim", "mmm_image")),
            ("text", ("mlm", "mmm_text")),
        ):
            if self.mixture[source] > 0 and not any(self.losses[name] for name in own):
                raise ValueError(
                    f"mixture.{source} is {self.mixture[source]}, but the losses of {source}s alone, "
                    f"{' and '.join(own)}, have weight 0; set both or neither"
                )

    @property
    def shared_out(self) -> Tuple[str, int]:
        """What processes and parts of ``loop.accumulate`` share out of a batch, by its key: samples or people."""
        if self.images_per_identity is None:
            return "batch_size", self.batch_size
        people = self.batch_size // self.images_per_identity
        return "batch_size / images_per_identity", people


@dataclass
class FinetuneConfig:
    """``python -m examples.mmet.finetune``"""

    output: str = "???"  # folder of the run
    pretrained: Optional[str] = (
        None  # checkpoint of pretrain.py; without it the model starts from random weights
    )
    seed: int = 0  # of all that is drawn
    precision: str = "no"  # no (float32), bf16 or fp16
    identities_per_batch: int = 16  # P, over all processes
    images_per_identity: int = 4  # K
    data: DataConfig = field(default_factory=DataConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(
        default_factory=ModelConfig
    )  # with pretrained, only drop_path is read
    modalities: Tuple[str, ...] = (
        "image",
        "text",
    )  # image alone for data without captions
    caption_weight: float = (
        0.2  # of the caption's own embedding, in a search by image and caption
    )
    label_smoothing: float = 0.1  # of the identity loss
    margin: Optional[float] = 0.3  # of the triplet loss; null for a soft margin
    temperature: float = 0.07  # of the contrasts
    # weight of each loss; 0 switches it off
    losses: Dict[str, float] = field(
        default_factory=lambda: {
            "identity_fused": 1.0,
            "identity_image": 1.0,
            "identity_text": 1.0,
            "triplet_fused": 1.0,
            "triplet_image": 1.0,
            "triplet_text": 0.0,
            "triplet_cross": 1.0,
            "contrast_image": 0.0,
            "contrast_text": 0.0,
            "contrast_cross": 0.0,
            "contrast_fused": 0.0,
        }
    )
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        for name in self.modalities:
            check_choice("modalities", name, ("image", "text"))
        if not self.modalities:
            raise ValueError("modalities must hold image, text or both, got none")
        check_range("caption_weight", self.caption_weight, 0)
        check_range("label_smoothing", self.label_smoothing, 0, 1)
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        check_weights(self, "losses")
        alone = [f"identity_{self.modalities[0]}", f"triplet_{self.modalities[0]}"]
        if len(self.modalities) == 1 and not any(self.losses[name] for name in alone):
            raise ValueError(
                f"modalities is {self.modalities[0]} alone, but its losses {' and '.join(alone)} have weight 0"
            )

    @property
    def shared_out(self) -> Tuple[str, int]:
        """What processes and parts of ``loop.accumulate`` share out of a batch, by its key: people."""
        return "identities_per_batch", self.identities_per_batch


@dataclass
class EvaluateConfig:
    """``python -m examples.mmet.evaluate``"""

    checkpoint: str = "???"  # checkpoint of finetune.py
    output: str = "???"  # folder for the table, the JSON and the figures
    batch_size: int = 128  # images or captions at a time
    # those with text need captions, else they are left out
    queries: Tuple[str, ...] = ("image", "text", "image+text")
    # rules by name for their kind of query, which alone is then asked; without it, each kind has its default rules
    protocol: Optional[str] = None
    figures: bool = True  # draw ranked lists and CMC curves
    # also print results by pair of cameras and by attribute, and 95 % bootstrap intervals
    breakdown: bool = False
    ranking: RankingConfig = field(default_factory=RankingConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1)
        for name in self.queries:
            check_choice("queries", name, ("image", "text", "image+text"))
        if "image" not in self.queries:
            raise ValueError(
                f"queries must hold image, got {', '.join(self.queries) or 'none'}"
            )
        if self.protocol is not None:
            check_choice("protocol", self.protocol, tuple(PROTOCOLS))

    @property
    def kinds(self) -> Tuple[str, ...]:
        """The kinds of queries that are asked."""
        if self.protocol is None:
            return self.queries
        return (PROTOCOLS[self.protocol].query,)
