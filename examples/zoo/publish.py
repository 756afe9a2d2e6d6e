# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Makes an entry of the model zoo out of a run's checkpoint.

    python -m examples.zoo.publish runs/finetune/best mmet_tiny_reid --summary "MMET, tiny: ..." \\
        --scores runs/*/source/results.json runs/*/target/results.json

It writes ``torchmultimodal_reid/weights/NAME``: the weights in half precision, what travels with them (tokeniser,
sizes, normalisation), the configurations of its runs, and a model card; and brings the table of ``docs/zoo.md`` up to
date. Commit what it wrote.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from examples.common.main import run_main
from examples.common.selection import read_selection
from examples.zoo.card import Entry, fill_card, KINDS
from examples.zoo.half_precision import DTYPES, shipped_state, smallest_cosine
from examples.zoo.lineage import read_lineage, Run
from examples.zoo.page import write_page
from examples.zoo.scores import read_scores, score_table, tested_on, validation_table
from torchmultimodal_reid.models import zoo
from torchmultimodal_reid.models.loading import load, Loaded
from torchmultimodal_reid.models.saved import model_files
from torchmultimodal_reid.utils.atomic import replace_directory
from torchmultimodal_reid.utils.checkpoint import read_checkpoint, write_checkpoint

LARGEST_FILE, LARGEST_ZOO = (
    10_000_000,
    30_000_000,
)  # bytes; a repository is no place for more
MOST_ALIKE = 0.999  # of outputs before and after rounding; a smaller cosine is no rounding any more
WEIGHTS_FILE = "model.safetensors"


def publish(
    checkpoint: Path,
    name: str,
    summary: str,
    *,
    scores: Sequence[str] = (),
    seeds: Sequence[Path] = (),
    dtype: str = "float16",
    replace: bool = False,
) -> Path:
    """Writes one entry, whole or not at all.

    Args:
        checkpoint (Path): A checkpoint in its run's folder, such as ``runs/finetune/best``.
        name (str): The entry's: lower case letters, digits and underscores.
        summary (str): In one line what it does and what it learned from.
        scores (Sequence[str]): Files results.json: of this checkpoint, and of the same recipe with other seeds.
        seeds (Sequence[Path]): Checkpoints of the same recipe with other seeds, for what was measured on validation
            splits.
        dtype (str): "float16" or "bfloat16". Default: "float16"
        replace (bool): Whether an entry of that name may go. Default: False

    Returns:
        Path: The entry's folder.

    Raises:
        ValueError: If anything of it must not ship: its size, its data, its kind, scores of something else.
    """
    folder = zoo.WEIGHTS / name
    _check_words(name, summary, folder, replace)
    loaded = load(checkpoint)
    if loaded.kind not in KINDS:
        raise ValueError(
            f"{checkpoint} holds a model of kind {loaded.kind}, expected one of {', '.join(KINDS)}"
        )
    lineage = read_lineage(checkpoint)
    metadata = read_checkpoint(checkpoint, []).metadata
    tables = _tables(loaded, metadata, scores, seeds)
    configs = {
        f"{number}_{run.recipe}.yaml": run.config
        for number, run in enumerate(lineage, start=1)
    }
    kept: Dict[str, Any] = {
        key: metadata[key] for key in ("model", "step", "best") if key in metadata
    }
    selection = read_selection(metadata)
    told = {"summary": summary, "dtype": dtype, "seed": lineage[-1].seed}
    with tempfile.TemporaryDirectory() as temporary:
        made = write_checkpoint(
            Path(temporary) / name,
            {"model": shipped_state(loaded, DTYPES[dtype])},
            {**kept, "selection": selection, "zoo": told},
            {**_tokenizer(loaded), **configs},
        )
        entry = Entry(
            name,
            summary,
            dtype,
            (made / WEIGHTS_FILE).stat().st_size,
            smallest_cosine(loaded, load(made)),
            f"{selection['chosen_by']}, step {selection['step']}",
            tuple(configs),
            tables,
        )
        _check_entry(entry, made)
        card = fill_card(entry, loaded, lineage)
        (made / zoo.CARD).write_text(card, encoding="utf-8")
        for file in made.iterdir():  # safetensors writes for its owner alone
            file.chmod(0o644)
        with replace_directory(folder, LARGEST_FILE) as place:
            shutil.copytree(made, place, dirs_exist_ok=True)
    _warn(lineage)
    return folder


