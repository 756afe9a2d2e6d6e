# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""``python -m torchmultimodal_reid.data.inspect NAME ROOT``: is this data set whole, and fit for training?"""

import argparse
import sys
from pathlib import Path
from typing import Any, List, Optional

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.inspect.inspection import distinct_images, inspect_split
from torchmultimodal_reid.data.inspect.sheet import split_sheet
from torchmultimodal_reid.data.options import parse_options
from torchmultimodal_reid.data.registry import DATASETS, read_dataset
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.utils.atomic import write_file_atomically

FIT, NOT_FIT, UNREADABLE = 0, 1, 2


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m torchmultimodal_reid.data.inspect",
        description="Look through a data set: counts beside the published ones, and what would spoil training. "
        "Exit status: 0 fit for training, 1 not fit, 2 cannot be read.",
    )
    add = parser.add_argument
    add("name", help=f"data set: {', '.join(DATASETS)}")
    add("root", help="its folder")
    add("options", nargs="*", help="options of the reader, such as include_val=false")
    add("--json", action="store_true", help="print the report as JSON")
    add("--sheet", metavar="FILE", help="write a contact sheet, such as sheet.png")
    add("--tokenizer", metavar="FILE", help="count tokens with this tokeniser")
    add("--max-length", type=int, default=77, help="tokens of a text (default: 77)")
    add("--skip-files", action="store_true", help="open no image")
    add("--workers", type=int, default=2, help="threads (default: %(default)s)")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    args = build_parser().parse_intermixed_args(arguments)
    try:
        options = parse_options(args.options)
        count_tokens = None
        if args.tokenizer is not None:
            tokenizer = WordPieceTokenizer.load(args.tokenizer)
            count_tokens = lambda caption: len(tokenizer.encode(caption))
        split = read_dataset(args.name, args.root, **options)
        info = DATASETS[args.name]
        same = {**info.options, **options} == dict(info.options)
        report = inspect_split(
            split,
            published=info.counts if same else {},
            text_queries=info.kind == "text",
            max_length=args.max_length,
            count_tokens=count_tokens,
            files=not args.skip_files,
            workers=args.workers,
            progress=not args.quiet,
        )
        if args.sheet is not None:
            images = tuple(distinct_images(split).values())
            _save_sheet(Path(args.sheet), images)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return UNREADABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(report.to_json() if args.json else report.to_text())
    return FIT if report.fit else NOT_FIT


def _save_sheet(path: Path, images: Any) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"{path}: a contact sheet ends in .png or .jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing{path.suffix}")
    try:
        split_sheet(images).save(temporary)
        write_file_atomically(path, temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
