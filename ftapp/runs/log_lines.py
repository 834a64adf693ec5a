"""The lines of a process's log that tell a reader something."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ftapp.common.safe_files import read_last_text

_NOTICE = re.compile(
    r"WARNING: All log messages before absl|To enable the following instructions"
    r"|I\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d [\d:.]+: I |[WE]\d{4} [\d:. ]+ (cudart_stub|cuda_\w+|computation_placer)\.cc:"
)


def read_last_lines(file: Path, count: int) -> list[str]:
    """The last telling lines of a log; none where it cannot be read."""
    try:
        return pick_telling_lines(read_last_text(file).splitlines())[-count:]
    except OSError:
        return []


def pick_telling_lines(lines: Iterable[str]) -> list[str]:
    """Leave out the notices that TensorFlow prints at its start on a machine without a GPU.

    No log level silences them.
    """
    return [line for line in lines if not _NOTICE.match(line)]
