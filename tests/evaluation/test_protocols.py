# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import pytest
import torch
from torchmultimodal_reid.evaluation.extract import Features
from torchmultimodal_reid.evaluation.protocols import (
    evaluate_protocol,
    get_protocol,
    number_images,
    PROTOCOLS,
    rank_protocol,
)
from torchmultimodal_reid.evaluation.ranked_gallery import rank_gallery

# the query's own camera saw the same person nearest, then comes a stranger, then a match
QUERY = Features(
    torch.tensor([[1.0, 0.0]]), torch.tensor([5]), torch.tensor([0]), torch.tensor([0])
)
ANGLES = torch.tensor([0.3, 0.0, 0.1, 0.2])
GALLERY = Features(
    torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1),
    torch.tensor([5, 5, -1, 6]),
    torch.tensor([1, 0, 1, 0]),
    torch.arange(4),
)


@pytest.mark.parametrize(
    "name, query, first_rank",
    [
        ("image-to-image", "image", 2),
        ("text-to-image", "text", 1),
        ("text-to-image-cross-camera", "text", 2),
        ("image+text-to-image", "image+text", 2),
        ("image-to-image-single-shot", "image", 1),
    ],
)
def test_camera_filter(name: str, query: str, first_rank: int) -> None:
    protocol = get_protocol(name)
    assert protocol.query == query
    assert protocol.average_precision == "hits"
    ranks = rank_protocol(protocol, QUERY, GALLERY)
    assert ranks.first_rank.tolist() == [first_rank]
    metrics = evaluate_protocol(protocol, QUERY, GALLERY, max_rank=2)
    assert metrics.cmc.tolist() == [float(first_rank == 1), 1.0]


def test_names_are_unique_and_every_protocol_explains_itself() -> None:
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    assert all(protocol.note for protocol in PROTOCOLS.values())


def test_unknown_protocol() -> None:
    with pytest.raises(ValueError, match="did you mean 'text-to-image'"):
        get_protocol("text-to-imge")


def test_ranked_gallery() -> None:
    ranked = rank_gallery(get_protocol("image-to-image"), QUERY, GALLERY, top_k=4)
    assert ranked.position.tolist() == [[3, 0, -1, -1]]
    assert ranked.is_match.tolist() == [[False, True, False, False]]
    assert ranked.distance[0, :2].tolist() == pytest.approx(
        [-float(ANGLES[3].cos()), -float(ANGLES[0].cos())]
    )
    assert ranked.distance[0, 2:].isnan().all()


def test_ranked_gallery_without_filter() -> None:
    ranked = rank_gallery(get_protocol("text-to-image"), QUERY, GALLERY, top_k=2)
    assert ranked.position.tolist() == [[1, 3]]
    assert ranked.is_match.tolist() == [[True, False]]
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        rank_gallery(get_protocol("text-to-image"), QUERY, GALLERY, top_k=0)


@pytest.mark.parametrize(
    "name", ["image-to-image-no-camera", "image+text-to-image-no-camera"]
)
def test_without_cameras_only_the_querys_own_image_is_dropped(name: str) -> None:
    protocol = get_protocol(name)
    # the gallery's second image, of the query's camera and nearest, counts unless it is the query itself
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    for own, position in (("e.jpg", [1, 3, 0]), ("b.jpg", [3, 0, -1])):
        asked, numbers = number_images([own], paths)
        query = QUERY._replace(camera=asked)
        gallery = GALLERY._replace(camera=numbers)
        ranked = rank_gallery(protocol, query, gallery, top_k=3)
        assert ranked.position.tolist() == [position]
        metrics = evaluate_protocol(protocol, query, gallery, max_rank=2)
        assert metrics.cmc.tolist() == [float(own == "e.jpg"), 1.0]


def test_without_cameras_the_cameras_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match=r"numbers of number_images\(\)"):
        evaluate_protocol(get_protocol("image-to-image-no-camera"), QUERY, GALLERY)
    with pytest.raises(ValueError, match="the gallery holds a.jpg twice"):
        number_images([], ["a.jpg", "a.jpg"])
