# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""``python -m torchmultimodal_reid.data.synthetic``: renders a data set of pedestrians with captions."""

import argparse
import sys
from typing import List, Optional

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.synthetic.captions import STYLES
from torchmultimodal_reid.data.synthetic.generate import generate
from torchmultimodal_reid.data.synthetic.request import Request


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m torchmultimodal_reid.data.synthetic",
        description="Render pedestrians with captions in Market-1501's layout. The same arguments give the same bytes.",
    )
    add = parser.add_argument
    add(
        "--out",
        required=True,
        help="folder to write; new, empty, or already holding this very data set",
    )
    add(
        "--identities",
        type=int,
        required=True,
        help="number of persons, training and test together",
    )
    share = parser.add_mutually_exclusive_group()
    share.add_argument(
        "--test-identities",
        type=int,
        help="how many of them are for testing (default: half)",
    )
    share.add_argument(
        "--train-share",
        type=float,
        help="or: the share that is for training, from 0 to 1",
    )
    add(
        "--cameras",
        type=int,
        default=6,
        help="number of cameras (default: %(default)s)",
    )
    add(
        "--images-per-camera",
        type=int,
        default=4,
        help="pictures of a person by a camera (default: %(default)s)",
    )
    add(
        "--domain",
        type=int,
        default=0,
        help="number of the domain: cameras and clothes (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="seed of persons and shots (default: %(default)s)",
    )
    add(
        "--image-size",
        type=int,
        nargs=2,
        default=[128, 64],
        metavar=("H", "W"),
        help="default: 128 64",
    )
    add("--captions-per-image", type=int, default=2, help="default: %(default)s")
    add(
        "--caption-style",
        choices=STYLES,
        default="varied",
        help="varied: as people write; complete: all that can be seen, in one form (default: %(default)s)",
    )
    add(
        "--distractors",
        type=int,
        default=0,
        help="persons only in the gallery, as 0000 (default: %(default)s)",
    )
    add("--workers", type=int, help="processes (default: one a core); changes no byte")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    args = build_parser().parse_args(arguments)
    test = args.test_identities
    try:
        if args.train_share is not None:
            if not 0 <= args.train_share <= 1:
                raise DataError(
                    f"--train-share must be from 0 to 1, got {args.train_share}"
                )
            test = args.identities - round(args.identities * args.train_share)
        request = Request(
            identities=args.identities,
            cameras=args.cameras,
            images_per_camera=args.images_per_camera,
            test_identities=args.identities // 2 if test is None else test,
            domain=args.domain,
            seed=args.seed,
            image_size=(args.image_size[0], args.image_size[1]),
            captions_per_image=args.captions_per_image,
            distractors=args.distractors,
            caption_style=args.caption_style,
        )
        written = generate(
            request, args.out, workers=args.workers, progress=not args.quiet
        )
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {args.out} was not written", file=sys.stderr)
        return 130
    print(f"{args.out}: {'written' if written else 'already there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
