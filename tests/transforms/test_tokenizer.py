# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
import pickle

import pytest
import torch
from tokenizers import Tokenizer
from torchmultimodal_reid.transforms.tokenizer import WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CAPTIONS = [
    "A man in a red coat.",
    "A woman walking, in red shoes!",
    "The walker wears a red-white coat",
] * 3


@pytest.fixture
def small():
    return WordPieceTokenizer(SPECIAL + ["walk", "##ing", "##s", "red", ".", "e"])


class TestEncode:
    def test_longest_pieces_first(self, small):
        assert small.encode("Walking walks RED.") == [2, 5, 6, 5, 7, 8, 9, 3]

    def test_unknown_word(self, small):
        assert small.encode("red hat") == [2, 8, small.unk_id, 3]

    def test_accents_are_stripped(self, small):
        assert small.encode("réd") == [2, 8, 3]
        cased = WordPieceTokenizer(small.tokens, lowercase=False)
        assert cased.encode("red Red") == [2, 8, small.unk_id, 3]

    def test_special_tokens_in_a_caption_are_text(self, small):
        assert small.mask_id not in small.encode("red [MASK]")
        assert small.encode("[SEP]").count(small.sep_id) == 1

    def test_empty_caption(self, small):
        assert small.encode("  ") == [2, 3]

    def test_decode_joins_what_a_hyphen_joins(self):
        text = "a long-sleeved t-shirt, red-and-blue."
        tokenizer = WordPieceTokenizer.train([text], 100)
        assert tokenizer.decode(tokenizer.encode(text)) == text

    def test_decode_leaves_special_tokens_out(self, small):
        assert small.decode([2, 5, 6, 8, 3, 0, 0]) == "walking red"
        assert small.decode(torch.tensor([2, 8, 3])) == "red"


def test_ids_and_continuation(small):
    assert small.vocab_size == 11
    assert small.special_ids == (0, 1, 2, 3, 4)
    assert (small.pad_id, small.mask_id) == (0, 4)
    assert small.continuation.dtype == torch.bool
    assert small.continuation.nonzero().flatten().tolist() == [6, 7]


class TestTrain:
    def test_spells_every_caption(self):
        tokenizer = WordPieceTokenizer.train(CAPTIONS, vocab_size=60)
        for caption in CAPTIONS:
            ids = tokenizer.encode(caption)
            assert tokenizer.unk_id not in ids
            words = caption.lower().replace(" ", "")
            assert tokenizer.decode(ids).replace(" ", "") == words

    def test_frequent_words_become_one_token(self):
        tokenizer = WordPieceTokenizer.train(CAPTIONS, vocab_size=200)
        assert len(tokenizer.encode("red coat")) == 4

    def test_special_tokens_come_first(self):
        tokenizer = WordPieceTokenizer.train(CAPTIONS, vocab_size=100)
        assert list(tokenizer.tokens[:5]) == SPECIAL

    def test_vocab_size_is_a_bound(self):
        assert WordPieceTokenizer.train(CAPTIONS, vocab_size=50).vocab_size == 50
        # never fewer than the characters
        assert "##k" in WordPieceTokenizer.train(CAPTIONS, vocab_size=1).tokens

    def test_same_captions_same_tokenizer_in_any_order(self):
        # the library's own trainer gives other ids in every call
        first = WordPieceTokenizer.train(CAPTIONS, vocab_size=55)
        for _ in range(3):
            again = WordPieceTokenizer.train(CAPTIONS[::-1], vocab_size=55)
            assert again.tokens == first.tokens

    def test_captions_that_can_be_read_again_are_not_kept(self):
        class Stream:
            readings = 0

            def __iter__(self):
                self.readings += 1
                return iter(CAPTIONS)

        stream = Stream()
        tokens = WordPieceTokenizer.train(stream, vocab_size=60).tokens
        assert stream.readings == 2
        for captions in (CAPTIONS, iter(CAPTIONS)):
            assert WordPieceTokenizer.train(captions, vocab_size=60).tokens == tokens

    @pytest.mark.parametrize("captions", [[], ["", " "]])
    def test_without_captions(self, captions):
        with pytest.raises(ValueError, match="cannot be trained without captions"):
            WordPieceTokenizer.train(captions)


