"""The most memory that this process has had."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path


def read_peak_memory() -> int:
    """Read the most resident bytes that this process has had so far.

    On Linux from /proc, since what getrusage says begins with the memory of the process that started this one.
    """
    try:
        if found := re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE):
            return int(found[1]) * 1024
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
