# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""torchtext's binary loads beside torch 2.3 alone: ``make test-torchtext`` runs what is skipped elsewhere."""

import sys
from itertools import islice

import numpy as np
import pytest
import torch
from torchmultimodal_reid.data.synthetic.captions import write_captions
from torchmultimodal_reid.data.synthetic.identity import sample_identity
from torchmultimodal_reid.data.synthetic.palette import palette_of
from torchmultimodal_reid.data.synthetic.parts import Pose, SURFACES
from torchmultimodal_reid.data.synthetic.render import Picture
from torchmultimodal_reid.data.synthetic.shot import Shot
from torchmultimodal_reid.transforms import torchtext_caption
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer
from torchmultimodal_reid.transforms.torchtext_caption import (
    torchtext_caption_transform,
)

INSTEAD = (
    f"beside torch {torch.__version__}, as its last release, 0.18.0, was built for torch 2.3 alone; use "
    "CaptionTransform, which gives the same ids, or pip install 'torchmultimodal-reid[torchtext]' in an environment of "
    "its own"
)
# beside letters and stops: special tokens that are text, accents of both forms, scripts, spaces, what is stripped,
# words of 100 and 101 letters
ODD = [
    "a [MASK] coat [SEP]",
    "caf\u00e9, cafe\u0301 \u00c4\u0130\u00df \u03a3\u03b1\u03c2",
    "\u65e5\u672ccoat \ud55c \u304c",
    "a\tb\nc\u00a0d\u3000e\u200bf\u00adg\ufffdh",
    "long-sleeved t-shirt, $5^`~|<>=+#_%\u201cx\u201d\u2014y\U0001f642",
    "e" * 100 + " coat",
    "e" * 101 + " coat",
    " coat ",
]


def torchtext_loads() -> bool:
    try:
        torchtext_caption.load_torchtext_transforms()
    except ValueError:
        return False
    return True


needs_torchtext = pytest.mark.skipif(
    not torchtext_loads(), reason="torchtext 0.18.0 loads beside torch 2.3 alone"
)


def thousand_captions():
    palette, draws = palette_of(0), np.random.default_rng(0)
    pixels, visible = np.zeros((2, 1, 3), np.uint8), dict.fromkeys(SURFACES, 0.08)
    for number in range(250):
        pose = Pose(0.1 * number, 0.0, 0.8, 1, 0)
        shot = Shot(pose, "sunny", "noon", 5.0, 0.0, (0, 0, 1, 1), False)
        person = sample_identity(0, 0, number, palette)
        picture = Picture(pixels, shot, visible)
        yield from (
            caption.text for caption in write_captions(person, picture, 4, draws)
        )


@pytest.fixture(scope="module")
def captions():
    return list(thousand_captions())


@pytest.fixture(scope="module")
def tokenizer(captions):
    # few of the captions, so that the others have words of many pieces and unknown ones
    return WordPieceTokenizer.train([*captions[:20], *ODD[:3]], vocab_size=250)


@pytest.fixture
def vocab(tokenizer, tmp_path):
    path = str(tmp_path / "vocab.txt")
    tokenizer.save_vocab(path)
    return path


@needs_torchtext
class TestSameIds:
    @pytest.mark.parametrize("max_length", [77, 12])
    def test_on_1000_captions(self, captions, tokenizer, vocab, max_length):
        ours = CaptionTransform(tokenizer, max_length)
        theirs = torchtext_caption_transform(vocab, max_length)
        assert len(captions) == 1000 and len(set(captions)) > 900
        for caption in captions:
            ids = theirs(caption)
            assert torch.equal(ids, ours(caption)), caption
        assert ids.dtype == torch.long and ids.dim() == 1

    @pytest.mark.parametrize("lowercase", [True, False])
    def test_on_odd_captions(self, vocab, lowercase):
        tokenizer = WordPieceTokenizer.from_vocab(vocab, lowercase)
        ours = CaptionTransform(tokenizer)
        theirs = torchtext_caption_transform(vocab, lowercase=lowercase)
        for caption in ODD:
            assert torch.equal(theirs(caption), ours(caption)), caption

    def test_compiled(self, captions, vocab):
        eager = torchtext_caption_transform(vocab)
        compiled = torch.jit.script(eager)
        for caption in islice(captions, 20):
            assert torch.equal(compiled(caption), eager(caption))

    def test_empty_caption(self, tokenizer, vocab):
        ids = torchtext_caption_transform(vocab)(" ").tolist()
        assert ids == [tokenizer.cls_id, tokenizer.sep_id]


@needs_torchtext
class TestRefusals:
    def test_line_ends_of_windows(self, tokenizer, tmp_path):
        path = tmp_path / "vocab.txt"
        path.write_bytes("\r\n".join(tokenizer.tokens).encode())
        with pytest.raises(ValueError, match="vocab.txt: torchtext needs lines that"):
            torchtext_caption_transform(str(path))

    def test_missing_file(self, tmp_path):
        with pytest.raises(ValueError, match="gone: cannot be read"):
            torchtext_caption_transform(str(tmp_path / "gone"))


def test_too_short(vocab):
    with pytest.raises(ValueError, match="max_length must be at least 3.*got 2"):
        torchtext_caption_transform(vocab, max_length=2)


def test_not_installed(vocab, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchtext", None)
    with pytest.raises(ValueError) as caught:
        torchtext_caption_transform(vocab)
    assert str(caught.value) == f"torchtext is not installed {INSTEAD}"


# what torch raises for another release's binary, and what an older torchtext lacks
BROKEN = ["raise OSError('undefined symbol')", "__version__ = '0.6.0'"]


@pytest.mark.parametrize("source", BROKEN)
def test_not_of_this_torch(vocab, tmp_path, monkeypatch, source):
    (tmp_path / "torchtext.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchtext", raising=False)
    with pytest.raises(ValueError) as caught:
        torchtext_caption_transform(vocab)
    sys.modules.pop("torchtext", None)
    assert str(caught.value) == f"torchtext does not load {INSTEAD}"
