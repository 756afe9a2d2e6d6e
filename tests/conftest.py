# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch
from PIL import Image
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.sample import ReIDSplit
from torchmultimodal_reid.models.mmet import mmet_for_reid
from torchmultimodal_reid.models.saved import build_mmet, model_files, ModelDescription
from torchmultimodal_reid.models.saved_reid import build_reid, ReIDDescription
from torchmultimodal_reid.models.saved_vtbr import build_vtbr
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.checkpoint import write_checkpoint

COLORS = {
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 60, 200),
    "yellow": (220, 210, 50),
    "black": (20, 20, 20),
    "white": (235, 235, 235),
}


def color_of(identity: int) -> str:
    """The colour that images and captions of an identity show."""
    return list(COLORS)[identity % len(COLORS)]


def write_image(
    path: Path, color: Sequence[int], size: Tuple[int, int] = (16, 8)
) -> None:
    """One image of one colour, ``size`` being (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size[1], size[0]), tuple(color)).save(path)


def market_name(identity: int, camera: int, number: int, suffix: str = ".jpg") -> str:
    """A file name of Market-1501; the camera counts from 1 here."""
    start = "-1" if identity == -1 else f"{identity:04d}"
    return f"{start}_c{camera}s1_{number:06d}_00{suffix}"


@pytest.fixture
def build_market(tmp_path: Path) -> Callable[..., str]:
    """Writes a tiny data set in Market-1501's layout and returns its root.

    Identities 1..``train`` are for training, ``test`` more for testing. Each has ``per_camera`` training or gallery
    images and one query image for each camera. Files end in .png where exact colours matter.
    """

    def build(
        root: str = "market",
        *,
        train: int = 4,
        test: int = 2,
        cameras: int = 2,
        per_camera: int = 2,
        captions: bool = True,
        size: Tuple[int, int] = (16, 8),
        suffix: str = ".jpg",
    ) -> str:
        folder = tmp_path / root
        records: List[Dict[str, Any]] = []

        def add(part: str, identity: int, count: int) -> None:
            color = color_of(identity)
            for camera in range(1, cameras + 1):
                for number in range(count):
                    name = market_name(identity, camera, number, suffix)
                    write_image(folder / part / name, COLORS[color], size)
                    records.append(
                        {
                            "file_path": f"{part}/{name}",
                            "id": identity,
                            "split": part,
                            "captions": [
                                f"A person in a {color} coat, seen from the left.",
                                f"Someone wears {color} clothes.",
                            ],
                            "attributes": {"coat": color},
                            "told": [{"coat": color, "view": "left"}, {"coat": color}],
                        }
                    )

        for identity in range(1, train + 1):
            add("bounding_box_train", identity, per_camera)
        for identity in range(train + 1, train + test + 1):
            add("query", identity, 1)
            add("bounding_box_test", identity, per_camera)
        if captions:
            (folder / "captions.json").write_text(json.dumps(records))
        return str(folder)

    return build


@pytest.fixture
def market(build_market: Callable[..., str]) -> ReIDSplit:
    """A tiny split: 4 training and 2 test identities, 2 cameras, 2 captions an image."""
    return market1501(build_market())


@pytest.fixture
def tokenizer() -> WordPieceTokenizer:
    """A tokeniser that knows the words of ``build_market``'s captions."""
    return _tokenizer()


def _tokenizer() -> WordPieceTokenizer:
    captions = [
        f"A person in a {color} coat, seen from the left or the right. Someone wears {color} clothes."
        for color in COLORS
    ]
    return WordPieceTokenizer.train(captions, vocab_size=200)


NORMALIZATION: Dict[str, Any] = {"mean": (0.5, 0.25, 0.125), "std": (1.0, 0.5, 0.25)}


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """Writes the checkpoint of a tiny model with random weights: ``write_model(folder, "mmet_for_reid")``.

    Kinds are those of ``Loaded.kind``. Images are 32 x 16 pixels, or 64 x 32 where a CNN looks at them.
    """

    tokenizer = _tokenizer()

    def write(folder: Path, kind: str = "mmet_for_reid", **changed: Any) -> Path:
        torch.manual_seed(0)
        if kind == "reid_baseline":
            described = ReIDDescription(
                "mobilenet_v3_small", "gem", 1, 3, (64, 32), **NORMALIZATION
            )
            model, files = build_reid(described), None
        else:
            make = _mmet if kind.startswith("mmet") else _vtbr
            described, model = make(tokenizer, kind, changed)
            files = model_files(tokenizer)
        metadata = {"model": described._asdict(), "step": 7}
        tensors = {"model": model.state_dict(), "optimizer": {}}
        return write_checkpoint(folder, tensors, metadata, files)

    return write


def _mmet(
    tokenizer: WordPieceTokenizer, kind: str, changed: Dict[str, Any]
) -> Tuple[ModelDescription, torch.nn.Module]:
    arguments: Dict[str, Any] = {
        "image_size": (32, 16),
        "patch_size": 8,
        "vocab_size": tokenizer.vocab_size,
        "max_text_length": 12,
        "projection_dim": 8,
    }
    for part, d_model in (("image", 16), ("text", 24), ("mm", 32)):
        sizes = {"d_model": d_model, "n_layer": 1, "n_head": 4, "dim_feedforward": 32}
        arguments.update({f"{part}_{name}": size for name, size in sizes.items()})
    identities = 3 if kind == "mmet_for_reid" else None
    description = ModelDescription(
        builder="mmet",
        arguments={**arguments, **changed},
        tokenizer=tokenizer.fingerprint(),
        num_identities=identities,
        **NORMALIZATION,
    )
    model: Any = build_mmet(description)
    if identities is not None:
        model = mmet_for_reid(model, num_identities=identities)
        # as after training, the norm is no identity
        model.neck.norm.running_mean.normal_()
        return description, model
    # a pretraining's heads, which nothing that is loaded needs
    return description, torch.nn.ModuleDict(
        {"mmet": model, "head": torch.nn.Linear(2, 2)}
    )


def _vtbr(
    tokenizer: WordPieceTokenizer, kind: str, changed: Dict[str, Any]
) -> Tuple[ModelDescription, torch.nn.Module]:
    arguments: Dict[str, Any] = {
        "image_size": (64, 32),
        "vocab_size": tokenizer.vocab_size,
        "max_text_length": 10,
        "backbone": "mobilenet_v3_small",
    }
    if kind != "vtbr_token_classification":
        arguments.update(d_model=16, n_layer=1, n_head=4, dim_feedforward=32)
    description = ModelDescription(
        builder=kind,
        arguments={**arguments, **changed},
        tokenizer=tokenizer.fingerprint(),
        **NORMALIZATION,
    )
    return description, build_vtbr(description)
