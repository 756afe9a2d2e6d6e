# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From features to a table, a JSON file and figures, for every kind of query that a model knows."""

from pathlib import Path
from typing import List

from examples.common.data import DataConfig
from examples.common.pictures import draw_pictures
from examples.common.retrieval import QUERY_KINDS, rank_queries, RetrievalFeatures
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.protocols import get_protocol
from torchmultimodal_reid.evaluation.references import attribute_oracle, chance
from torchmultimodal_reid.evaluation.report import (
    build_report,
    count_rows,
    format_table,
    ResultRow,
    write_report,
)


def check_output(folder: str) -> Path:
    """The folder for the results, which need not exist yet; a ValueError if a file has its name."""
    output = Path(folder)
    if output.exists() and not output.is_dir():
        raise ValueError(f"output must be a folder, but {output} is a file")
    return output


def report_results(
    features: RetrievalFeatures,
    data: DataConfig,
    checkpoint: str,
    output: Path,
    figures: bool,
) -> None:
    """Ranks every query, prints the table and writes ``results.json`` and, if wanted, figures.

    Args:
        features (RetrievalFeatures): Of gallery and queries.
        data (DataConfig): Where they came from.
        checkpoint (str): The model.
        output (Path): The folder; it is made.
        figures (bool): Whether to draw ranked lists and CMC curves.
    """
    rows = rank_queries(features)
    rows += reference_rows(features)
    output.mkdir(parents=True, exist_ok=True)
    report = build_report(
        rows,
        dataset=data.name,
        counts=count_rows(features.query["image"], features.gallery),
        extra={"checkpoint": checkpoint, "root": data.root},
    )
    write_report(output / "results.json", report)
    num_images = len(features.gallery_images)
    print(format_table(rows, title=f"{data.name}: {num_images} gallery images"))
    print(f"written: {output / 'results.json'}")
    if figures:
        for path in draw_pictures(features, rows, output, data.name):
            print(f"written: {path}")


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
