# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


import threading

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torchmultimodal_reid.search.gallery_index import GalleryEntry, GalleryIndex

pytest.importorskip("faiss")


def entries(count, start=0):
    return [GalleryEntry(f"{start + i}.jpg", i % 3, i % 2) for i in range(count)]


def embeddings(count, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator)


def brute_force(gallery, query, top_k):
    """Positions and cosines of the most similar rows, by a full sort in double precision."""
    gallery, query = gallery.double(), query.double()
    cosine = torch.nn.functional.cosine_similarity(gallery, query[None])
    values, order = cosine.sort(descending=True, stable=True)
    return order[:top_k].tolist(), values[:top_k].tolist()


def test_flat_search_is_exact():
    gallery = embeddings(500)
    index = GalleryIndex.build(gallery, entries(500), "model")
    assert index.kind == "flat" and len(index) == 500
    for query in embeddings(20, seed=1):
        order, cosine = brute_force(gallery, query, 7)
        hits = index.search(query, top_k=7)
        assert [hit.id for hit in hits] == order
        assert [hit.similarity for hit in hits] == pytest.approx(cosine, abs=1e-6)
        assert [hit.entry.path for hit in hits] == [f"{i}.jpg" for i in order]


def test_equal_images_come_in_the_order_of_their_ids():
    index = GalleryIndex.build(torch.ones(4, 3), entries(4), "model")
    assert [hit.id for hit in index.search(torch.ones(3), top_k=9)] == [0, 1, 2, 3]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("save"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(operations=OPERATIONS)
def test_ids_stay_right_through_adding_removing_and_saving(
    operations, tmp_path_factory
):
    path = tmp_path_factory.mktemp("index") / "index"
    index = GalleryIndex("model", 4)
    expected = {}  # id -> (path, vector)
    given_ids = 0
    for action, number in operations:
        if action == "add":
            vectors = embeddings(number, 4, seed=given_ids)
            ids = index.add(vectors, entries(number, given_ids))
            assert ids == list(range(given_ids, given_ids + number))
            expected.update(
                {i: (f"{i}.jpg", vector) for i, vector in zip(ids, vectors)}
            )
            given_ids += number
        elif action == "remove" and number in expected:
            del expected[number]
            index.remove([number])
        elif action == "remove":
            with pytest.raises(ValueError, match=f"not in the index, such as {number}"):
                index.remove([number])
        else:
            index.save(path)
            index = GalleryIndex.load(path, "model")
        assert len(index) == len(expected)
        assert {i: entry.path for i, entry in index.items()} == {
            i: path for i, (path, _) in expected.items()
        }
        for i, (_, vector) in expected.items():
            assert index.search(vector, top_k=1)[0].similarity == pytest.approx(1)
            assert i in [hit.id for hit in index.search(vector, top_k=len(expected))]


def test_removed_and_added_again_it_has_a_new_id():
    index = GalleryIndex.build(torch.eye(3), entries(3), "model")
    index.remove(index.find("1.jpg"))
    assert index.find("1.jpg") == []
    assert [hit.id for hit in index.search(torch.eye(3)[1], top_k=3)] == [0, 2]
    assert index.add(torch.eye(3)[1:2], [GalleryEntry("1.jpg")]) == [3]
    best = index.search(torch.eye(3)[1], top_k=1)[0]
    assert (best.id, best.entry.path) == (3, "1.jpg")
    index.remove([3])
    index.add(torch.eye(3)[1:2], [GalleryEntry("1.jpg")])
    assert index.find("1.jpg") == [4]


def test_nothing_is_removed_if_one_id_is_not_there():
    index = GalleryIndex.build(torch.eye(3), entries(3), "model")
    with pytest.raises(ValueError, match="1 of 2 ids are not in the index, such as 7"):
        index.remove([0, 7])
    assert len(index) == 3 and index.find("0.jpg") == [0]


def test_entries_come_back_whole(tmp_path):
    entry = GalleryEntry("ä b.jpg", 5, 2, "A woman's red coat.", {"size": [3, 4]})
    GalleryIndex.build(torch.ones(1, 2), [entry], "model").save(tmp_path / "i")
    index = GalleryIndex.load(tmp_path / "i", "model")
    assert index.search(torch.ones(2))[0].entry == entry
    assert index.find("ä b.jpg") == [0]


def test_index_of_another_model_is_refused(tmp_path):
    GalleryIndex.build(torch.eye(2), entries(2), "a" * 64).save(tmp_path / "i")
    with pytest.raises(
        ValueError,
        match=r"built with another model \(fingerprint aaaaaaaaaaaa, this one's is bbbbbbbbbbbb\)",
    ):
        GalleryIndex.load(tmp_path / "i", "b" * 64)


@pytest.mark.parametrize("name", ["vectors.faiss", "entries.sqlite"])
def test_altered_index_is_refused(tmp_path, name):
    GalleryIndex.build(torch.eye(2), entries(2), "model").save(tmp_path / "i")
    content = bytearray((tmp_path / "i" / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / "i" / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is missing, cut short or altered"):
        GalleryIndex.load(tmp_path / "i", "model")


def test_what_is_no_index_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no gallery index: it has no index.json"):
        GalleryIndex.load(tmp_path, "model")
    (tmp_path / "index.json").write_text('{"format": 1')
    with pytest.raises(ValueError, match="index.json is cut short or altered"):
        GalleryIndex.load(tmp_path, "model")
    (tmp_path / "index.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match="index.json is cut short or altered"):
        GalleryIndex.load(tmp_path, "model")


def test_failed_save_leaves_the_index_before_it(tmp_path, monkeypatch):
    index = GalleryIndex.build(torch.eye(2), entries(2), "model")
    index.save(tmp_path / "i")
    index.remove([0])

    def fail(path):
        raise OSError("the disk is gone")

    monkeypatch.setattr(index._entries, "save", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        index.save(tmp_path / "i")
    assert len(GalleryIndex.load(tmp_path / "i", "model")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


class Encoder:
    fingerprint = "model"

    def encode(self, image, text):
        """An image is its mean colour, a text its colour's name."""
        parts = [] if image is None else [image.float().mean((1, 2))]
        names = ("red", "green", "blue")
        if text is not None:
            parts.append(torch.tensor([100.0 * (name in text) for name in names]))
        return torch.stack(parts).sum(0)


def test_search_by_image_text_and_both():
    index = GalleryIndex.build(torch.eye(3), entries(3), "model", Encoder())
    green = torch.zeros(3, 4, 2, dtype=torch.uint8)
    green[1] = 90
    assert index.search(image=green, top_k=1)[0].id == 1
    assert index.search(text="a blue coat", top_k=1)[0].id == 2
    found = index.search(image=green, text="a blue coat", top_k=3)
    assert [hit.id for hit in found] == [2, 1, 0]
    assert index.search(torch.tensor([2.0, 1.0, 0.0]), top_k=2)[1].id == 1


def test_bad_arguments():
    index = GalleryIndex.build(torch.eye(3), entries(3), "model")
    with pytest.raises(ValueError, match="give an image, a text or both"):
        index.search()
    with pytest.raises(ValueError, match="give an image, a text or both"):
        index.search(torch.ones(3), text="a coat")
    with pytest.raises(ValueError, match="has no encoder to search by image or text"):
        index.search(text="a coat")
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        index.search(torch.ones(3), top_k=0)
    with pytest.raises(ValueError, match=r"have 3 numbers, got shape \(1, 4\)"):
        index.search(torch.ones(4))
    with pytest.raises(ValueError, match="zero, NaN or infinite"):
        index.add(torch.zeros(1, 3), entries(1))
    with pytest.raises(ValueError, match="got 2 embeddings and 1 entries"):
        index.add(torch.ones(2, 3), entries(1))
    with pytest.raises(ValueError, match=r"this index was built with another model"):
        GalleryIndex("other", 3, Encoder())
    assert GalleryIndex("model", 3).search(torch.ones(3)) == []


def clusters(count, dim, num_clusters, seed):
    """Unit vectors around unit centres, as the images of people are around each person."""
    centres = embeddings(num_clusters, dim, seed=3)
    vectors = centres[torch.arange(count) % num_clusters]
    return vectors + 0.3 * embeddings(count, dim, seed=seed)


def test_beyond_the_threshold_codes_find_nearly_what_an_exact_search_finds(tmp_path):
    gallery = clusters(700, 16, 50, seed=0)
    queries = clusters(50, 16, 50, seed=1)
    index = GalleryIndex("model", 16, ivf_pq_above=600)
    index.add(gallery[:600], entries(600))
    assert index.kind == "flat"
    index.add(gallery[600:], entries(100, 600))
    assert index.kind == "ivf-pq" and len(index) == 700

    def recall(index):
        found = 0
        for query in queries:
            order, _ = brute_force(gallery, query, 10)
            hits = index.search(query, top_k=10)
            found += len(set(order) & {hit.id for hit in hits})
        return found / (10 * len(queries))

    measured = recall(index)
    assert measured >= 0.8, measured
    index.remove(list(range(0, 700, 2)))
    index.save(tmp_path / "i")
    loaded = GalleryIndex.load(tmp_path / "i", "model", ivf_pq_above=600)
    assert loaded.kind == "ivf-pq" and len(loaded) == 350
    hits = loaded.search(gallery[7], top_k=5)
    assert 7 in [hit.id for hit in hits] and all(hit.id % 2 for hit in hits)
    assert loaded.add(gallery[:1], entries(1)) == [700]
    assert loaded.search(gallery[0], top_k=1)[0].id == 700


def test_threshold_below_what_codes_are_trained_on():
    with pytest.raises(ValueError, match="ivf_pq_above must be at least 256, got 10"):
        GalleryIndex("model", 4, ivf_pq_above=10)


def test_readers_beside_a_writer_see_whole_images():
    index = GalleryIndex.build(torch.eye(8), entries(8), "model")
    failures = []
    done = threading.Event()

    def read():
        while not done.is_set():
            hits = index.search(torch.ones(8), top_k=20)
            if not all(hit.entry.path == f"{hit.id}.jpg" for hit in hits):
                failures.append(hits)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(15):
        index.add(torch.eye(8), entries(8, 8 * (turn + 1)))
        index.remove(range(8 * turn, 8 * turn + 8))
    done.set()
    for reader in readers:
        reader.join()
    assert not failures and len(index) == 8
