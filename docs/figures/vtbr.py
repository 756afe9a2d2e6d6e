# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""How VTBR's captioner teaches a CNN, and what is left of it for re-identification."""

from docs.figures.drawing import BOTH, Diagram, FAINT, IMAGE, LOSS, PLAIN, TEXT


def draw() -> Diagram:
    """The picture of ``docs/images/vtbr.png``."""
    diagram = Diagram(9.6, 5.6)
    diagram.say(
        0.3,
        0.22,
        "1  pretraining: write the image's caption in both directions",
        bold=True,
        across="left",
    )
    image = diagram.box(0.3, 1.55, 1.2, 0.62, "image", PLAIN)
    cnn = diagram.box(1.95, 1.4, 1.5, 0.92, "CNN\nfrom random\nweights", IMAGE)
    cells = diagram.box(
        3.9, 1.4, 1.4, 0.92, "cells of its last\nfeature map,\nprojected", IMAGE, 8.5
    )
    diagram.arrow((image.right, image.middle[1]), (cnn.left, cnn.middle[1]))
    diagram.arrow((cnn.right, cnn.middle[1]), (cells.left, cells.middle[1]))

    decoders = []
    for top, name, reads, writes in (
        (0.7, "forward decoder", "[CLS] a woman in red", "a woman in red [SEP]"),
        (2.4, "backward decoder", "[SEP] red in woman a", "red in woman a [CLS]"),
    ):
        decoder = diagram.box(6.0, top, 1.55, 0.62, name, TEXT)
        middle = decoder.middle[1]
        diagram.say(
            6.78, top - 0.16 if top < 1 else top + 0.78, "reads  " + reads, 8, FAINT
        )
        out = diagram.box(7.95, top, 1.45, 0.62, writes, PLAIN, 8)
        diagram.arrow((decoder.right, middle), (out.left, middle))
        diagram.arrow(
            (cells.right, cells.middle[1]),
            (5.65, cells.middle[1]),
            (5.65, middle),
            (decoder.left, middle),
        )
        decoders.append(out)
    loss = diagram.box(7.95, 1.62, 1.45, 0.46, "cross-entropy", LOSS)
    diagram.arrow((loss.middle[0], decoders[0].bottom), (loss.middle[0], loss.top))
    diagram.arrow((loss.middle[0], decoders[1].top), (loss.middle[0], loss.bottom))
    diagram.say(6.78, 1.85, "word embedding and\noutput layer are shared", 8, FAINT)

    diagram.axes.plot(
        (0.3, 9.3), (3.55, 3.55), color=FAINT, linewidth=0.6, linestyle="--"
    )
    diagram.say(0.3, 3.85, "2  fine-tuning", bold=True, across="left")
    note = "the CNN keeps what it learned, the decoders are left out"
    diagram.say(2.85, 3.85, note, 8.5, FAINT, across="left")
    row = 4.35
    image = diagram.box(0.3, row + 0.15, 1.2, 0.62, "image", PLAIN)
    kept = diagram.box(1.95, row, 1.5, 0.92, "the same CNN,\nlast stride 1", IMAGE)
    pool = diagram.box(3.9, row + 0.15, 1.4, 0.62, "pooling", PLAIN)
    neck = diagram.box(6.0, row + 0.15, 1.55, 0.62, "BNNeck", BOTH)
    chain = (image, kept, pool, neck)
    for one, other in zip(chain, chain[1:]):
        diagram.arrow((one.right, one.middle[1]), (other.left, other.middle[1]))
    learns = diagram.box(
        7.95, row, 1.45, 0.92, "identity loss,\ntriplet loss,\ncenter loss", LOSS, 8.5
    )
    diagram.arrow((neck.right, neck.middle[1]), (learns.left, learns.middle[1]))
    diagram.arrow((cnn.middle[0], cnn.bottom), (cnn.middle[0], kept.top), color=FAINT)
    diagram.say(cnn.middle[0] + 0.1, 3.2, "weights", 8, FAINT, across="left")
    return diagram
