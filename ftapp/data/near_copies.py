"""Texts that are mostly contained in another one, such as an older version of it.

A text is known by its shingles, the runs of eight words in it (Broder 1997, On the resemblance and containment of
documents), of characters where words are not written apart. Of very many shingles those are compared whose hash is
divisible by some number, the same for all texts.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

SHARE = 0.5
"""From which share of its shingles in another text on a text is a near-copy of it."""

_WORDS, _CHARACTERS = 8, 24  # a shingle
_FEWEST = 16  # shingles; a shorter text is like many others
_COMPARED = 2_000_000  # shingles of all texts: about 3 seconds
_OWNERS = 4  # texts remembered for a shingle; the licence at the top of each file is no reason to compare all with all
_WORD = re.compile(r"\w+")

Hashes = NDArray[np.uint64]


def find(texts: Sequence[str], ranks: Sequence[int]) -> dict[int, int]:
    """Find texts that are mostly contained in another one.

    Args:
        texts: The texts.
        ranks: The rank of each text. A text is compared with those of a higher rank, and texts of rank 0 also with
            each other, where the longer ones stay.

    Returns:
        Near-copy -> the text that holds it, as positions in `texts`.
    """
    if len(texts) < 2:
        return {}
    vocabulary = _make_vocabulary()
    hashes = [_hash_shingles(text, vocabulary) for text in texts]
    every = max(1, sum(map(len, hashes)) // _COMPARED)
    owners: dict[int, list[int]] = {}
    copies: dict[int, int] = {}
    for rank in sorted(set(ranks), reverse=True):
        group = sorted((at for at in range(len(texts)) if ranks[at] == rank), key=lambda at: (-len(texts[at]), at))
        kept: list[tuple[int, list[int]]] = []
        for at in group:
            chosen = _find_distinct(hashes[at][hashes[at] % np.uint64(every) == 0])
            if len(chosen) < _FEWEST:
                continue
            shared = Counter(owner for each in chosen for owner in owners.get(each, ()))
            owner, number = shared.most_common(1)[0] if shared else (at, 0)
            if number >= SHARE * len(chosen):
                copies[at] = owner
            elif rank == 0:
                _add_owner(owners, at, chosen)
            else:
                kept.append((at, chosen))
        for at, chosen in kept:
            _add_owner(owners, at, chosen)
    return copies


def measure_overlap(texts: Sequence[str], known: Sequence[str]) -> float:
    """Measure how much of some texts occurs in others too.

    Args:
        texts: The texts.
        known: The other texts.

    Returns:
        The share of the shingles of `texts` that `known` has, 0 to 1.
    """
    vocabulary = _make_vocabulary()
    ours, theirs = (
        np.sort(np.concatenate([np.zeros(0, np.uint64), *(_hash_shingles(text, vocabulary) for text in some)]))
        for some in (texts, known)
    )
    if not len(ours) or not len(theirs):
        return 0.0
    nearest = theirs[np.minimum(np.searchsorted(theirs, ours), len(theirs) - 1)]
    return float((nearest == ours).mean())


def _find_distinct(values: Hashes) -> list[int]:
    """Find the different values, ascending.

    They are sorted: the hash table of np.unique takes ten times as long for millions.
    """
    ordered = np.sort(values)
    found: list[int] = ordered[np.diff(ordered, prepend=~ordered[:1]) != 0].tolist()
    return found


def _add_owner(owners: dict[int, list[int]], at: int, chosen: Sequence[int]) -> None:
    for each in chosen:
        known = owners.setdefault(each, [])
        if len(known) < _OWNERS:
            known.append(at)


def _make_vocabulary() -> defaultdict[str, int]:
    """Make a mapping from words to numbers, in the order in which words are first asked for."""
    return defaultdict(count().__next__)


def _hash_shingles(text: str, vocabulary: Mapping[str, int]) -> Hashes:
    """Hash each run of words, the same in each process; case and signs between words make no difference."""
    lower = text.casefold()
    units, size = _WORD.findall(lower), _WORDS
    if len(lower) > 16 * len(units):
        units, size = list(lower), _CHARACTERS
    numbers = np.fromiter(map(vocabulary.__getitem__, units), np.uint64, len(units))
    if len(numbers) < size:
        return np.zeros(0, np.uint64)
    mixed = _mix(numbers + np.uint64(1))
    total = np.zeros(len(numbers) - size + 1, np.uint64)
    for place in range(size):
        total = total * np.uint64(0x9E3779B97F4A7C15) + mixed[place : place + len(total)]
    return _mix(total)


def _mix(values: Hashes) -> Hashes:
    """Spread numbers over all of 64 bits: the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
