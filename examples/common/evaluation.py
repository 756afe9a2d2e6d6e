# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From features to a table, a JSON file and figures, for every kind of query that a model knows."""

from pathlib import Path
from typing import Any, List, Mapping, Optional

from examples.common.data import DataConfig
from examples.common.pictures import draw_pictures
from examples.common.retrieval import rank_queries, RetrievalFeatures, under_protocol
from examples.common.selection import chosen_on_test_set, TEST_SET_WARNING
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import filter_labels, get_protocol
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
    *,
    protocol: Optional[str] = None,
    selection: Optional[Mapping[str, Any]] = None,
) -> None:
    """Ranks every query, prints the table and writes ``results.json`` and, if wanted, figures.

    Args:
        features (RetrievalFeatures): Of gallery and queries.
        data (DataConfig): Where they came from.
        checkpoint (str): The model.
        output (Path): The folder; it is made.
        figures (bool): Whether to draw ranked lists and CMC curves.
        protocol (Optional[str]): Rules by name, for their kind of query alone. Default: None, :data:`QUERY_KINDS`.
        selection (Optional[Mapping[str, Any]]): How the checkpoint was chosen, from its metadata. Default: None.
    """
    kind = (
        next(iter(features.query)) if protocol is None else get_protocol(protocol).query
    )
    given = features  # under a protocol without cameras, their place is taken by numbers of images
    if protocol is not None:
        features = under_protocol(features, protocol)
    rows = rank_queries(features)
    rows += reference_rows(features)
    output.mkdir(parents=True, exist_ok=True)
    report = build_report(
        rows,
        dataset=data.title,
        counts=count_rows(given.query[kind], given.gallery),
        extra={
            "checkpoint": checkpoint,
            "root": data.root,
            "selection": None if selection is None else dict(selection),
        },
    )
    write_report(output / "results.json", report)
    num_images = len(features.gallery_images)
    title = f"{data.title}: {num_images} gallery images"
    if protocol is not None:
        title = f"{title}, {protocol} (version {get_protocol(protocol).version})"
    if selection is not None and chosen_on_test_set(selection):
        title = f"{title}\n{TEST_SET_WARNING}"
    print(format_table(rows, title=title))
    print(f"written: {output / 'results.json'}")
    if figures:
        for path in draw_pictures(features, rows, output, data.title):
            print(f"written: {path}")


def reference_rows(features: RetrievalFeatures) -> List[ResultRow]:
    """Chance, and the oracle that reads every caption without error: what the numbers beside them mean."""
    gallery = features.gallery
    query = _first_query(features)
    protocol = features.protocols[next(iter(features.query))]
    labels = filter_labels(protocol, query, gallery)
    rows = [
        ResultRow("chance", protocol, chance(query.identity, gallery.identity, *labels))
    ]
    told = [told_attributes(entry) for entry in features.query_images.get("text", ())]
    known = [person_attributes(entry) for entry in features.gallery_images]
    if any(told) and any(known):
        query, protocol = features.query["text"], features.protocols["text"]
        labels = filter_labels(protocol, query, gallery)
        oracle = attribute_oracle(
            told, known, query.identity, gallery.identity, *labels
        )
        rows.append(ResultRow("oracle of captions", protocol, oracle))
    return rows


def _first_query(features: RetrievalFeatures) -> Features:
    """Queries of the first kind: those by image, where there are any."""
    return next(iter(features.query.values()))


def told_attributes(image: PersonImage) -> dict:
    """What the caption of a text query tells; empty where the data set does not say."""
    told = (image.attributes or {}).get("told")
    return told[0] if told else {}


def person_attributes(image: PersonImage) -> dict:
    """What the person of a gallery image is like; empty where the data set does not say."""
    return (image.attributes or {}).get("attributes") or {}
