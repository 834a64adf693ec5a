"""Landlock: Linux keeps a process, and all that it starts, within some folders. No later code can undo it.

A process needs no rights for it. Files that are open already stay open, and what a file is called, how large it is and
whether it exists stays visible. The calls have no functions in the C library, so they are made by number, which is the
same on all processors. The C names in the comments are those of `linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
_OF_VERSION_1 = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # a rule about a file may say no more


def find_version() -> int:
    """Find the version of Landlock of this kernel; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))


def confine(readable: Iterable[Path], writable: Iterable[Path], listed: Iterable[Path] = ()) -> bool:
    """Keep this thread, and the threads and processes that it starts, within some files and folders.

    Args:
        readable: What can be read and executed. Paths that do not exist are left out.
        writable: What can be written too.
        listed: Folders in which, and below which, names can be listed.

    Returns:
        Whether it was done; False where the kernel has no Landlock.

    Raises:
        OSError: The kernel has refused it.
    """
    if not (version := find_version()):
        return False
    handled = _OF_VERSION_1 | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _check(_call(_CREATE_RULESET, struct.pack("=Q", handled), 8, 0))
    try:
        for path in readable:
            _allow(rules, path, _EXECUTE | _READ_FILE | _READ_FOLDER)
        for path in writable:
            _allow(rules, path, handled & ~_MAKE_DEVICES)
        for path in listed:
            _allow(rules, path, _READ_FOLDER)
        _check(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _check(_call(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def _allow(rules: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            access &= _OF_FILES
        _check(_call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, place), 0))
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    given = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return int(library.syscall(ctypes.c_long(number), *given))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
