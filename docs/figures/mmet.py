# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Which tokens of MMET go where, in pretraining and in a search."""

from docs.figures.drawing import BOTH, Box, Diagram, FAINT, IMAGE, LOSS, PLAIN, TEXT

BOX_HEIGHT = 0.62


def tokens(diagram: Diagram, left: float, top: float, names: str, color: str) -> Box:
    """A row of small boxes, one a token."""
    words = names.split()
    for number, name in enumerate(words):
        diagram.box(left + 0.6 * number, top, 0.56, 0.34, name, color, size=7.5)
    return Box(left, top, left + 0.6 * len(words) - 0.04, top + 0.34)


def draw() -> Diagram:
    """The picture of ``docs/images/mmet.png``."""
    diagram = Diagram(9.6, 6.1)
    image = diagram.box(0.5, 0.45, 2.4, 0.5, "image\npatches of 16 x 16 pixels", PLAIN)
    text = diagram.box(3.9, 0.45, 2.4, 0.5, "caption\nword pieces", PLAIN)

    seen_image = diagram.box(
        0.5, 1.3, 2.4, BOX_HEIGHT, "image encoder\n(transformer)", IMAGE
    )
    seen_text = diagram.box(
        3.9, 1.3, 2.4, BOX_HEIGHT, "text encoder\n(transformer)", TEXT
    )
    for above, below in ((image, seen_image), (text, seen_text)):
        diagram.arrow((above.middle[0], above.bottom), (below.middle[0], below.top))

    image_tokens = tokens(diagram, 0.52, 2.25, "[CLS_I] patch patch ...", IMAGE)
    text_tokens = tokens(diagram, 3.92, 2.25, "[CLS_T] word word ...", TEXT)
    for above, row in ((seen_image, image_tokens), (seen_text, text_tokens)):
        diagram.arrow((above.middle[0], above.bottom), (above.middle[0], row.top))

    fused = diagram.box(
        0.5,
        3.3,
        5.8,
        BOX_HEIGHT,
        "multimodal encoder (transformer)\nadds [CLS_M] to an image, a caption, or both",
        BOTH,
    )
    for row in (image_tokens, text_tokens):
        middle = row.middle[0]
        diagram.arrow((middle, row.bottom), (middle, fused.top))
        diagram.say(middle + 0.1, 2.94, "to one width", 8, FAINT, across="left")
    out = tokens(
        diagram, 0.52, 4.25, "[CLS_M] [CLS_I] patch ... [CLS_T] word ...", BOTH
    )
    diagram.arrow((fused.middle[0], fused.bottom), (fused.middle[0], out.top))

    neck = diagram.box(
        0.5,
        5.15,
        2.9,
        0.7,
        "mean of [CLS_M] and the class token\nof the image (without one: of the text)",
        PLAIN,
        8.5,
    )
    diagram.arrow((0.8, out.bottom), (0.8, neck.top))
    diagram.arrow((1.4, out.bottom), (1.4, neck.top))
    search = diagram.box(
        3.9,
        5.15,
        2.4,
        0.7,
        "BNNeck: the embedding that\nsearches, and identities",
        BOTH,
        8.5,
    )
    diagram.arrow((neck.right, neck.middle[1]), (search.left, search.middle[1]))
    losses(diagram, image_tokens, text_tokens, out, search)
    return diagram


def losses(diagram: Diagram, image: Box, text: Box, out: Box, search: Box) -> None:
    """The right column: what each row of tokens learns from."""
    left = 7.0
    diagram.say(
        left, 0.7, "what they learn from", bold=True, across="left", color=FAINT
    )
    for row, top, lines in (
        (
            text,
            1.85,
            (
                "pretraining, each encoder alone:",
                "MIM, hidden patches (left row)",
                "MLM, hidden words (right row)",
                "GC, contrast of [CLS_I] and [CLS_T]",
            ),
        ),
        (
            out,
            3.75,
            (
                "pretraining, both together:",
                "MMM, hidden patches and words",
                "ITM, does the caption belong",
                "to the image? from [CLS_M]",
            ),
        ),
        (
            search,
            5.05,
            (
                "fine-tuning, for each kind of query:",
                "identity loss behind the neck,",
                "triplet loss before it, contrasts",
            ),
        ),
    ):
        height = 0.2 + 0.2 * len(lines)
        box = diagram.box(left, top, 2.45, height, "\n".join(lines), LOSS, 8)
        middle = row.middle[1]
        diagram.arrow((row.right, middle), (box.left, middle))
