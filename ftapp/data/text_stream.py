"""Text files and pipes read line by line, in bounded memory: compressed or not, in one of many encodings."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from ftapp.common.safe_files import explain_error
from ftapp.data import text_encoding, text_file
from ftapp.data.examples import DataProblems

_HEAD = text_file.HEAD
LONGEST = 1 << 22  # characters of a line that is a text
_WHOLE = 1 << 28  # characters of a text that is read at once
_UNDECODABLE = re.compile("[\udc80-\udcff]")


class TextStream:
    """The lines of a text, and how far they have been read. It is a context.

    A byte order mark, UTF-16 and Western European text are recognised by the first 64 KiB, as
    `ftapp.data.text_file.read` recognises them by the whole file. A byte that does not fit the encoding becomes half of
    a surrogate pair, which `explain_undecodable` finds.

    Args:
        path: The file, or a pipe.
        encoding: The encoding, unless a byte order mark decides it.

    Attributes:
        head: The first bytes of the text, unpacked, at most 64 KiB.

    Raises:
        RecipeError: The file cannot be read or unpacked, or is no text.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._held = path, ExitStack()
        with self._damage_explained():
            self._raw = self._held.enter_context(path.open("rb", buffering=0))
            self.head, content = self._unpack(self._raw)
        findings = DataProblems()
        text_file.is_other(path, self.head, findings)
        findings.check()
        name = _find_encoding(self.head, encoding)
        self._text = io.TextIOWrapper(content, name, "surrogateescape", newline="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def position(self) -> int:
        """The bytes of the file that have been read; 0 of a pipe."""
        return self._raw.tell() if self._raw.seekable() else 0

    def lines(self, longest: int = _WHOLE) -> Iterator[str]:
        """Yield the lines with their ends, without characters of value zero.

        Args:
            longest: The characters after which a line is cut.

        Raises:
            RecipeError: The file is damaged.
        """
        with self._damage_explained():
            while line := self._text.readline(longest):
                rest = line
                while len(rest) == longest and not rest.endswith(("\n", "\r")):
                    rest = self._text.readline(longest)
                yield line.replace("\0", "")

    def read(self) -> str:
        """Read the whole text.

        Raises:
            RecipeError: The file is damaged, or too large to be read at once.
        """
        with self._damage_explained():
            text = self._text.read(_WHOLE)
            if self._text.read(1):
                raise OSError(f"it has more than {_WHOLE:,} characters, and is not read line by line")
        return text.replace("\0", "")

    def _unpack(self, file: Any) -> tuple[bytes, BinaryIO]:
        """Return the first bytes of the text, and the text from its beginning, unpacked."""
        head, whole = _look_ahead(file)
        for _ in range(text_file.MOST_LAYERS):
            opener = next((opener for kind, opener in text_file.UNPACKED if head.startswith(kind)), None)
            if opener is None:
                break
            head, whole = _look_ahead(self._held.enter_context(opener(whole)))
        return head, whole

    @contextmanager
    def _damage_explained(self) -> Iterator[None]:
        try:
            yield
        except (UnicodeError, *text_file.BROKEN) as error:
            reason = explain_error(error) if isinstance(error, OSError) else str(error) or type(error).__name__
            findings = DataProblems()
            damage = f"this file cannot be read, or is damaged: {reason}"
            findings.add(self._path, text_file.explain_document(self._path, error) or damage)
            findings.check()


def explain_undecodable(text: str) -> str:
    """Say which byte of a text of `TextStream` does not fit its encoding; "" where all do."""
    if text.isascii() or not (found := _UNDECODABLE.search(text)):
        return ""
    return f"the byte 0x{ord(found[0]) - 0xDC00:02x} is not in the encoding of the file; --encoding names another one"


class _Rejoined(io.RawIOBase):
    """A file whose first bytes have been read already."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _look_ahead(file: Any) -> tuple[bytes, BinaryIO]:
    """Read the first 64 KiB of a file, and return them with the file from its beginning."""
    head = b""
    while len(head) < _HEAD and (piece := file.read(_HEAD - len(head))):
        head += piece
    if file.seekable():
        file.seek(0)
        return head, cast(BinaryIO, io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file)
    return head, cast(BinaryIO, io.BufferedReader(_Rejoined(head, file)))


def _find_encoding(head: bytes, encoding: str) -> str:
    """Find the encoding of a text by its first bytes, where the one that is asked for leaves it open."""
    if marked := next((name for mark, name in text_file.MARKS if head.startswith(mark)), None):
        return marked
    if encoding != "utf-8":
        return encoding
    if guessed := text_encoding.find_utf16(head):
        return guessed
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return text_encoding.WESTERN if text_encoding.is_western(head) else encoding
    return encoding
