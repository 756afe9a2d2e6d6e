# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""``python -m torchmultimodal_reid.data.shards NAME ROOT --out DIR``: writes a data set as tar shards."""

import argparse
import sys
from typing import Any, Dict, List, Optional

from torchmultimodal_reid.data.options import parse_options
from torchmultimodal_reid.data.registry import DATASETS, read_dataset
from torchmultimodal_reid.data.sample import with_captions
from torchmultimodal_reid.data.shards.writer import PARTS, write_shards


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m torchmultimodal_reid.data.shards",
        description="Write a data set as tar shards, to pretrain from or to stream.",
    )
    add = parser.add_argument
    add("name", help=f"data set: {', '.join(DATASETS)}")
    add("root", help="its folder")
    add("options", nargs="*", help="options of the reader, such as include_val=false")
    add("--out", required=True, help="folder to write; new or empty")
    add("--shard-size", type=int, default=1000, help="samples (default: %(default)s)")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    add(
        "--captioned",
        action="store_true",
        help="leave images without a caption out",
    )
    add("--seed", type=int, default=0, help="of the order (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace shards that are there")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    args = build_parser().parse_intermixed_args(arguments)
    try:
        options: Dict[str, Any] = parse_options(args.options)
        split = read_dataset(args.name, args.root, **options)
        if args.captioned:
            split = split._replace(
                train=with_captions(split.train),
                query=with_captions(split.query),
                gallery=with_captions(split.gallery),
            )
        index = write_shards(
            split,
            args.out,
            shard_size=args.shard_size,
            parts=args.parts,
            seed=args.seed,
            overwrite=args.overwrite,
            progress=not args.quiet,
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {args.out} was not written", file=sys.stderr)
        return 130
    for name, part in index.parts.items():
        print(f"{name}: {part.num_samples:,} samples in {len(part.shards):,} shards")
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
