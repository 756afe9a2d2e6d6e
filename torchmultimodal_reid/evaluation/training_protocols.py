# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Which data sets a model learns from and which it is then tested on, by the names of the literature."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.sample import PersonImage, ReIDSplit
from torchmultimodal_reid.evaluation.shared_people import why_not_new
from torchmultimodal_reid.evaluation.splits import NUM_SPLITS, SPLIT_SETS

TRAIN: Tuple[str, ...] = ("train",)
ALL_PARTS: Tuple[str, ...] = ("train", "query", "gallery")
# sets that the literature leaves one out of
LEAVE_ONE_OUT = ("market1501", "dukemtmc", "msmt17", "cuhk03")
PROTOCOL_2_AND_3 = ("market1501", "msmt17", "cuhk03")
# identities that are no single person: junk, and Market-1501's distractors
NOT_PEOPLE: Mapping[str, Set[int]] = {"market1501": {-1, 0}, "dukemtmc": {-1}}


@dataclass(frozen=True)
class Source:
    """A data set to learn from, and which parts of it."""

    dataset: str
    parts: Tuple[str, ...] = TRAIN


@dataclass(frozen=True)
class TrainingProtocol:
    """What is learned from and what is tested on. Its fields are the stamp on every result.

    Args:
        name (str): Name, one line of a configuration.
        version (int): Rises whenever the same name would mean other data.
        sources (Tuple[Source, ...]): What to learn from.
        targets (Tuple[str, ...]): What to test on. Those of ``SPLIT_COUNTS`` are tested on their splits.
        note (str): What a reader of the number must know. Default: ``""``
    """

    name: str
    version: int
    sources: Tuple[Source, ...]
    targets: Tuple[str, ...]
    note: str = ""

    @property
    def datasets(self) -> Tuple[str, ...]:
        """Every data set that is needed, once."""
        names = [*(source.dataset for source in self.sources), *self.targets]
        return tuple(dict.fromkeys(names))

    def stamp(self) -> Dict[str, Any]:
        """What stands on a result, plain JSON."""
        return asdict(self)


FORMS = (
    "supervised:A",
    "A-to-B",
    "leave-one-out:A",
    "P1",
    "P1-duke",
    "P2:A",
    "P3:A",
)
_MERGED = "Train and test parts are learned from together."


def get_training_protocol(name: str, known: Sequence[str]) -> TrainingProtocol:
    """The protocol of a name in one of the :data:`FORMS`.

    P1-duke is the setting of https://arxiv.org/abs/2011.14670; P1, P2 and P3 are what later papers made of it.

    Args:
        name (str): Such as ``"market1501-to-msmt17"``. In ``leave-one-out:A``, ``P2:A`` and ``P3:A`` it is A that is
            tested on.
        known (Sequence[str]): Names of data sets that A and B may be.

    Raises:
        ValueError: If there is none, and the nearest data set is told; or if source and target share people.
    """
    if name in ("P1", "P1-duke"):
        return _protocol_1(name)
    form, colon, target = name.partition(":")
    if colon and form in ("supervised", "leave-one-out", "P2", "P3"):
        pool = {"supervised": tuple(known), "leave-one-out": LEAVE_ONE_OUT}
        _check_dataset(name, target, pool.get(form, PROTOCOL_2_AND_3))
        if form == "supervised":
            return TrainingProtocol(name, 1, (Source(target),), (target,))
        return _leave_one_out(name, form, target)
    source, to, target = name.partition("-to-")
    if to:
        for dataset in (source, target):
            _check_dataset(name, dataset, known)
        if source == target:
            raise ValueError(
                f"protocol {name!r} learns from what it tests on; that is supervised:{target}"
            )
        reason = why_not_new(source, target)
        if reason is not None:
            raise ValueError(
                f"protocol {name!r} is no test on new people: {reason}. Take another source, or supervised:{target}"
            )
        note = "Nothing of the target is seen in training."
        return TrainingProtocol(name, 1, (Source(source),), (target,), note)
    raise ValueError(
        f"unknown protocol {name!r}, expected one of {', '.join(FORMS)}, A and B being data sets: {', '.join(known)}"
    )


def _protocol_1(name: str) -> TrainingProtocol:
    sources = ["market1501", "cuhk02", "cuhk03", "cuhk_sysu"]
    note = (
        f"{_MERGED} Each target's number is the mean over {NUM_SPLITS} seeded splits."
    )
    if name == "P1-duke":
        sources.insert(1, "dukemtmc")
        note += " With DukeMTMC-reID, which was withdrawn, as MetaBIN has it."
    return TrainingProtocol(
        name, 1, tuple(Source(one, ALL_PARTS) for one in sources), SPLIT_SETS, note
    )


def _leave_one_out(name: str, form: str, target: str) -> TrainingProtocol:
    pool = LEAVE_ONE_OUT if form == "leave-one-out" else PROTOCOL_2_AND_3
    parts = ALL_PARTS if form == "P3" else TRAIN
    sources = [Source(one, parts) for one in pool if one != target]
    if form != "leave-one-out":
        # it has no test part of its own among these protocols
        sources.append(Source("cuhk_sysu", ALL_PARTS))
    note = _MERGED if form == "P3" else "Only train parts are learned from."
    if form == "P2":
        note += " Of CUHK-SYSU everything is."
    return TrainingProtocol(name, 1, tuple(sources), (target,), note)


def _check_dataset(protocol: str, dataset: str, known: Sequence[str]) -> None:
    if dataset not in known:
        near = get_close_matches(dataset, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"protocol {protocol!r}: unknown data set {dataset!r}{hint} Known here: {', '.join(known)}"
        )


def merge_sources(
    protocol: TrainingProtocol, splits: Mapping[str, ReIDSplit]
) -> Tuple[PersonImage, ...]:
    """The images that a protocol learns from, with identities and cameras that do not meet between data sets.

    Where a train and a test part are merged, equal numbers in the two are two people, as in MSMT17, which counts both
    from 0. Junk and distractors are left out.

    Args:
        protocol (TrainingProtocol): Whose sources.
        splits (Mapping[str, ReIDSplit]): What the reader of each source returned.

    Returns:
        Tuple[PersonImage, ...]: In the order of the sources; identities 0..n-1, cameras 0..m-1.

    Raises:
        DataError: If a source is missing or gives no image.
    """
    people: Dict[Tuple[str, bool, int], int] = {}
    cameras: Dict[Tuple[str, int], int] = {}
    merged: List[PersonImage] = []
    for source in protocol.sources:
        name = source.dataset
        if name not in splits:
            raise DataError(f"protocol {protocol.name} needs {name}, which is missing")
        parts = [(part, getattr(splits[name], part)) for part in source.parts]
        before = len(merged)
        seen: Set[str] = set()
        for part, images in parts:
            for image in images:
                if image.identity in NOT_PEOPLE.get(name, {-1}) or image.path in seen:
                    continue
                seen.add(image.path)
                person = (name, part == "train", image.identity)
                camera = (name, image.camera)
                merged.append(
                    image._replace(
                        identity=people.setdefault(person, len(people)),
                        camera=cameras.setdefault(camera, len(cameras)),
                    )
                )
        if len(merged) == before:
            raise DataError(
                f"protocol {protocol.name} learns from {', '.join(source.parts)} of {name}, which holds no images of "
                "people"
            )
    return tuple(merged)
