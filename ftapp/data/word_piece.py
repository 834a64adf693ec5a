"""WordPiece tokens from the Rust library `tokenizers`, with the ids that KerasHub's own tokenizer gives.

KerasHub splits and looks up words in Python. `tokenizers` does the same on all cores in a tenth of the time. The two
agree on printable ASCII characters: both split words at white space and at punctuation, lower them, and take the
longest piece of the vocabulary at each place (Song et al. 2020, https://arxiv.org/abs/2012.15524). On other characters
their tables of Unicode differ, so KerasHub reads the words that have some.
"""

from __future__ import annotations

import functools
import itertools
import logging
import re
from collections.abc import Sequence
from typing import Any

import keras_hub
import tokenizers

from ftapp.data import kerashub

_log = logging.getLogger(__name__)

_SPACE = " \t\n\r\f"  # characters at which KerasHub always ends a word
_WORDS = re.compile(f"[^{_SPACE}]+")
_PLAIN = re.compile(f"[ -~{_SPACE}]*")
_LONGEST_WORD = 100  # characters, of which KerasHub makes one unknown token beyond
# Texts on which the two are compared first: all plain characters, words about as long as the longest, and words that
# look like special tokens.
_SAMPLES = (
    "",
    "".join(map(chr, range(32, 127))),
    " ".join(f"{chr(code)}a{chr(code)}" for code in range(32, 127)),
    *("x" * length for length in (_LONGEST_WORD - 1, _LONGEST_WORD, _LONGEST_WORD + 1)),
    "[CLS] a [UNK]b [sep][PAD] ##s ## a##s",
    " \t\r\n\f a\tb\nc  \f",
)
_SAMPLE_WORDS = 1000  # of the vocabulary, which are compared too


class WordPieceEncoder:
    """Encodes texts with the vocabulary of a KerasHub tokenizer.

    Args:
        tokenizer: A WordPieceTokenizer for which `find_encoder` has found that the ids are equal.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.WordPieceTokenizer) -> None:
        self._tokenizer = tokenizer
        self._rust = tokenizers.Tokenizer(make_word_piece(tokenizer))
        self._rust.normalizer = tokenizers.normalizers.BertNormalizer(
            clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=tokenizer.lowercase
        )
        self._rust.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()

    def encode(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Encode texts.

        Args:
            texts: The texts.

        Returns:
            The token ids of each text.
        """
        pieces = [_split(text) for text in texts]
        plain = [piece for each in pieces for piece, is_plain in each if is_plain]
        other = list(dict.fromkeys(piece for each in pieces for piece, is_plain in each if not is_plain))
        encoded = iter([encoding.ids for encoding in self._rust.encode_batch_fast(plain)])
        known = dict(zip(other, kerashub.tokenize(other, self._tokenizer), strict=True))
        return [
            list(itertools.chain.from_iterable(next(encoded) if is_plain else known[piece] for piece, is_plain in each))
            for each in pieces
        ]


def make_word_piece(tokenizer: keras_hub.tokenizers.WordPieceTokenizer) -> Any:
    """Make the `tokenizers` model of a KerasHub tokenizer's vocabulary: words to ids.

    Args:
        tokenizer: The tokenizer.
    """
    return tokenizers.models.WordPiece(
        vocab={piece: number for number, piece in enumerate(tokenizer.get_vocabulary())},
        unk_token=tokenizer.oov_token,
        continuing_subword_prefix=tokenizer.suffix_indicator,
        max_input_chars_per_word=_LONGEST_WORD,
    )


@functools.lru_cache(maxsize=4)
def find_encoder(tokenizer: Any) -> WordPieceEncoder | None:
    """Make an encoder for a tokenizer, and compare the two on some texts.

    Args:
        tokenizer: A tokenizer of KerasHub.

    Returns:
        The encoder; None where the tokenizer is of another kind, or splits otherwise.
    """
    if not (
        isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer)
        and tokenizer.split
        and not tokenizer.special_tokens_in_strings
        and tokenizer.sequence_length is None
    ):
        return None
    encoder = WordPieceEncoder(tokenizer)
    samples = [*_SAMPLES, " ".join(tokenizer.get_vocabulary()[:_SAMPLE_WORDS])]
    if encoder.encode(samples) != kerashub.tokenize(samples, tokenizer):
        _log.warning("the tokenizer of this preset splits words in its own way; it reads texts at its own, slower pace")
        return None
    return encoder


def _split(text: str) -> list[tuple[str, bool]]:
    """Split a text at white space into runs of words with plain characters alone, and single other words.

    Returns:
        Each piece, and whether it is plain.
    """
    if _is_plain(text):
        return [(text, True)]
    pieces: list[tuple[str, bool]] = []
    for is_plain, words in itertools.groupby(_WORDS.findall(text), _is_plain):
        run = list(words)
        pieces += [(" ".join(run), True)] if is_plain else [(word, False) for word in run]
    return pieces


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None
