"""Copies of a run's folder on machines that share no disk, kept up to date while the run goes on.

`list_marks` says what a copy has, `read_changes` reads in the source what it lacks, and `apply_changes` puts that into
the copy. Nothing else is remembered, so a copy, a source or the connection between them may be lost at any time.

- Logs only grow, so the bytes behind those that the copy has are sent. The end of what it has must be the same in the
  source. Otherwise the run was resumed from an earlier step, and the log is sent as a whole, into a new file.
- Other files are replaced as a whole. Two are the same where size and time are, so a copy takes over the time, as
  exactly as its file system keeps it.
- A checkpoint, or the model, appears in the copy once all its files have arrived.
- Logs come before files, so a copy has all events that belong to a checkpoint.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ftapp.common.durable import discard, replace_file
from ftapp.common.safe_files import open_file, open_to_append
from ftapp.runs import annotation

_LIMIT = 2**23  # bytes that are sent at once: 8 MiB
_TAIL = 4096  # bytes at the end of a log by which two are told apart: events have times, so they differ there
_UNITS = (1, 100, 10**3, 10**6, 10**9, 2 * 10**9)  # nanoseconds, in which file systems keep times, rounded down

_COMMANDS, _REPLAY, _CHECKPOINTS, _MODEL = "control.jsonl", "replay.jsonl", "checkpoints/", "model/"
_LOGS = ("events.jsonl", "train.log", _COMMANDS)
# What the run's process and its trackers write, and what only users write.
_OF_RUN = (
    *("events.jsonl", "train.log", "status.json", "recipe.toml", "layers.json", "examples.jsonl", "augmentation.webp"),
    *(_REPLAY, "track.json", "track.log"),
)
_FOLDERS_OF_RUN = (_CHECKPOINTS, _MODEL, "tensorboard/")
_OF_USERS = (_COMMANDS, "environment.json", annotation.FILE)
_ARRIVING = ".arriving"  # where the files of a copy wait until they are whole


@dataclass(frozen=True)
class Mark:
    """What a copy has of a file.

    Attributes:
        size: Its bytes.
        version: Of a log, a hash of its end. Of another file, the time of its last change, in nanoseconds.
        is_in_place: Whether it lies in its place. Otherwise it waits until it, and all of its folder, is whole.
    """

    size: int
    version: str
    is_in_place: bool = True


@dataclass(frozen=True)
class Piece:
    """Bytes of a file of the source.

    Attributes:
        path: The file, from the run's folder.
        offset: Where the bytes begin; 0 replaces what the copy has.
        data: The bytes.
        total: How many bytes the file has.
        changed: The time of the file's last change, in nanoseconds.
    """

    path: str
    offset: int
    data: bytes
    total: int
    changed: int

    @property
    def is_last(self) -> bool:
        """Whether the file ends with these bytes."""
        return self.offset + len(self.data) >= self.total


@dataclass(frozen=True)
class Changes:
    """What a copy lacks, or the next of it.

    Attributes:
        pieces: Bytes for it.
        whole: The files and folders that are whole with these.
        removed: The files and folders that the source has no longer.
    """

    pieces: list[Piece] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.pieces or self.whole or self.removed)


Marks = Mapping[str, Mark]
"""What a copy has, by the path from the run's folder."""


def is_of_run(path: str) -> bool:
    """Return whether the run's process writes a file, rather than its user."""
    return path in _OF_RUN or path.startswith(_FOLDERS_OF_RUN)


def is_command_log(path: str) -> bool:
    """Return whether a file is the log of commands, which users write."""
    return path == _COMMANDS


def list_marks(folder: Path) -> Marks:
    """List what a copy has, also of files that have arrived in part.

    Args:
        folder: The copy; it need not exist.
    """
    found: dict[str, Mark] = {}
    for place, is_in_place in ((folder, True), (folder / _ARRIVING, False)):
        for path in _list_files(place):
            with suppress(FileNotFoundError), open_file(place / path) as file:
                facts = os.fstat(file.fileno())
                version = _hash_end(file, facts.st_size) if path in _LOGS else str(facts.st_mtime_ns)
                found[path] = Mark(facts.st_size, version, is_in_place)
    return found


def read_changes(
    folder: Path, marks: Marks, is_wanted: Callable[[str], bool] = lambda path: True, limit: int = _LIMIT
) -> Changes:
    """Read what a copy lacks.

    Args:
        folder: The source.
        marks: What the copy has.
        is_wanted: Whether the copy is to have a file.
        limit: About how many bytes are read at most.

    Raises:
        OSError: The source cannot be read.
    """
    units: dict[str, list[str]] = {}
    for path in filter(is_wanted, _list_files(folder)):
        units.setdefault(_find_unit(path), []).append(path)
    changes = Changes()
    for unit in sorted(units, key=_rank):
        pieces, is_whole = [], True
        try:
            for path in units[unit]:
                read = _read_log if path in _LOGS else _read_file
                piece = read(folder, path, marks.get(path), max(0, limit))
                if piece:
                    pieces.append(piece)
                    limit -= len(piece.data)
                    is_whole = is_whole and piece.is_last
        except FileNotFoundError:  # it was removed meanwhile
            continue
        changes.pieces.extend(pieces)
        has_arrived = bool(pieces) or any(path in marks and not marks[path].is_in_place for path in units[unit])
        if has_arrived and is_whole and unit not in _LOGS:
            changes.whole.append(unit)
        if limit <= 0:
            break
    for unit in {_find_unit(path) for path, mark in marks.items() if is_wanted(path) and _may_go(path, mark)}:
        if unit not in units:
            changes.removed.append(unit)
    return changes


