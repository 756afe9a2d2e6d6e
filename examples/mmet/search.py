# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


"""Searches a folder of images by a description, by an image, or by both, with a fine-tuned MMET.

python -m examples.mmet.search --gallery FOLDER --checkpoint runs/finetune/best \\
    --text "a woman in a red coat with a backpack" --output runs/search
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from examples.common.main import run_main
from tabulate import tabulate
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.user_inputs import IMAGE_ENDINGS
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.evaluation.figures.ranked_list import (
    draw_ranked_lists,
    RankedQuery,
    RankedResult,
)
from torchmultimodal_reid.pipeline import ReIDPipeline
from torchmultimodal_reid.search.gallery_index import (
    GalleryEntry,
    GalleryIndex,
    SearchHit,
)

PICTURE, INDEX = "results.png", "index"
MOST_DRAWN = 10  # images side by side in the picture


def list_images(folder: str) -> Dict[str, Dict[str, Any]]:
    """The images under a folder, by their path in it, with what changes when a file does.

    Raises:
        DataError: If the folder is not there or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"--gallery {folder} is no folder; give one that holds images")
    files = sorted(
        file for file in root.rglob("*") if file.suffix.lower() in IMAGE_ENDINGS
    )
    if not files:
        raise DataError(
            f"--gallery {folder} holds no image; expected files that end in {', '.join(IMAGE_ENDINGS)}"
        )
    found = {}
    for file in files:
        state = file.stat()
        found[file.relative_to(root).as_posix()] = {
            "size": state.st_size,
            "modified": state.st_mtime_ns,
        }
    return found


def bring_up_to_date(
    gallery: str, path: Path, encoder: ReIDPipeline
) -> Tuple[GalleryIndex, str]:
    """The index of a folder: what lies at ``path`` with new images added, and lost or altered ones removed.

    Returns:
        Tuple[GalleryIndex, str]: The index, saved, and what was done.
    """
    files = list_images(gallery)
    root = str(Path(gallery).resolve())
    index: Optional[GalleryIndex] = None
    if path.exists():
        index = GalleryIndex.load(path, encoder.fingerprint, encoder)
        if any(entry.more.get("root") != root for _, entry in index.items()):
            raise ValueError(
                f"{path} is the index of another folder than {gallery}; choose another --output, or delete that index"
            )
    kept, stale = set(), []
    for number, entry in index.items() if index is not None else ():
        now = files.get(entry.path)
        if now is not None and {**now, "root": root} == entry.more:
            kept.add(entry.path)
        else:
            stale.append(number)
    new = [name for name in files if name not in kept]
    if new:
        embedding = encoder.embed([Path(gallery) / name for name in new])
        entries = [
            GalleryEntry(name, more={**files[name], "root": root}) for name in new
        ]
        if index is None:
            index = GalleryIndex.build(embedding, entries, encoder.fingerprint, encoder)
        else:
            index.add(embedding, entries)
    assert index is not None
    index.remove(stale)
    if new or stale:
        index.save(path)
    return index, f"{len(kept)} images known, {len(new)} embedded, {len(stale)} removed"


def draw_results(
    hits: Sequence[SearchHit], gallery: str, text: Optional[str], image: Optional[str]
) -> Any:
    """The query beside the first images that it found."""
    shown = hits[:MOST_DRAWN]
    results = [
        RankedResult(
            read_image(str(Path(gallery) / hit.entry.path), (128, 64)),
            None,
            f"similarity {hit.similarity:.2f}",
        )
        for hit in shown
    ]
    query = RankedQuery(
        results,
        image=None if image is None else read_image(image, (128, 64)),
        caption=text,
        title="query",
    )
    return draw_ranked_lists([query], title=f"the {len(shown)} most similar images")


def parse(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.mmet.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gallery", required=True, metavar="DIR", help="images, in subfolders too"
    )
    parser.add_argument(
        "--checkpoint", required=True, metavar="DIR", help="of examples.mmet.finetune"
    )
    parser.add_argument("--text", help="description of the person")
    parser.add_argument("--image", metavar="FILE", help="image of the person")
    parser.add_argument(
        "--top-k", type=int, default=10, help="images to list (default: 10)"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help=f"for {PICTURE} and the index, which later searches of the same gallery reuse",
    )
    arguments = parser.parse_args(argv)
    if arguments.text is None and arguments.image is None:
        raise ValueError("give --text, --image or both to search with")
    if arguments.text is not None and not arguments.text.strip():
        raise ValueError('--text is empty; describe a person, such as "a red coat"')
    if arguments.top_k < 1:
        raise ValueError(f"--top-k must be at least 1, got {arguments.top_k}")
    return arguments


def main(argv: Optional[List[str]] = None) -> None:
    arguments = parse(argv)
    output = Path(arguments.output)
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output must be a folder, but {output} is a file")
    # a query that cannot be read is told before minutes go into the gallery
    image = None if arguments.image is None else read_image(arguments.image)
    list_images(arguments.gallery)
    encoder = ReIDPipeline.from_checkpoint(arguments.checkpoint)
    query = encoder.encode(image, arguments.text)
    index, done = bring_up_to_date(arguments.gallery, output / INDEX, encoder)
    print(f"{arguments.gallery}: {done}")

    hits = index.search(query, top_k=arguments.top_k)
    rows = [
        (rank, f"{hit.similarity:.3f}", hit.entry.path)
        for rank, hit in enumerate(hits, start=1)
    ]
    print(
        tabulate(
            rows,
            headers=("rank", "similarity", "image"),
            disable_numparse=True,
            colalign=("right", "right", "left"),
        )
    )
    figure = draw_results(hits, arguments.gallery, arguments.text, arguments.image)
    print(f"written: {save_figure(figure, output / PICTURE)}")


if __name__ == "__main__":
    run_main(main)
