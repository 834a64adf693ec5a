"""The interface on a terminal without Unicode: other signs become ASCII of the same width."""

from __future__ import annotations

import codecs
import unicodedata
from io import TextIOWrapper

from rich.cells import cell_len

_SIGNS = dict(zip("↑↓←→▲▼▶◀●○•◉■□…⏎·°✓✗×–—‘’“”", "^v<>^v><*o**#o.<.o+xx--''\"\"", strict=True))
_UPPER_DOTS, _LOWER_DOTS = 0x1B, 0xE4  # bits of a Braille pattern: of its upper two rows, and of its lower two
_HANDLER = "ftapp-plain"


def prepare(stream: object) -> None:
    """Make a text stream write ASCII where its encoding lacks a sign. Streams of Unicode stay as they are."""
    if isinstance(stream, TextIOWrapper):
        try:
            "│●⣿".encode(stream.encoding)
        except UnicodeEncodeError:
            codecs.register_error(_HANDLER, _replace)
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(to_ascii, error.object[error.start : error.end])), error.end


def to_ascii(sign: str) -> str:
    """Return ASCII in place of one sign, of the same width in cells."""
    name = unicodedata.name(sign, "")
    if name.startswith("BOX DRAWINGS"):
        if " AND " in name:
            return "+"
        return "|" if any(word in name for word in ("VERTICAL", "UP", "DOWN")) else "-"
    if name.startswith("BRAILLE"):
        dots = ord(sign) & 0xFF
        return " '.:"[bool(dots & _UPPER_DOTS) + 2 * bool(dots & _LOWER_DOTS)]
    if name.endswith("BLOCK") or "BLOCK" in name.split() or name.startswith("QUADRANT"):
        return "#"
    if sign in _SIGNS:
        return _SIGNS[sign]
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    width = cell_len(sign)
    return letters if len(letters) == width else "?" * width
