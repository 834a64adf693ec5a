"""The words of a text, with the tokens that stand for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftapp.data.encoding import tokenize

_CHARACTERS = 8  # of a text that are looked at for each token that the model can read; nearly all have fewer
# Thai, Lao, Burmese, Khmer, Japanese and Chinese put no spaces between words, so each of their signs is a piece.
_SIGNS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A sign; a word, also with apostrophes in it; or another character; with the space before it.
_WORD = re.compile(rf"\s*(?:[{_SIGNS}]|(?:(?![{_SIGNS}])\w)+(?:['’]\w+)*|[^\w\s])")


class Word(NamedTuple):
    """A piece of a text, with the space before it.

    Attributes:
        text: The piece. All pieces together are the text.
        tokens: The places of its tokens in what the model reads; None where the model does not read it.
    """

    text: str
    tokens: range | None


def find_words(text: str, ids: NDArray[np.int32], tokenizer: Any) -> list[Word]:
    """Find the words of a text and the tokens of each, with any tokenizer.

    A word ends where the tokens of the text up to there are the first tokens of the whole text. Where a tokenizer joins
    words or signs, they stay together.

    Args:
        text: The text, as `ftapp.data.texts.prepare` leaves it.
        ids: What the model reads: the ids of the tokens, with special tokens around them and padding up to its sequence
            length, int32 (tokens,).
        tokenizer: The preset's tokenizer.

    Returns:
        The words in order. The text behind what the model reads is one of them.
    """
    seen = text[: _CHARACTERS * len(ids)]
    ends = [found.end() for found in _WORD.finditer(seen)]
    *beginnings, whole = tokenize([*(seen[:end] for end in ends), seen], tokenizer)
    start = _find_start(ids, whole)
    read = _count_equal(ids[start:], whole)
    words: list[Word] = []
    done, known = 0, 0  # characters and tokens
    for end, tokens in zip(ends, beginnings, strict=True):
        if known >= read:
            break
        count = len(tokens)
        if count > known and list(tokens) == list(whole[:count]):
            words.append(Word(text[done:end], range(start + known, start + min(count, read))))
            done, known = end, count
    if done < len(text):
        words.append(Word(text[done:], range(start + known, start + read) if known < read else None))
    return words


def _find_start(ids: NDArray[np.int32], tokens: Sequence[int]) -> int:
    """Find how many special tokens stand before those of a text: where most of them follow."""
    return max(range(min(len(ids), 8)), key=lambda start: (_count_equal(ids[start:], tokens), -start))


def _count_equal(ids: NDArray[np.int32], tokens: Sequence[int]) -> int:
    """Count the tokens at the beginning that are equal."""
    size = min(len(ids), len(tokens))
    different = np.flatnonzero(ids[:size] != np.asarray(tokens[:size], np.int32))
    return int(different[0]) if len(different) else size
