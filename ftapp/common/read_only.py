"""A process that changes nothing: it writes no file, starts no process and signals none, whatever its code tries.

The interface of a viewer offers nothing that changes anything. This is the second wall behind it.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from ftapp.common import confinement

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {
        *(f"os.{name}" for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink")),
        *(f"os.{name}" for name in ("truncate", "utime", "setxattr", "removexattr", "chflags")),
        *(f"os.{name}" for name in ("exec", "fork", "forkpty", "posix_spawn", "spawn", "system", "kill", "killpg")),
        "subprocess.Popen",
    }
)


def only_show(runs: Path) -> None:
    """Let this process change nothing, and open no files but those of runs and what it needs. This cannot be undone.

    Args:
        runs: The folder of runs.

    Raises:
        OSError: The kernel has refused the rules about files.
    """
    confinement.keep_to_runs(runs)
    refuse_changes()


def refuse_changes() -> None:
    """Let every later change by this process fail with PermissionError. This cannot be undone."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & _WRITES or isinstance(path, int) or path == os.devnull:
            return
        raise PermissionError(errno.EROFS, "this session only shows", path)
    if event in _CHANGES:
        raise PermissionError(errno.EROFS, "this session only shows", event)
