"""A process that changes nothing: it writes no file, starts no process and signals none, whatever its code tries.

The interface of a viewer offers nothing that changes anything. This is the second wall behind it.
"""

from __future__ import annotations

import errno
import os
import sys

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {
        *(f"os.{name}" for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink")),
        *(f"os.{name}" for name in ("truncate", "utime", "setxattr", "removexattr", "chflags")),
        *(f"os.{name}" for name in ("exec", "fork", "forkpty", "posix_spawn", "spawn", "system", "kill", "killpg")),
        "subprocess.Popen",
    }
)


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
