# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the numbers beside them mean: chance, and reading every caption without error."""

from typing import List

from examples.common.retrieval_features import RetrievalFeatures
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import filter_labels
from torchmultimodal_reid.evaluation.references import attribute_oracle, chance
from torchmultimodal_reid.evaluation.report import ResultRow


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
