"""`text:`: plain text for language models; a file, a folder of .txt files or a pattern such as `books/*.txt`."""

from __future__ import annotations

import re
from pathlib import Path

from ftapp import fetch
from ftapp.data.examples import Findings, Texts
from ftapp.fetch import Progress
from ftapp.recipe import Data
from ftapp.sources import Source

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts:
    """Each file as one text, in the order of their paths.

    Raises RecipeError for files that are empty or not UTF-8, and when there is none.
    """
    findings = Findings()
    paths = [fetch.artifact(source.artifact, progress)] if source.artifact else _paths(source.name)
    if not paths:
        findings.add(source.name, "a source of texts has .txt files; there is none")
    texts = [normalised(decoded(path, findings)) for path in paths]
    if not findings.found:
        for path, text in zip(paths, texts, strict=True):
            if not text.strip():
                findings.add(path, "a text has words; this file is empty")
    findings.check()
    return Texts(texts)


def _paths(name: str) -> list[Path]:
    path = Path(name).expanduser().absolute()
    if path.is_file():
        return [path]
    root, pattern = (path, "**/*.txt") if path.is_dir() else (Path(path.anchor), str(path.relative_to(path.anchor)))
    found = root.glob(pattern)
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def decoded(path: Path, findings: Findings) -> str:
    """The text of a UTF-8 file, without a byte order mark; "" and a finding when it is not one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
        return ""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts from behind a byte order mark, of 3 bytes.
        at = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        line = content.count(b"\n", 0, at) + 1
        findings.add(path, f"text is UTF-8; byte {at} (0x{content[at]:02x}, line {line}) is not; "
                           "save the file as UTF-8")  # fmt: skip
        return ""


def normalised(text: str) -> str:
    """With line ends of one character, and without the end-of-file mark of old systems."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")


def without_breaks(text: str) -> str:
    """With a space for each `<br />`. Reviews from web pages carry them, and a tokenizer makes four tokens of each."""
    return _BREAK.sub(" ", text)
