# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A training protocol on disk: what is merged to learn from, and the targets that are tested on."""

from inspect import signature
from typing import Any, Dict, NamedTuple, Optional, Tuple

from examples.common.data import DataConfig, read_split
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.registry import dataset_info, DATASETS, read_dataset
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.evaluation.splits import draw_splits, SPLIT_COUNTS
from torchmultimodal_reid.evaluation.training_protocols import (
    get_training_protocol,
    merge_sources,
    TrainingProtocol,
)


class Target(NamedTuple):
    """What is tested on."""

    name: str
    splits: Tuple[
        ReIDSplit, ...
    ]  # the data set's own one, or those to take the mean over
    stamp: Optional[Dict[str, Any]]  # of splits that were drawn

    def all_images(self) -> ReIDSplit:
        """Every query and every gallery image of the splits once, so that each is embedded once."""
        if len(self.splits) == 1:
            return self.splits[0]
        query, gallery = (
            {image.path: image for split in self.splits for image in getattr(split, p)}
            for p in ("query", "gallery")
        )
        return self.splits[0]._replace(
            query=_in_order(query), gallery=_in_order(gallery)
        )


def _in_order(images: Dict[str, PersonImage]) -> Tuple[PersonImage, ...]:
    return tuple(images[path] for path in sorted(images))


def find_protocol(config: DataConfig) -> Optional[TrainingProtocol]:
    """The protocol that a configuration names, if any.

    Raises:
        DataError: If it learns from people whom one of the splits that it is tested on tests.
    """
    if config.protocol is None:
        return None
    protocol = get_training_protocol(config.protocol, tuple(DATASETS))
    for source in protocol.sources:
        if source.dataset in protocol.targets and source.dataset in SPLIT_COUNTS:
            raise DataError(
                f"protocol {protocol.name}: each of the splits of {source.dataset} needs a model of its own, because "
                f"others test the people that it learns from. Train and evaluate with data.dataset={source.dataset} "
                "and data.options.split=0, then 1, and so on"
            )
    return protocol


def read_training(config: DataConfig) -> ReIDSplit:
    """What a run learns from: the data set, or the sources of the protocol, merged.

    Returns:
        ReIDSplit: Under a protocol, queries and gallery are those of its target if ``config.select_on_test_set`` says
            that they are looked at; otherwise there are none, and the target's folder is not needed.

    Raises:
        DataError: If a folder is missing or a data set cannot be read, or there is not one test part to look at.
    """
    protocol = find_protocol(config)
    if protocol is None:
        return read_split(config)
    names = dict.fromkeys(source.dataset for source in protocol.sources)
    sources = {name: _read(config, name) for name in names}
    merged = ReIDSplit(config.title, "", merge_sources(protocol, sources), (), ())
    if not config.select_on_test_set:
        return merged
    if len(protocol.targets) > 1 or protocol.targets[0] in SPLIT_COUNTS:
        raise DataError(
            f"data.select_on_test_set: protocol {protocol.name} is tested on splits of {', '.join(protocol.targets)}; "
            "there is no one test part to choose on"
        )
    target = sources.get(protocol.targets[0]) or _read(config, protocol.targets[0])
    return merged._replace(query=target.query, gallery=target.gallery)


def read_targets(config: DataConfig) -> Tuple[Target, ...]:
    """What an evaluation tests on: the data set's test part, or each target of the protocol.

    Raises:
        DataError: If a folder is missing or a data set cannot be read.
    """
    protocol = find_protocol(config)
    if protocol is None:
        return (Target(config.title, (read_split(config),), None),)
    return tuple(_read_target(config, name) for name in protocol.targets)


def _read_target(config: DataConfig, name: str) -> Target:
    if name not in SPLIT_COUNTS:
        return Target(name, (_read(config, name),), None)
    splits, stamp = draw_splits(
        name, _root(config, name), seed=config.split_seed, **_options(config, name)
    )
    return Target(name, splits, stamp)


def _read(config: DataConfig, name: str) -> ReIDSplit:
    split = read_dataset(name, _root(config, name), **_options(config, name))
    return split._replace(name=name)


def _root(config: DataConfig, name: str) -> str:
    if name not in config.roots:
        raise DataError(
            f"data.protocol {config.protocol} needs {name}; give its folder: data.roots.{name}=FOLDER"
        )
    return config.roots[name]


def _options(config: DataConfig, name: str) -> Dict[str, Any]:
    options = dict(config.options.get(name) or {})
    # data sets that come with their captions have no such option
    if "missing_captions" in signature(dataset_info(name).reader).parameters:
        options.setdefault("missing_captions", config.missing_captions)
    return options