def apply_changes(folder: Path, changes: Changes) -> None:
    """Put changes into a copy.

    Args:
        folder: The copy, which is made if need be.
        changes: What it lacks.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for piece in changes.pieces:
        if piece.path in _LOGS:
            _append(folder / piece.path, piece)
        else:
            _keep(folder / _ARRIVING / piece.path, piece)
    for unit in changes.whole:
        _put_in_place(folder / _ARRIVING / unit, folder / unit)
    for unit in changes.removed:
        for place in (folder / unit, folder / _ARRIVING / unit):
            with suppress(FileNotFoundError):
                discard(place)
    if not any(_list_files(folder / _ARRIVING)):
        shutil.rmtree(folder / _ARRIVING, ignore_errors=True)


def _list_files(folder: Path, below: str = "") -> Iterator[str]:
    """List the files of a run that a copy is to have, by their paths from its folder."""
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            if f"{path}/".startswith(_FOLDERS_OF_RUN) and not entry.name.endswith(".tmp"):
                yield from _list_files(folder, f"{path}/")
        elif entry.is_file(follow_symlinks=False) and (is_of_run(path) or path in _OF_USERS):
            yield path


def _find_unit(path: str) -> str:
    """Find what appears in a copy as a whole: a checkpoint, the model, or the file alone."""
    if path.startswith(_CHECKPOINTS):
        return "/".join(path.split("/")[:2])
    return _MODEL.rstrip("/") if path.startswith(_MODEL) else path


def _rank(unit: str) -> tuple[int, int, str]:
    """Rank what is sent first: logs, small files, the newest checkpoint, the model."""
    if unit in _LOGS:
        return 0, _LOGS.index(unit), ""
    if unit.startswith(_CHECKPOINTS):
        digits = "".join(filter(str.isdecimal, unit))
        return 2, -int(digits or 0), unit
    return (3 if f"{unit}/" == _MODEL else 1), 0, unit


def _may_go(path: str, mark: Mark) -> bool:
    """Return whether a file is removed from a copy where the source has it no longer: not what users have put there."""
    return path.startswith(_CHECKPOINTS) or path == _REPLAY or not mark.is_in_place


def _read_log(folder: Path, path: str, mark: Mark | None, limit: int) -> Piece | None:
    with open_file(folder / path) as file:
        facts = os.fstat(file.fileno())
        is_same = mark is not None and mark.size <= facts.st_size and mark.version == _hash_end(file, mark.size)
        offset = mark.size if mark and is_same else 0
        if offset == facts.st_size and (is_same or mark is None):
            return None
        file.seek(offset)
        return Piece(path, offset, file.read(limit), facts.st_size, facts.st_mtime_ns)


def _read_file(folder: Path, path: str, mark: Mark | None, limit: int) -> Piece | None:
    with open_file(folder / path) as file:
        facts = os.fstat(file.fileno())
        is_same = mark is not None and mark.size <= facts.st_size and _is_time_of(int(mark.version), facts)
        if mark and is_same and mark.size == facts.st_size:
            return None
        offset = mark.size if mark and is_same else 0
        file.seek(offset)
        return Piece(path, offset, file.read(limit), facts.st_size, facts.st_mtime_ns)


def _is_time_of(kept: int, facts: os.stat_result) -> bool:
    """Return whether a copy's time is that of a file, as exactly as the copy's file system keeps it."""
    return any(kept == facts.st_mtime_ns // unit * unit for unit in _UNITS)


def _hash_end(file: BinaryIO, size: int) -> str:
    """Hash the end of the first `size` bytes of a file."""
    begin = max(0, size - _TAIL)
    file.seek(begin)
    return hashlib.blake2b(file.read(size - begin), digest_size=16).hexdigest()


def _append(path: Path, piece: Piece) -> None:
    if not piece.offset:
        if not _holds(path, piece.data):
            replace_file(path, piece.data)
        return
    with open_to_append(path) as file:
        if os.fstat(file.fileno()).st_size == piece.offset:
            file.write(piece.data)


def _holds(path: Path, data: bytes) -> bool:
    """Return whether these bytes are a whole file: the same piece has come before."""
    return path.exists() and path.stat().st_size == len(data) and path.read_bytes() == data


def _keep(path: Path, piece: Piece) -> None:
    """Keep bytes of a file until it is whole."""
    if piece.offset and not (path.exists() and path.stat().st_size == piece.offset):
        return  # the same piece has come before
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if piece.offset else "wb") as file:
        file.write(piece.data)
    os.utime(path, ns=(piece.changed, piece.changed))


def _put_in_place(arrived: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not (arrived.is_dir() and place.is_dir()):
        with suppress(FileNotFoundError):  # the same changes have come before
            arrived.replace(place)
        return
    for path in sorted(arrived.rglob("*")):
        if path.is_file():
            _put_in_place(path, place / path.relative_to(arrived))
    discard(arrived)
