# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import torch
from examples.common.references import reference_rows
from examples.common.retrieval_features import RetrievalFeatures
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.extract import Features


def person(identity, camera, told):
    return PersonImage(
        f"{identity}_{camera}.jpg",
        identity,
        camera,
        ("A person.",),
        {"attributes": {"coat": f"coat {identity}"}, "told": [told]},
    )


def features(images):
    rows = torch.arange(len(images))
    return Features(
        torch.eye(len(images)),
        torch.tensor([image.identity for image in images]),
        torch.tensor([image.camera for image in images]),
        rows,
    )


def retrieved(told):
    """Two people under two cameras; what the captions of the two queries tell is given."""
    queries = [person(i, 0, told[i]) for i in range(2)]
    gallery = [person(i, 1, {}) for i in range(2)]
    return RetrievalFeatures(
        features(gallery),
        {"image": features(queries), "text": features(queries)},
        gallery,
        {"image": queries, "text": queries},
    )


def test_one_caption_that_tells_nothing_does_not_hide_the_oracle():
    rows = {
        row.name: row for row in reference_rows(retrieved([{"coat": "coat 0"}, {}]))
    }
    # the first caption finds its person at once; the second is a draw between the two: mAP in (1 + .5) / 2 .. 1
    assert 0.75 <= rows["oracle of captions"].metrics.mAP <= 1
    assert rows["oracle of captions"].metrics.num_valid_queries == 2


def test_no_oracle_where_no_caption_tells_anything():
    assert [row.name for row in reference_rows(retrieved([{}, {}]))] == ["chance"]
