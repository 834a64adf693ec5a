"""The names of the folders of runs and experiments: when each was made, of what, and in which part of the second."""

from __future__ import annotations

import re
import time
from contextlib import suppress

_NAME = re.compile(r"(?P<created>\d{8}-\d{6})-(?P<rest>[^/]+)-(?P<part>[0-9a-f]{4})")
_PARTS = 16**4  # of a second, 15 µs each


def make_name(rest: str) -> str:
    """Make the name of what is made now.

    Args:
        rest: What is made, such as the recipe with its profile.

    Returns:
        The local time, `rest` and four hexadecimal digits, the part of the second in units of 15 µs.
    """
    second, part = _write_moment(time.time())
    return f"{second}-{rest}-{part}"


def _write_moment(moment: float) -> tuple[str, str]:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(moment)), f"{int(moment % 1 * _PARTS):04x}"


def is_name(name: str) -> bool:
    """Return whether a folder is named as runs and experiments are."""
    return _NAME.fullmatch(name) is not None


def parse_name(name: str) -> tuple[str, float | None]:
    """Return what was made, and when in seconds since the Unix epoch, as far as a folder's name tells them.

    Args:
        name: The name of the folder of a run or experiment; of another name the whole is what was made.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return name, None
    with suppress(ValueError, OverflowError):
        return match["rest"], time.mktime(time.strptime(match["created"], "%Y%m%d-%H%M%S"))
    return match["rest"], None


def make_sort_key(name: str, created: float = 0.0) -> tuple[str, str, str]:
    """Make the key by which folders are sorted: the second of their making, the part of it, and the name.

    Args:
        name: The name of a folder.
        created: When it was made, in seconds since the Unix epoch, for a name that does not tell it.
    """
    match = _NAME.fullmatch(name)
    return (match["created"], match["part"], name) if match else (*_write_moment(created), name)
