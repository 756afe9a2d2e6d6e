# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes the page of data sets from the table of readers.

python -m torchmultimodal_reid.data.datasets_page > docs/datasets.md
"""

from typing import Optional

from torchmultimodal_reid.data.dataset_info import DatasetInfo, PartCounts
from torchmultimodal_reid.data.registry import DATASETS

INTRODUCTION = """\
# Data sets

<!-- written by `python -m torchmultimodal_reid.data.datasets_page > docs/datasets.md`; change a reader's INFO -->

`read_dataset(name, root, **options)` reads what is on disk; nothing is downloaded. A recipe takes the name as
`data.dataset`. Counts are the published ones, *people / images / cameras*; "?" where the authors give none. Distractors
(identity 0) count as images of the gallery but not as people; junk is in no count. Before you use a data set, read its
terms on the page of its authors: the column of access is a note, not a licence. These are pictures of people.

| name | data set | kind | train | query | gallery | all | access |
|---|---|---|---|---|---|---|---|
"""

DETAILS = """
## Layouts

Folders and file names as the archives unpack; options are the reader's keyword arguments, described in its docstring.
MATLAB's files up to version 7 (`grid`, `ilids_vid`, the new protocol of `cuhk03`) are checked for damage, byte by byte,
before scipy, which is compiled code, reads them.

| name | layout | get it from | note |
|---|---|---|---|
"""

SHARDS = """
## Shards

A set of millions of files is read faster from tar shards, which any reader's data set can be written to, and the two
pretrainings (MMET's and VTBR's) learn from them:

```
python -m torchmultimodal_reid.data.shards finegpr FOLDER captions=captions.json --parts train --out shards/finegpr
python -m examples.mmet.pretrain --config examples/mmet/configs/market1501_pretrain.yaml \\
    data.shards=shards/finegpr data.validation_share=0 output=runs/finegpr
```

`pip install 'torchmultimodal-reid[streaming]'` installs what the first command needs. What it writes is in the layout
of WebDataset, with an index, a table of where each sample lies, and a file of the captions.

- **Memory** of a training holds a line of the index for each shard (1,000 images, or `--shard-size`), and nothing for
  an image: samples are read where they lie, four shards being mixed at a time.
- **Order, augmentation and masks** are functions of the seed, the epoch and the position, so neither `data.workers` nor
  the number of processes changes them, and `--resume` goes on in the midst of an epoch, without reading again what the
  run has seen. It refuses shards that are not those that the run was begun with.
- **The tokeniser** of a new run is trained on the captions of the shards, each of which is looked at before the first
  step. Pairs and captions need one for each image: `--captioned` writes only images that have one.
- **Nothing can be held out** of shards, so `data.validation_share=0` has to be said, and the last step is the result.
  Batches are random: `images_per_identity`, fine-tuning and evaluation need `data.root`.
- **Damage.** A file that is missing or cut short is told at the start, a sample whose bytes were changed when it is
  read; either ends the run, which can be resumed with the shard mended. An image that was broken before it was written
  is replaced by another of its shard, told of and counted, up to `data.max_unreadable`.

A training loop of your own may read whole shards one after the other; memory holds a few of them:

```python
from torchmultimodal_reid.data.collate import Collate
from torchmultimodal_reid.data.shards.dataset import ShardDataset
from torchmultimodal_reid.data.shards.loader import ShardLoader
from torchmultimodal_reid.transforms.image import TrainImageTransform

transform = TrainImageTransform((256, 128))
dataset = ShardDataset("shards/finegpr", "train", transform, relabel=True, endless=True)
loader = ShardLoader(dataset, batch_size=64, collate=Collate(0), num_workers=2)
for batch in loader:
    ...  # batch.image (64, 3, 256, 128), uint8; batch.identity (64,), 0 to dataset.num_identities - 1
```

With captions, `ShardDataset` takes a `caption_transform` and `Collate` the tokeniser's `pad_id`. `rank` and
`world_size` share the set among processes; `loader.state_dict()` is the position to go on from.
"""


def datasets_page() -> str:
    """The text of ``docs/datasets.md``."""
    lines = [INTRODUCTION]
    lines += [_counts_row(info) + "\n" for info in DATASETS.values()]
    lines.append(DETAILS)
    lines += [
        f"| `{i.name}` | {i.layout} | {i.source} | {i.note} |\n"
        for i in DATASETS.values()
    ]
    lines.append(SHARDS)
    return "".join(lines)


def _counts_row(info: DatasetInfo) -> str:
    cells = [
        f"`{info.name}`",
        f"[{info.title}]({info.paper})" if info.paper else info.title,
        info.kind,
        *(
            _cell(info.counts.get(part))
            for part in ("train", "query", "gallery", "all")
        ),
        info.access,
    ]
    return f"| {' | '.join(cells)} |"


def _cell(counts: Optional[PartCounts]) -> str:
    if counts is None:
        return ""
    return " / ".join("?" if count is None else f"{count:,}" for count in counts[:3])


if __name__ == "__main__":
    print(datasets_page(), end="")
