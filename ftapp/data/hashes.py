"""Hashes of examples, and which examples are equal by them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SIZE = 16
"""The bytes of a hash."""

Hashes = NDArray[np.uint8]
"""Hashes of examples, uint8 (examples, `SIZE`)."""


def hash_content(content: bytes) -> bytes:
    """Hash bytes to `SIZE` bytes."""
    return hashlib.blake2b(content, digest_size=SIZE).digest()


def stack_hashes(hashes: Iterable[bytes]) -> Hashes:
    """Put hashes below each other.

    Args:
        hashes: Hashes of `SIZE` bytes each.
    """
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, SIZE)


def find_owners(hashes: Hashes, ranks: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
    """Find the first of all examples that equal each one.

    Args:
        hashes: The hashes of the examples.
        ranks: Numbers that go before the order of the examples: of equal examples, one with the lowest comes first.
            None where the order alone decides.

    Returns:
        Positions of examples, int64 (examples,); an example that is the first one has its own.
    """
    halves = np.ascontiguousarray(hashes).view(np.uint64)
    order = np.lexsort((*(() if ranks is None else (ranks,)), halves[:, 1], halves[:, 0]))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    owners = np.empty(len(order), np.int64)
    owners[order] = order[is_first][np.cumsum(is_first) - 1]
    return owners
