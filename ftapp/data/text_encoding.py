"""The encoding of a text, found by its bytes."""

from __future__ import annotations

import re
from collections import Counter

WESTERN = "cp1252"
"""The encoding of Western European texts on Windows, which has all printable characters of Latin-1 too."""

_LEAST_ZEROS = 0.1  # of the bytes of a text in UTF-16
_LETTERS = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÙÚÛÜŒ‘’‚“”„–—…•«»‹›€£§°©®™·¡¿´×½²\u00a0"
"""The common characters of Western European texts."""
_MOST_WESTERN = 0.95  # share of them among those outside of ASCII; Polish, Czech and Turkish, read so, have less
_FEW = 0.02  # share of words in other letters, and of characters in UTF-8


def find_utf16(head: bytes) -> str | None:
    """Find the byte order of UTF-16 without a mark, in which every other byte of most texts is zero.

    Args:
        head: The beginning of a file.

    Returns:
        The encoding; None where there are few zero bytes, or some in all places.
    """
    odd, even = head[1::2].count(0), head[::2].count(0)
    if odd + even <= _LEAST_ZEROS * len(head) or max(odd, even) <= 10 * min(odd, even):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def is_western(content: bytes) -> bool:
    """Tell whether a text that is not UTF-8 clearly is Western European: single letters with accents among plain ones.

    Texts in other letters are not, nor is UTF-8 with a few damaged characters.

    Args:
        content: The bytes of a file.

    Returns:
        Whether cp1252 reads it.
    """
    runs = re.findall(rb"[\x80-\xff]+", content)
    foreign = Counter(char for char in content.decode("utf-8", "replace") if char > "\x7f")
    try:
        written = Counter(b"".join(runs).decode(WESTERN))
    except UnicodeDecodeError:
        return False
    return (
        sum(written[char] for char in _LETTERS) >= _MOST_WESTERN * written.total()
        and sum(len(run) > 3 for run in runs) <= _FEW * len(runs)
        and foreign.total() - foreign["\ufffd"] <= _FEW * foreign.total()
    )


def guess(content: bytes) -> str:
    """Guess the encoding of a text that is not UTF-8, by the letters that it would hold.

    Single bytes above 0x7f among many plain letters are Western European; where they are most of the letters, each
    candidate is tried, and the one with the most letters of common use wins.

    Args:
        content: The bytes of a file.

    Returns:
        The name of the encoding.
    """
    sample = content[: 1 << 18]
    sample = sample[: sample.rfind(b"\n") + 1] or sample
    high = sum(sample.count(byte) for byte in range(0x80, 0x100))
    plain = sum(sample.count(byte) for byte in (*range(0x41, 0x5B), *range(0x61, 0x7B)))
    if high < plain / 2:
        return "cp1252"
    shares = {name: _measure_share(sample, name, letters) for name, letters in _COMMON.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.05 else "cp1252"


# Encodings of other alphabets, with letters that their texts hold most.
_COMMON = {
    **dict.fromkeys(("cp1251", "koi8-r"), "оеаинт"),
    **dict.fromkeys(("shift_jis", "euc-jp"), "のにはをたがとい"),
    **dict.fromkeys(("gb18030", "big5"), "的一是不了人"),
    **{"euc-kr": "이다는에고을", "cp1253": "αοιετσ", "cp1255": "יוהלאר", "cp1256": "اليموت"},
}


def _measure_share(sample: bytes, encoding: str, letters: str) -> float:
    """Measure the share of these letters among those outside of ASCII; 0 where the bytes do not fit the encoding."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    foreign = sum(char > "\x7f" for char in text)
    return sum(text.count(letter) for letter in letters) / foreign if foreign else 0.0