class TestFiles:
    def test_save_and_load(self, small, tmp_path):
        path = str(tmp_path / "tokenizer.json")
        small.save(path)
        loaded = WordPieceTokenizer.load(path)
        assert loaded.tokens == small.tokens
        assert loaded.fingerprint() == small.fingerprint()
        assert loaded.encode("Walking") == small.encode("Walking")
        assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]

    def test_the_library_reads_it_too(self, small, tmp_path):
        path = str(tmp_path / "tokenizer.json")
        small.save(path)
        assert Tokenizer.from_file(path).encode("Red walks").ids == [2, 8, 5, 7, 3]

    def test_vocab_of_bert(self, small, tmp_path):
        path = str(tmp_path / "vocab.txt")
        small.save_vocab(path)
        with open(path, encoding="utf-8") as file:
            assert file.read().splitlines() == list(small.tokens)
        assert WordPieceTokenizer.from_vocab(path).fingerprint() == small.fingerprint()

    def test_vocab_with_windows_line_ends(self, small, tmp_path):
        path = tmp_path / "vocab.txt"
        path.write_bytes("\r\n".join(small.tokens).encode())
        assert WordPieceTokenizer.from_vocab(str(path)).tokens == small.tokens

    def test_cased_vocab(self, small, tmp_path):
        path = str(tmp_path / "tokenizer.json")
        WordPieceTokenizer(small.tokens, lowercase=False).save(path)
        loaded = WordPieceTokenizer.load(path)
        assert loaded.encode("Red") == [2, 1, 3]
        assert loaded.fingerprint() != small.fingerprint()

    def test_pickles(self, small):
        copy = pickle.loads(pickle.dumps(small))
        assert copy.encode("walking") == small.encode("walking")

    @pytest.mark.parametrize(
        "tokens, message",
        [
            (["red"], r"vocab.txt: not a BERT vocabulary: .*\[PAD\].* is missing"),
            (SPECIAL + ["red", "red"], "token 'red' comes twice: as number 5"),
            (["red"] + SPECIAL, r"\[PAD\] must be the first token .*got id 1"),
            (SPECIAL + ["", "red"], "vocab.txt: line 6 is empty"),
        ],
    )
    def test_vocab_that_does_not_fit(self, tmp_path, tokens, message):
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(tokens))
        with pytest.raises(ValueError, match=message):
            WordPieceTokenizer.from_vocab(str(path))

    def test_missing_file(self, tmp_path):
        for read in (WordPieceTokenizer.load, WordPieceTokenizer.from_vocab):
            with pytest.raises(ValueError, match="gone: cannot be read"):
                read(str(tmp_path / "gone"))

    def test_file_cut_short(self, small, tmp_path):
        path = tmp_path / "tokenizer.json"
        small.save(str(path))
        path.write_text(path.read_text()[:100])
        with pytest.raises(ValueError, match="broken JSON at line"):
            WordPieceTokenizer.load(str(path))

    @pytest.mark.parametrize(
        "change, message",
        [
            (lambda c: c["model"].update(type="BPE"), "model has type 'BPE'"),
            (lambda c: c.update(pre_tokenizer=None), "expected a WordPiece tokeniser"),
            (
                lambda c: c["normalizer"].update(strip_accents=False),
                "normalizer has strip_accents False",
            ),
            (lambda c: c["model"]["vocab"].update(red=99), r"ids are not 0\.\.10"),
            (lambda c: c.pop("model"), "'model'"),
        ],
    )
    def test_tokenizer_of_another_kind(self, small, tmp_path, change, message):
        path = tmp_path / "tokenizer.json"
        small.save(str(path))
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"tokenizer.json: .*{message}"):
            WordPieceTokenizer.load(str(path))


def test_fingerprint_sees_every_token(small):
    other = WordPieceTokenizer(small.tokens[:-1] + ("o",))
    assert other.fingerprint() != small.fingerprint()
