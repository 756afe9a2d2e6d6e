# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import contextlib
import hashlib
import json
import os
import re
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

import torch
from tokenizers import decoders, normalizers, pre_tokenizers, processors, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
)
CONTINUATION = "##"


class WordPieceTokenizer:
    """BERT's tokeniser: lower case, split at spaces and punctuation, then the longest known pieces of each word.

    Build one by ``train``, ``from_vocab`` or ``load``. It pickles, so loader workers may hold it. A caption that
    spells a special token, such as "[MASK]", is text like any other.

    Args:
        tokens (Sequence[str]): All tokens in the order of their ids, the special ones among them, [PAD] first.
        lowercase (bool): Whether captions are lower-cased (and stripped of accents) first. Default: ``True``

    Raises:
        ValueError: If a special token is missing, a token comes twice, or [PAD] is not the first.
    """

    def __init__(self, tokens: Sequence[str], lowercase: bool = True) -> None:
        self._tokens = list(tokens)
        self._lowercase = lowercase
        vocab = {token: index for index, token in enumerate(self._tokens)}
        _check_vocab(self._tokens, vocab)
        self.pad_id = vocab[PAD]
        self.unk_id = vocab[UNK]
        self.cls_id = vocab[CLS]
        self.sep_id = vocab[SEP]
        self.mask_id = vocab[MASK]
        self._tokenizer = _pipeline(vocab, lowercase)

    @classmethod
    def train(
        cls,
        captions: Iterable[str],
        vocab_size: int = 4096,
        min_frequency: int = 1,
        lowercase: bool = True,
    ) -> "WordPieceTokenizer":
        """Learns the pieces from captions. The same captions give the same tokeniser, in any order of them.

        Args:
            captions (Iterable[str]): Captions to learn from: those of the training part. They are read twice, one by
                one; only what can be read but once, such as a generator, is kept in memory.
            vocab_size (int): Number of tokens to end with at most, but never fewer than the special tokens and two
                for each character that was seen. Default: 4096
            min_frequency (int): How often a pair of pieces must occur to be joined. Default: 1
            lowercase (bool): See the class. Default: ``True``

        Raises:
            ValueError: If there are no captions.
        """
        if isinstance(captions, Iterator):
            captions = list(captions)
        tokenizer = _pipeline({UNK: 0}, lowercase)
        characters = sorted(_characters(tokenizer, captions))
        if not characters:
            raise ValueError(
                "a tokeniser cannot be trained without captions, got none with text"
            )
        # The trainer numbers the characters in the order of a hash map, which differs between processes, and breaks
        # ties by those numbers. Naming them all beforehand makes its result a function of the captions.
        known = list(SPECIAL_TOKENS) + characters
        known += [CONTINUATION + character for character in characters]
        trainer = WordPieceTrainer(
            vocab_size=max(vocab_size, len(known)),
            min_frequency=min_frequency,
            special_tokens=known,
            continuing_subword_prefix=CONTINUATION,
            show_progress=False,
        )
        with _single_threaded():
            tokenizer.train_from_iterator(captions, trainer)
        return cls(_in_order(tokenizer.get_vocab()), lowercase)

    @classmethod
    def from_vocab(cls, path: str, lowercase: bool = True) -> "WordPieceTokenizer":
        """Reads a ``vocab.txt`` of BERT: one token a line, in the order of the ids.

        Raises:
            ValueError: If the file cannot be read or is no such vocabulary.
        """
        lines = _read_text(path).split("\n")
        if lines and not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                raise ValueError(
                    f"{path}: line {number} is empty; expected one token a line"
                )
        try:
            return cls([line.rstrip("\r") for line in lines], lowercase)
        except ValueError as error:
            raise ValueError(f"{path}: not a BERT vocabulary: {error}") from error

    @classmethod
    def load(cls, path: str) -> "WordPieceTokenizer":
        """Reads what ``save`` wrote, or another ``tokenizer.json`` of BERT's kind.

        Raises:
            ValueError: If the file cannot be read or holds a tokeniser of another kind.
        """
        try:
            content = json.loads(_read_text(path))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}"
            ) from error
        try:
            _check_kind(content)
            tokens = _in_order(content["model"]["vocab"])
            return cls(tokens, bool(content["normalizer"]["lowercase"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: expected a WordPiece tokeniser with BERT's normaliser and pre-tokeniser: {error}"
            ) from error

    def save(self, path: str) -> None:
        """Writes one ``tokenizer.json``, which the ``tokenizers`` library reads too."""
        _write_text(path, self._tokenizer.to_str(pretty=True))

    def save_vocab(self, path: str) -> None:
        """Writes a ``vocab.txt`` as BERT has it: one token a line, in the order of the ids."""
        _write_text(path, "".join(token + "\n" for token in self._tokens))

    def encode(self, caption: str) -> List[int]:
        """Ids of [CLS], the caption's pieces and [SEP]."""
        return self._tokenizer.encode(caption).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without special tokens. What lower case and spacing lost stays lost."""
        special = set(self.special_ids)
        text = self._tokenizer.decode([int(i) for i in ids if int(i) not in special])
        # a hyphen is a token of its own, but seldom stands alone between words
        return re.sub(r"(?<=\w) - (?=\w)", "-", text)

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    @property
    def tokens(self) -> Tuple[str, ...]:
        """All tokens in the order of their ids."""
        return tuple(self._tokens)

    @property
    def special_ids(self) -> Tuple[int, ...]:
        """Ids of [PAD], [UNK], [CLS], [SEP] and [MASK]."""
        return (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)

    @property
    def continuation(self) -> Tensor:
        """Bool tensor of shape ``(vocab_size,)``, True for pieces that continue a word ("##ing")."""
        return torch.tensor([token.startswith(CONTINUATION) for token in self._tokens])

    def fingerprint(self) -> str:
        """A hash that two tokenisers share exactly if they give the same ids for every caption."""
        content = json.dumps([self._lowercase, self._tokens]).encode("utf-8")
        return hashlib.sha256(content).hexdigest()


def _pipeline(vocab: Dict[str, int], lowercase: bool) -> Tokenizer:
    """The ``tokenizers`` pipeline; the special tokens are left out of it as text, see the class."""
    tokenizer = Tokenizer(
        WordPiece(vocab, unk_token=UNK, continuing_subword_prefix=CONTINUATION)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUATION)
    if CLS in vocab:
        tokenizer.post_processor = processors.BertProcessing(
            (SEP, vocab[SEP]), (CLS, vocab[CLS])
        )
    return tokenizer


def _characters(tokenizer: Tokenizer, captions: Iterable[str]) -> Iterator[str]:
    """Every character of the captions once, as the trainer will see them."""
    seen = set()
    for caption in captions:
        seen.update(tokenizer.normalizer.normalize_str(caption))
    return (character for character in seen if not character.isspace())


def _check_kind(content: Dict[str, Any]) -> None:
    """Refuses a pipeline other than this class's own, which would give other ids than it was trained with."""
    lowercase = content["normalizer"]["lowercase"]
    # loading our own pipeline's description makes the comparison hold in every release of the library
    ours = json.loads(_pipeline({UNK: 0}, bool(lowercase)).to_str())
    if content["normalizer"].get("strip_accents") == lowercase:
        ours["normalizer"]["strip_accents"] = lowercase  # what None means
    del ours["model"]["vocab"]
    for part in ("normalizer", "pre_tokenizer", "model"):
        for key, value in ours[part].items():
            if content[part][key] != value:
                raise ValueError(
                    f"its {part} has {key} {content[part][key]!r}, not {value!r}"
                )


def _in_order(vocab: Dict[str, int]) -> List[str]:
    tokens = sorted(vocab, key=lambda token: vocab[token])
    if [vocab[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(f"its ids are not 0..{len(tokens) - 1}")
    return tokens


def _check_vocab(tokens: Sequence[str], vocab: Dict[str, int]) -> None:
    if len(vocab) != len(tokens):
        first = next(i for i, token in enumerate(tokens) if vocab[token] != i)
        raise ValueError(
            f"token {tokens[first]!r} comes twice: as number {first} and as number {vocab[tokens[first]]}"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise ValueError(
            f"special token {', '.join(missing)} is missing among {len(tokens)} tokens"
        )
    if vocab[PAD] != 0:
        raise ValueError(
            f"{PAD} must be the first token (id 0), got id {vocab[PAD]}; put it first"
        )


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Trains on one thread: older releases print a warning in every process that is forked after threads were used."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _read_text(path: str) -> str:
    try:
        # newline="" keeps a carriage return that is part of a token's line from splitting it
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error


def _write_text(path: str, text: str) -> None:
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
