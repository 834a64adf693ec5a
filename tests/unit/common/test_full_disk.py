"""Which errors say that a disk is full."""

from __future__ import annotations

import errno

import pytest

from ftapp.common.full_disk import is_full

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("full", [True, False])
def test_errors_that_are_chained_in_a_circle_are_looked_through(full: bool) -> None:
    first, second = ValueError("saving"), RuntimeError("closing")
    first.__cause__, second.__context__ = second, first
    if full:
        first.__context__ = FULL  # beside the cause
    assert is_full(first) is full
    assert is_full(second) is full


def test_only_a_full_disk_is_one() -> None:
    assert is_full(FULL)
    assert is_full(OSError(errno.EDQUOT, "Quota exceeded"))
    assert is_full(OSError("Can't write data (file write failed: errno = 28, error message = 'No space left')"))
    assert is_full(RuntimeError("Disable slist on flush dest failure failed (file descriptor = 8, errno = 28, error)"))
    assert not is_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_full(None)
