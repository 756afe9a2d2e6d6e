# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Draws the documentation's pictures of a trained model: ranked lists, CMC, t-SNE of the embeddings, attention.

    make demo
    python -m docs.figures.trained --checkpoint runs/demo-DATE/finetune/best --root datasets/target

The people are rendered. scikit-learn does the t-SNE; it is in dev-requirements.txt.
"""

import argparse
from pathlib import Path
from typing import List, Optional

import torch
from accelerate import Accelerator
from docs.figures.attention import draw_attention, look
from docs.figures.embeddings import draw_embeddings
from examples.common.pictures import draw_pictures
from examples.common.retrieval import rank_queries, Retrieval
from PIL import Image
from torchmultimodal_reid.architectures.mmet_reid import MMETForReID
from torchmultimodal_reid.data.collate import pad_texts
from torchmultimodal_reid.data.image_io import read_image
from torchmultimodal_reid.data.market1501 import market1501
from torchmultimodal_reid.data.sample import PersonImage
from torchmultimodal_reid.evaluation.figures.canvas import save_figure
from torchmultimodal_reid.models.saved import load, ModelDescription
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.image import Normalize
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer

KINDS = ("image", "text", "image+text")
LOOKED_AT = 6  # people in the picture of attention
WIDTH = 960  # pixels


def main(argv: Optional[List[str]] = None) -> None:
    arguments = parse(argv)
    model, tokenizer, description = load(arguments.checkpoint)
    read = CaptionTransform(tokenizer, description.max_text_length)
    split = market1501(arguments.root)
    accelerator = Accelerator(cpu=True)
    retrieval = Retrieval(split, description, KINDS, accelerator, read)
    features = retrieval.extract(model.embed)
    rows, out, name = rank_queries(features), arguments.out, arguments.name
    written = draw_pictures(features, rows, out, name)
    embeddings = draw_embeddings(features.query, name)
    written.append(save_figure(embeddings, out / "embeddings.png"))
    images = [image for image in split.query if image.captions]
    step = max(1, len(images) // LOOKED_AT)
    shown = images[step // 2 :: step][:LOOKED_AT]
    written.append(attention(model, tokenizer, description, shown, out))
    for path in written:
        shrink(path)
        print(path)


def attention(
    model: MMETForReID,
    tokenizer: WordPieceTokenizer,
    description: ModelDescription,
    shown: List[PersonImage],
    out: Path,
) -> Path:
    """Draws what [CLS_M] looks at in images and their first captions."""
    pixels = [read_image(image.path, description.image_size) for image in shown]
    read = CaptionTransform(tokenizer, description.max_text_length)
    texts = [read(image.captions[0]) for image in shown]
    text, padding = pad_texts(texts, tokenizer.pad_id)
    image = Normalize(description.mean, description.std)(torch.stack(pixels))
    looked = look(model.mmet, image, text, padding)
    words = [[tokenizer.tokens[token] for token in ids.tolist()] for ids in texts]
    title = "Attention of [CLS_M], mean over layers and heads; yellow: most of it in the image, among the words"
    figure = draw_attention(pixels, words, looked, title)
    return save_figure(figure, out / "attention.png")


def shrink(path: Path) -> None:
    """Makes a picture small enough for a page and a repository: at most :data:`WIDTH` pixels wide."""
    picture = Image.open(path).convert("RGB")
    if picture.width > WIDTH:
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.save(path, optimize=True)


def parse(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m docs.figures.trained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="DIR", help="of a fine-tuned MMET")
    add("--root", required=True, metavar="DIR", help="rendered people, with captions")
    add("--name", default="target", help="of the data, for headings (default: target)")
    add("--out", type=Path, default=Path("docs/images"), metavar="DIR")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
