# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Evaluates a fine-tuned MMET by image, text and image+text queries over one gallery.

python -m examples.mmet.evaluate checkpoint=runs/finetune/best data.root=datasets/target output=runs/target
"""

from pathlib import Path
from typing import List, Optional

import torch
from examples.common.config import load_config
from examples.common.data import read_split
from examples.common.distributed import leave_process_group, make_accelerator
from examples.common.main import run_main
from examples.mmet.definitions import EvaluateConfig
from examples.mmet.pictures import draw_pictures
from examples.mmet.retrieval import (
    QUERY_KINDS,
    rank_queries,
    Retrieval,
    RetrievalFeatures,
)
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.data.validation import check_split
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.references import attribute_oracle, chance
from torchmultimodal_reid.evaluation.report import (
    build_report,
    count_rows,
    format_table,
    ResultRow,
    write_report,
)
from torchmultimodal_reid.models.saved import load


def reference_rows(features: RetrievalFeatures) -> List[ResultRow]:
    """Chance, and the oracle that reads every caption without error: what the numbers beside them mean."""
    gallery = features.gallery
    image, text = get_protocol(QUERY_KINDS["image"]), get_protocol(QUERY_KINDS["text"])
    query = features.query["image"]
    rows = [
        ResultRow(
            "chance",
            image,
            chance(query.identity, gallery.identity, query.camera, gallery.camera),
        )
    ]
    told = [told_attributes(entry) for entry in features.query_images.get("text", ())]
    known = [person_attributes(entry) for entry in features.gallery_images]
    if any(told) and any(known):
        query = features.query["text"]
        oracle = attribute_oracle(
            told, known, query.identity, gallery.identity, query.camera, gallery.camera
        )
        rows.append(ResultRow("oracle of captions", text, oracle))
    return rows


def told_attributes(image: PersonImage) -> dict:
    """What the caption of a text query tells; empty where the data set does not say."""
    told = (image.attributes or {}).get("told")
    return told[0] if told else {}


def person_attributes(image: PersonImage) -> dict:
    """What the person of a gallery image is like; empty where the data set does not say."""
    return (image.attributes or {}).get("attributes") or {}


def main(argv: Optional[list] = None) -> None:
    config, _ = load_config(
        EvaluateConfig,
        argv,
        prog="python -m examples.mmet.evaluate",
        description=__doc__,
    )
    accelerator = make_accelerator()
    output = Path(config.output)
    if output.exists() and not output.is_dir():
        raise ValueError(f"output must be a folder, but {output} is a file")
    split = read_split(config.data)
    check_split(split)
    model, tokenizer, description = load(config.checkpoint)
    model.to(accelerator.device)

    retrieval = Retrieval(
        split,
        description,
        tokenizer,
        config.queries,
        accelerator,
        config.batch_size,
        config.data.workers,
    )
    with torch.no_grad():
        features = retrieval.extract(model.embed)
    leave_process_group()
    if not accelerator.is_main_process:
        return
    rows = rank_queries(features)
    rows += reference_rows(features)

    output.mkdir(parents=True, exist_ok=True)
    report = build_report(
        rows,
        dataset=config.data.name,
        counts=count_rows(features.query["image"], features.gallery),
        extra={"checkpoint": config.checkpoint, "root": config.data.root},
    )
    write_report(output / "results.json", report)
    print(
        format_table(
            rows, title=f"{config.data.name}: {len(split.gallery)} gallery images"
        )
    )
    print(f"written: {output / 'results.json'}")
    if config.figures:
        for path in draw_pictures(features, rows, output, config.data.name):
            print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
