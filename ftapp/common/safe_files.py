"""Files that anybody may have put there: read without waiting for a pipe or a device, and within bounds."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec


def _plain(value: Any) -> float | str:
    """What stands in JSON for a value of another type, such as NumPy's numbers, which are floats of their own."""
    return float(value) if isinstance(value, float) else str(value)


_encoder = msgspec.json.Encoder(enc_hook=_plain)

LARGEST = 2**26
"""Bytes of the longest text and the longest line that are read: 64 MiB."""

UNREADABLE = (ValueError, RecursionError)
"""What decoders raise for bytes that are not what they decode: wrong syntax, types, numbers, nesting or UTF-8."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading, unbuffered. Raises OSError, also for a pipe, a device or a folder in its place.

    A pipe without a writer would be waited for, and to open a device may do something.
    """
    _check_kind(os.stat(path).st_mode)  # noqa: PTH116 - a third of the time of Path.stat
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return _wrap(descriptor, "rb")


def open_to_append(path: Path) -> BinaryIO:
    """Open a regular file for appending, unbuffered, and make it if need be. Raises OSError as `open_file` does."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return _wrap(descriptor, "ab")


def _wrap(descriptor: int, mode: Literal["rb", "ab"]) -> BinaryIO:
    """The file behind a descriptor, unbuffered. Raises OSError, and closes it, where it is no regular file."""
    try:
        _check_kind(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, mode, buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_name_kind(mode)}, not a file")


def _name_kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def name_other_kind(path: Path) -> str | None:
    """What a path is that is no regular file: a folder, a pipe, a device; None for a file. Raises OSError."""
    mode = path.stat().st_mode
    return None if stat.S_ISREG(mode) else _name_kind(mode)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False also for a path that cannot be looked at. Never raises."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False also for a path that cannot be looked at. Never raises."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def explain_lost_folder(folder: Path) -> str | None:
    """Say that a folder is not where it was, as the end of a sentence; None where it is there."""
    return None if is_folder(folder) else "its folder is gone: it was deleted or moved"


def exists(path: Path) -> bool:
    """Whether there is something, were it a link that leads nowhere. Never raises."""
    return os.path.lexists(path)


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of a file of at most `LARGEST` bytes. Raises OSError as `open_file` does, and for a larger one.

    most: how many bytes it may have, in place of `LARGEST`.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        parts, left = [], most or LARGEST
        while left and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    if not left:
        raise OSError(errno.EFBIG, f"it is too large: {size} bytes")
    return b"".join(parts)


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError as `read_bytes` does, and UnicodeDecodeError, a ValueError."""
    return read_bytes(path).decode("utf-8")


def read_object(path: Path, types: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The JSON object in a file, and what is wrong with it, in words, if something is.

    types: of the keys that are known. What is of another type is left out. A file that is not there holds nothing.
    """
    try:
        found: dict[str, Any] = msgspec.json.decode(read_bytes(path), type=dict[str, Any])
    except FileNotFoundError:
        return {}, None
    except (OSError, *UNREADABLE) as error:
        return {}, f"its {path.name} cannot be read: {explain_error(error)}"
    problem = None
    for key in [key for key in types if key in found]:
        try:
            found[key] = msgspec.convert(found[key], types[key])
        except UNREADABLE as error:
            problem = problem or f"its {path.name} is damaged: {key}: {explain_error(error)}"
            del found[key]
    return found, problem


def encode_line(value: Any) -> bytes:
    """A value as a line of JSON. Halves of characters, as names of files that are not UTF-8 hold them, become "?"."""
    try:
        return _encoder.encode(value) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value, enc_hook=_plain), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def read_last_text(path: Path, size: int = 2**16) -> str:
    """At most so many bytes at the end of a text, from the beginning of a line on. Raises OSError as `open_file`."""
    with open_file(path) as file:
        end = os.fstat(file.fileno()).st_size
        file.seek(max(0, end - size))
        data = file.read(size)
    if end > size:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", errors="replace")


def ends_in_line(path: Path) -> bool:
    """Whether the last line of a text has its end; True for an empty one, and for one that is not there.

    Raises OSError as `open_file` does.
    """
    try:
        return read_last_text(path, 1) in ("", "\n")
    except FileNotFoundError:
        return True


def describe_error(error: BaseException) -> str:
    """What went wrong, in a few words, with the file in which it did."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {explain_error(error)}"
    return explain_error(error)


def explain_error(error: BaseException) -> str:
    """Why something could not be read, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return str(error)
