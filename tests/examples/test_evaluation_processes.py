# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""One, two and three processes give the same numbers, to the last digit."""

import pytest
import torch
from examples.common.loaders import evaluation_loader
from torch import distributed, multiprocessing, nn
from torch.utils.data import Dataset
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.dataset import PersonSample
from torchmultimodal_reid.evaluation.extract import extract
from torchmultimodal_reid.evaluation.ranking import evaluate_distances, evaluate_ranking
from torchmultimodal_reid.evaluation.re_ranking import re_rank
from torchmultimodal_reid.utils.seeding import generator_for

QUERIES, GALLERY, IDENTITIES, CAMERAS = 9, 23, 4, 3


class Captions(Dataset):
    """Rows of texts of different lengths, so that what a row is padded to depends on who is in its batch."""

    def __init__(self, rows, first):
        self.rows, self.first = rows, first

    def __len__(self):
        return self.rows

    def __getitem__(self, row):
        number = self.first + row
        words = torch.randint(
            3, 50, (3 + number * 7 % 11,), generator=generator_for(number)
        )
        words[:2] = 10 + number % IDENTITIES
        return PersonSample(
            None, words, number % IDENTITIES, number // IDENTITIES % CAMERAS, row
        )


class Encoder(nn.Module):
    """Attention over the whole padded text: the last digits of its output depend on the shape of the batch."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 64)
        self.layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        for number, parameter in enumerate(self.parameters()):
            nn.init.normal_(parameter, std=0.2, generator=generator_for(number))

    def embed(self, batch):
        states = self.layer(self.words(batch.text))
        return states.masked_fill(batch.text_padding[..., None], 0).sum(1)


def metrics(rank, world_size):
    encoder = Encoder().eval()
    query, gallery = (
        extract(
            encoder.embed,
            evaluation_loader(
                dataset,
                Collate(0),
                batch_size=4,
                workers=0,
                rank=rank,
                world_size=world_size,
            ),
            num_rows=len(dataset),
            progress=False,
        )
        for dataset in (Captions(QUERIES, 0), Captions(GALLERY, QUERIES))
    )
    labels = (query.identity, gallery.identity, query.camera, gallery.camera)
    results = [
        evaluate_ranking(
            query.embedding, gallery.embedding, *labels, tpr_at_fpr=(0.1,)
        ),
        evaluate_distances(re_rank(query.embedding, gallery.embedding, 5, 3), *labels),
    ]
    checksum = query.embedding.double().sum() + gallery.embedding.double().sum()
    return [float(checksum)] + [
        [result.mAP, result.mAP_trapezoid, result.mINP, result.cmc.tolist()]
        + [result.tpr_at_fpr, result.num_valid_queries]
        for result in results
    ]


def process(rank, world_size, store, results):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world_size
    )
    results.put(metrics(rank, world_size))
    distributed.barrier()
    distributed.destroy_process_group()


def start(world_size, store):
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [
        context.Process(target=process, args=(rank, world_size, str(store), results))
        for rank in range(world_size)
    ]
    for each in processes:
        each.start()
    for each in processes:
        each.join(120)
        each.kill()
        assert each.exitcode == 0
    return [results.get() for _ in processes]


@pytest.fixture(scope="module")
def of_one(tmp_path_factory):
    (result,) = start(1, tmp_path_factory.mktemp("one") / "store")
    return result


def test_one_process_finds_something_and_not_all(of_one):
    for mean_average_precision, *_ in of_one[1:]:
        assert 0.2 < mean_average_precision < 1


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_same_to_the_last_digit(world_size, of_one, tmp_path):
    # 23 rows in batches of 4: six batches, the last of 3; neither rows nor batches divide evenly for both counts
    for result in start(world_size, tmp_path / "store"):
        assert result == of_one
