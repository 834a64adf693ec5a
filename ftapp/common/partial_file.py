"""A file that a long command writes beside its place, and with which the same command goes on after an interruption."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ftapp.common import durable
from ftapp.common.errors import RunError
from ftapp.common.safe_files import UNREADABLE, read_bytes


class PartialNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a partial file holds.

    Attributes:
        facts: What decides its content, beside the inputs.
        rows: The inputs whose rows are there.
        problems: How many of them have no answer.
        size: The bytes of these rows.
        digest: The hash of these inputs.
    """

    facts: dict[str, Any]
    rows: int = 0
    problems: int = 0
    size: int = 0
    digest: str = ""


class PartialFile:
    """The partial file of an output, FILE.partial, and the note of what it holds, FILE.partial.json.

    Args:
        place: Where the output comes to lie.
        facts: What decides its content, beside the inputs.
        anew: Whether to begin anew in any case.

    Attributes:
        progress: What the file holds.
        path: The partial file.
        converted: What may be made of it, to take its place.

    Raises:
        RunError: There is a partial file of other facts.
    """

    def __init__(self, place: Path, facts: Mapping[str, Any], *, anew: bool) -> None:
        self.place = place
        self.path = place.with_name(f"{place.name}.partial")
        self.converted = place.with_name(f"{place.name}.converted")
        self._note = place.with_name(f"{place.name}.partial.json")
        self.progress = PartialNote(facts=dict(facts))
        if not anew and (kept := self._read_note()):
            if changed := sorted(name for name in kept.facts | self.progress.facts
                                 if kept.facts.get(name) != self.progress.facts.get(name)):  # fmt: skip
                raise RunError(
                    f"{self.path} was begun with another {' and another '.join(changed)}, so it cannot go on; "
                    "begin anew (--restart), or name another file"
                )
            self.progress = kept
        self._file: BinaryIO | None = None

    def open(self, head: bytes) -> None:
        """Open the file behind its last whole rows, or begin it with what stands before the first row.

        The file is locked until it is closed.

        Raises:
            RunError: Another process writes the file.
            OSError: The folder cannot be written.
        """
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if not self._is_locked():
            raise RunError(f"another process writes {self.path}; wait for its end, or name another file")
        self.converted.unlink(missing_ok=True)
        if not self.progress.rows:
            self._note.unlink(missing_ok=True)  # of a former file, which is overwritten now
        self._file.truncate(self.progress.size)
        self._file.seek(0, os.SEEK_END)
        if not self.progress.rows:
            self._file.write(head)

    def write(self, content: bytes) -> None:
        """Write rows."""
        assert self._file is not None
        self._file.write(content)

    def commit(self, rows: int, problems: int, digest: str) -> None:
        """Note that the rows of so many inputs are there.

        Args:
            rows: How many inputs.
            problems: How many of them have no answer.
            digest: The hash of them.
        """
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self.progress = PartialNote(
            facts=self.progress.facts, rows=rows, problems=problems, size=self._file.tell(), digest=digest
        )
        durable.replace_file(self._note, msgspec.json.encode(self.progress))

    def flush(self) -> None:
        """Give what is written to the file system."""
        if self._file:
            self._file.flush()

    def close(self) -> None:
        """Close the file, which stays."""
        if self._file:
            self._file.close()

    def finish(self) -> None:
        """Put the file, or what was made of it at `converted`, into its place. Nothing is written any more."""
        self.flush()
        source = self.converted if self.converted.exists() else self.path
        durable.sync(source)
        source.replace(self.place)
        durable.sync(self.place.parent)
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _is_locked(self) -> bool:
        """Lock the open file, unless another process has it, or has just put it into its place."""
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _read_note(self) -> PartialNote | None:
        """Read the note; None where there is none, or the file does not have what it says."""
        try:
            note = msgspec.json.decode(read_bytes(self._note), type=PartialNote)
            return note if self.path.stat().st_size >= note.size else None
        except (OSError, *UNREADABLE):
            return None
