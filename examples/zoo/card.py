# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A model card: the template, filled with what is known of the model and of its training."""

from pathlib import Path
from string import Template
from typing import Any, Dict, NamedTuple, Sequence

from examples.zoo.lineage import Run
from torchmultimodal_reid.models.loading import Loaded

TEMPLATE = Path(__file__).with_name("model_card.md.template")

_KINDS = {
    "mmet_for_reid": "which embeds images, captions, or both, to find people by",
    "mmet": "pretrained encoders without a head, to be fine-tuned",
    "reid_baseline": "which embeds images to find people by",
    "vtbr": "which writes captions, and whose CNN is a start for re-identification",
}
_PIPELINE = 'from torchmultimodal_reid import ReIDPipeline\n\npipeline = ReIDPipeline.from_checkpoint("{name}")\n'
_USAGES = {
    "mmet_for_reid": _PIPELINE + 'pipeline.embed(["a.jpg"], ["a woman in red"])',
    "mmet": 'from torchmultimodal_reid import load\n\nencoders = load("{name}").model',
    "reid_baseline": _PIPELINE + 'pipeline.embed(["a.jpg"])',
    "vtbr": _PIPELINE + 'pipeline.caption(["a.jpg"])',
}
_CAPTIONS = (
    "- Captions follow the few patterns of the renderer, in English. Words that these never use are unknown to the "
    "tokeniser.\n"
)
KINDS = tuple(_KINDS)


class Entry(NamedTuple):
    """What a card says beside what is in the model itself."""

    name: str
    summary: str
    dtype: str  # float16 or bfloat16
    num_bytes: int  # of the weights' file
    cosine: float  # between the outputs before and after rounding
    chosen: (
        str  # how the checkpoint was chosen: "best on the validation split, step 400"
    )
    configs: Sequence[str]  # names of the configurations in the folder
    scores: str  # tables


def fill_card(entry: Entry, loaded: Loaded, lineage: Sequence[Run]) -> str:
    """The text of a card.

    Args:
        entry (Entry): Of the zoo.
        loaded (Loaded): The model, of a kind in :data:`KINDS`.
        lineage (Sequence[Run]): From :func:`~examples.zoo.lineage.read_lineage`.
    """
    last = lineage[-1]
    description: Any = loaded.description
    tokenizer = loaded.tokenizer
    height, width = description.image_size
    reads = f"images, resized to {height} x {width} pixels"
    if tokenizer is not None:
        reads += (
            f"; captions of up to {description.max_text_length} tokens out of {tokenizer.vocab_size}, by the tokeniser "
            "in the folder"
        )
    count = sum(weight.numel() for weight in loaded.model.parameters())
    environment = last.environment
    values: Dict[str, Any] = {
        "name": entry.name,
        "summary": entry.summary,
        "builder": description.builder,
        "kind": _KINDS[loaded.kind],
        "parameters": f"{count / 1e6:.1f}",
        "reads": reads,
        "megabytes": f"{entry.num_bytes / 1e6:.1f}",
        "dtype": entry.dtype,
        "usage": _USAGES[loaded.kind].format(name=entry.name),
        "data": "\n".join(_unique(command for run in lineage for command in run.data)),
        "commands": "\n".join(run.command for run in lineage),
        "seed": last.seed,
        "commit": ", ".join(
            _unique(commit for run in lineage for commit in run.commits)
        ),
        "torch": (environment.get("versions") or {}).get("torch", "not known"),
        "device": ", ".join(environment.get("devices") or ["not known"]),
        "chosen": entry.chosen,
        "configs": " and ".join(f"`{name}`" for name in entry.configs),
        "scores": entry.scores,
        "cosine": f"{entry.cosine:.5f}",
        "own_limits": "" if tokenizer is None else _CAPTIONS,
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _unique(texts: Any) -> Sequence[str]:
    return list(dict.fromkeys(texts))
