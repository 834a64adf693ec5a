"""Text files as people have them: compressed or not, in one of many encodings, or no text at all.

Only regular files are opened: a pipe or a device such as /dev/zero has no end.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shlex
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ftapp.common import formatting
from ftapp.common.downloads import Progress
from ftapp.common.safe_files import explain_error, name_other_kind
from ftapp.data import text_encoding
from ftapp.data.examples import DataProblems
from ftapp.data.labels import override

Opener = Callable[[BinaryIO], io.BufferedIOBase]
"""Opens the content of a compressed file."""
LARGE = 4 << 20
"""Bytes of a file from which on it takes a second or so to read."""

_LARGEST = 4 << 30  # bytes of text; a decompression bomb is more
MOST_LAYERS = 3  # of compression, one around another
_PIECE = 1 << 20  # bytes that are decompressed at a time
HEAD = 1 << 16  # bytes by which a file without text is recognised
_MOST_NULS = 0.1  # of the head; text in UTF-16 has more, text with a few stray ones fewer
_MOST_CONTROLS = 0.03  # of some characters; random bytes have 0.08, texts none but a stray one
# Characters that stand in no text. Other control characters part lines, pages and fields, or begin a colour.
_CONTROLS = bytes((*range(0x01, 0x08), *range(0x0E, 0x1A), 0x7F)).decode()

_PANDAS = 'python -c "import pandas; pandas.{read}({name}).to_csv({csv}, index=False)"'
_EXCEL = "save it as CSV UTF-8 in the program that made it"
_DOCUMENTS = (".xlsx", ".xlsm", ".xlsb", ".docx", ".pptx", ".ods", ".odt")
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", "{parquet}"),
    (b"ARROW1", "an Arrow file", "{arrow}"),
    (b"\xff\xff\xff\xff", "an Arrow file", "{arrow}"),
    (b"FEA1", "a Feather file", _PANDAS.replace("{read}", "read_feather")),
    (b"ORC", "an ORC file", _PANDAS.replace("{read}", "read_orc")),
    (b"Obj\x01", "an Avro file", "convert it to CSV or JSON lines"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word document", _EXCEL),
    (b"%PDF", "a PDF document", "copy its table into a CSV file"),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"SQLite format 3", "an SQLite database", "sqlite3 -header -csv {name} 'select * from TABLE' > {csv}"),
    (b"\x89HDF", "an HDF5 file", "convert it to CSV"),
    (b"\x93NUMPY", "a NumPy array", "convert it to CSV"),
    (b"\x80\x03", "a Python pickle", "convert it to CSV"),
    (b"\x80\x04", "a Python pickle", "convert it to CSV"),
    (b"\x80\x05", "a Python pickle", "convert it to CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {name}"),
    (b"Rar!", "a RAR archive", "unrar x {name}"),
    (b"\x1f\x9d", "compressed by compress", "uncompress {name}"),
    (b"\x89PNG", "an image", "images of classes are in folder:PATH"),
    (b"\xff\xd8\xff", "an image", "images of classes are in folder:PATH"),
    (b"GIF8", "an image", "images of classes are in folder:PATH"),
    (b"\x7fELF", "a program", "name the file that holds the examples"),
    (b"version https://git-lfs.github.com/", "a pointer of Git LFS and not the file itself", "git lfs pull"),
)
MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
BROKEN = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError),
    ValueError,  # also pyarrow's errors
)
"""What the decompressors raise for damaged, encrypted and unknown content."""


def read(
    path: Path, findings: DataProblems, notes: list[str], encoding: str = "utf-8", progress: Progress | None = None
) -> str:
    """Read the text of a file, without a byte order mark.

    gzip, bzip2, xz, Zstandard and ZIP with one member are decompressed. Characters of value zero, which no text has,
    are left out.

    Args:
        path: The file.
        findings: Gets a problem where the file has no text that can be read.
        notes: Gets a sentence where characters are left out, and where the encoding is another one than UTF-8.
        encoding: The encoding, unless a byte order mark of UTF-8, UTF-16 or UTF-32 decides it. For UTF-8, text that
            clearly is UTF-16 or Western European is read as UTF-16 or cp1252.
        progress: Called with a large file.

    Returns:
        The text; "" where there is a problem.
    """
    content = _read_content(path, findings)
    if not content:
        return ""
    if progress and len(content) >= LARGE:
        progress(f"reading {path.name}, {formatting.format_size(len(content))}", 0, None)
    for _ in range(MOST_LAYERS):
        for kind, unpack in UNPACKED:
            if content.startswith(kind):
                content = _unpack(path, content, unpack, findings)
    if not content or is_other(path, content, findings):
        return ""
    text = _decode(path, content, encoding, findings, notes)
    if zeros := text.count("\0"):
        notes.append(f"{formatting.format_quantity(zeros, 'character')} of value zero left out")
    return text.replace("\0", "")


def _decode(path: Path, content: bytes, encoding: str, findings: DataProblems, notes: list[str]) -> str:
    """Decode a text; "" with a finding where its bytes are none."""
    marked = next((name for mark, name in MARKS if content.startswith(mark)), None)
    is_open = marked is None and encoding == "utf-8"
    guessed = text_encoding.find_utf16(content[:HEAD]) if is_open else None
    try:
        text = content.decode(marked or guessed or encoding)
    except UnicodeDecodeError as error:
        # The decoder counts from behind a byte order mark of UTF-8, of 3 bytes.
        at = error.start + (3 if marked == "utf-8-sig" else 0)
        if marked in ("utf-16", "utf-32"):
            findings.add(path, f"byte {at:,} does not fit {marked.upper()}, which its byte order mark says it is; "
                               "the file is damaged or cut off")  # fmt: skip
            return ""
        if guessed or _is_binary(content[at : at + HEAD].decode("latin-1")):
            findings.add(path, _BINARY)
            return ""
        if not is_open or not text_encoding.is_western(content):
            findings.add(path, _explain_undecodable(path, content, at, encoding), "data.encoding")
            return ""
        guessed = text_encoding.WESTERN
        text = content.decode(guessed)
    if _is_binary(text[:HEAD]):
        findings.add(path, _BINARY)
        return ""
    if guessed:
        found = re.search(r"[^\x00-\x7f]", text)
        word = " ".join(text[max(0, found.start() - 12) : found.start() + 12].split()) if found else ""
        shown = f" ('…{word}…')" if word.isprintable() and word else ""
        notes.append(f"read as {guessed}{shown}, since it is not UTF-8; data.encoding names another encoding")
    return text


def _read_content(path: Path, findings: DataProblems) -> bytes:
    try:
        if kind := name_other_kind(path):
            findings.add(path, f"this is {kind}; examples are read from a file")
            return b""
        if (size := path.stat().st_size) > _LARGEST:
            findings.add(path, f"this file has {size / 2**30:.1f} GiB; a table of at most {_LARGEST >> 30} GiB is read")
            return b""
        return path.read_bytes()
    except OSError as error:
        findings.add(path, f"this file cannot be read: {explain_error(error)}")
        return b""


def _unpack(path: Path, content: bytes, unpack: Opener, findings: DataProblems) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        with unpack(io.BytesIO(content)) as file:
            while piece := file.read(_PIECE):
                pieces.append(piece)
                if (size := size + len(piece)) > _LARGEST:
                    findings.add(path, f"this file unpacks to more than {_LARGEST >> 30} GiB of text")
                    return b""
    except BROKEN as error:
        damage = f"this file is compressed, and cannot be unpacked: {error or type(error).__name__}"
        findings.add(path, explain_document(path, error) or damage)
        return b""
    return b"".join(pieces)


def explain_document(path: Path, error: BaseException) -> str:
    """Say that a file that cannot be unpacked is a document; "" where it is none.

    Args:
        path: The file.
        error: What an opener of `UNPACKED`, or what it has opened, raised.
    """
    if not isinstance(error, _DocumentError) and path.suffix.lower() not in _DOCUMENTS:
        return ""
    kind = error if isinstance(error, _DocumentError) else f"a document ({path.suffix})"
    return f"this is {kind}, not text; {_EXCEL}"


class _DocumentError(ValueError):
    """A ZIP archive that is a document."""


def _open_member(file: BinaryIO) -> io.BufferedIOBase:
    """Open the only file in a ZIP archive."""
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    if "[Content_Types].xml" in names:
        raise _DocumentError("an Excel workbook" if any(name.startswith("xl/") for name in names) else "a document")
    if "mimetype" in names:
        raise _DocumentError("an OpenDocument file")
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(files) != 1:
        raise OSError(f"it holds {len(files)} files ({', '.join(files[:3])}); unpack it and name one of them")
    return archive.open(files[0])  # type: ignore[return-value]


def _open_zstandard(file: BinaryIO) -> io.BufferedIOBase:
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), "zstd")  # type: ignore[no-any-return]


UNPACKED: tuple[tuple[bytes, Opener], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", lambda file: bz2.BZ2File(file)),
    (b"\xfd7zXZ\x00", lambda file: lzma.LZMAFile(file)),  # noqa: SIM115
    (b"\x28\xb5\x2f\xfd", _open_zstandard),
    (b"PK\x03\x04", _open_member),
    (b"PK\x05\x06", _open_member),
)
"""By the first bytes of a compressed file, what opens its content."""


def is_other(path: Path, content: bytes, findings: DataProblems) -> bool:
    """Tell whether a file is no text; a finding says its kind and how to convert it."""
    names = {
        "name": shlex.quote(path.name),
        "csv": shlex.quote(f"{path.stem}.csv"),
        **{scheme: override("data.source", f"{scheme}:{path}") for scheme in ("parquet", "arrow")},
    }
    for start, kind, way in _KINDS:
        if content.startswith(start):
            quoted = {key: repr(value) if "pandas" in way else value for key, value in names.items()}
            findings.add(path, f"this is {kind}, not text; {way.format(**quoted)}")
            return True
    if content[257:262] == b"ustar":
        findings.add(path, f"this is a tar archive, not text; tar xf {names['name']}, and name one of its files")
        return True
    head = content[:HEAD]
    if re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE):
        findings.add(path, "this is a web page, not a table; download the file itself")
        return True
    zeros = head.count(0)
    is_marked = any(head.startswith(mark) for mark, _ in MARKS)
    if is_marked or zeros <= _MOST_NULS * len(head) or text_encoding.find_utf16(head):
        return False
    findings.add(path, f"this is binary data, {zeros / len(head):.0%} of it zero bytes; a table is text")
    return True


_BINARY = "this is binary data, full of control characters, and no text"


def _is_binary(sample: str) -> bool:
    """Tell whether there are more control characters than a text has."""
    return sum(map(sample.count, _CONTROLS)) > _MOST_CONTROLS * len(sample)


def _explain_undecodable(path: Path, content: bytes, at: int, encoding: str) -> str:
    """Explain which byte does not fit the encoding, with the encoding that the file seems to have."""
    number = content.count(b"\n", 0, at) + 1
    where = f"byte {at:,} (0x{content[at]:02x}, line {number:,}) is not {encoding.upper()}"
    guess = text_encoding.guess(content)
    line = content[content.rfind(b"\n", 0, at) + 1 : at + 12].decode(guess, "replace")
    shown = "".join(char if char.isprintable() else " " for char in line)[-24:].strip()
    return (
        f"{where}; text is UTF-8 unless data.encoding says another; this may be {guess} ('…{shown}…'): "
        f"--set data.encoding={guess}"
    )