def _check_words(name: str, summary: str, folder: Path, replace: bool) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"a name of the zoo is of lower case letters, digits and underscores, got {name!r}"
        )
    if not summary.strip() or "\n" in summary or "|" in summary:
        raise ValueError(
            f"the summary must be one line of text without a vertical bar, got {summary!r}"
        )
    if folder.exists() and not replace:
        raise ValueError(
            f"the zoo has a model {name!r} already; choose another name, or say --replace"
        )


def _tables(
    loaded: Loaded,
    metadata: Dict[str, Any],
    scores: Sequence[str],
    seeds: Sequence[Path],
) -> str:
    if loaded.kind in ("mmet_for_reid", "reid_baseline") and not scores:
        raise ValueError(
            "a model that finds people needs its scores: give the results.json of its evaluations by --scores"
        )
    parts: List[str] = []
    if scores:
        scored = read_scores(scores, loaded.fingerprint)
        numbers = sorted({one.seed for one in scored})
        of = f"of seed {numbers[0]} alone"
        if len(numbers) > 1:
            of = (
                f"mean and standard deviation over seeds {', '.join(map(str, numbers))}"
            )
        parts.append(
            f"In percent, {of}; the protocol of each query is in docs/protocols.md."
        )
        parts.append(score_table(scored, loaded.fingerprint))
        lines = [f"# {name}\n{line}" for name, line in tested_on(scored).items()]
        parts.append("Tested on\n\n```\n" + "\n".join(lines) + "\n```")
    others = [read_checkpoint(path, []).metadata.get("best") or {} for path in seeds]
    parts.append(validation_table([metadata.get("best") or {}, *others]))
    return "\n\n".join(filter(None, parts)) or "None were measured."


def _tokenizer(loaded: Loaded) -> Dict[str, bytes]:
    return {} if loaded.tokenizer is None else dict(model_files(loaded.tokenizer))


def _check_entry(entry: Entry, made: Path) -> None:
    if entry.num_bytes > LARGEST_FILE:
        raise ValueError(
            f"the weights of {entry.name} in {entry.dtype} have {entry.num_bytes / 1e6:.1f} MB, expected at most "
            f"{LARGEST_FILE / 1e6:.0f} MB; train a smaller model"
        )
    others = [one for one in zoo.zoo_models().values() if one.name != entry.name]
    total = sum(one.num_bytes for one in others)
    total += sum(file.stat().st_size for file in made.iterdir())
    if total > LARGEST_ZOO:
        raise ValueError(
            f"with {entry.name} the zoo would have {total / 1e6:.1f} MB, expected at most {LARGEST_ZOO / 1e6:.0f} MB; "
            f"take one out of {zoo.WEIGHTS} first"
        )
    if not entry.cosine >= MOST_ALIKE:
        raise ValueError(
            f"rounding {entry.name} to {entry.dtype} changes what it computes: the smallest cosine between outputs is "
            f"{entry.cosine:.4f}, expected at least {MOST_ALIKE}; try the other --dtype"
        )


def _warn(lineage: Sequence[Run]) -> None:
    for run in lineage:
        if any(
            commit.endswith("+changes") or commit == "not known"
            for commit in run.commits
        ):
            print(
                f"warning: {run.folder} ran from source that no commit holds, so nobody can repeat it"
            )


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.zoo.publish",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="such as runs/finetune/best")
    add("name", help="such as mmet_tiny_reid")
    add("--summary", required=True, help="one line: what it does, what it learned from")
    add(
        "--scores",
        nargs="+",
        default=[],
        metavar="FILE",
        help="results.json, of each seed",
    )
    add(
        "--seeds",
        nargs="+",
        default=[],
        type=Path,
        metavar="CHECKPOINT",
        help="of other seeds",
    )
    add("--dtype", choices=tuple(DTYPES), default="float16", help="default: float16")
    add("--replace", action="store_true", help="an entry of this name may go")
    given = parser.parse_args(argv)
    folder = publish(
        given.checkpoint,
        given.name,
        given.summary,
        scores=given.scores,
        seeds=given.seeds,
        dtype=given.dtype,
        replace=given.replace,
    )
    write_page()
    size = zoo.zoo_models()[given.name].num_bytes
    print(
        f"written: {folder}, {size / 1e6:.1f} MB; read {folder / zoo.CARD} and commit both it and docs/zoo.md"
    )


if __name__ == "__main__":
    run_main(main)
