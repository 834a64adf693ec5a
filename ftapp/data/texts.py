"""`text:`: plain text for language models: a file, a folder or archive of .txt files, or a pattern: `books/*.txt`."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from contextlib import nullcontext
from pathlib import Path

from ftapp.common import downloads, local_files
from ftapp.common.downloads import Progress
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.data import file_splits, text_file, unpacked
from ftapp.data.examples import DataProblems, Texts
from ftapp.recipe import Data, sources
from ftapp.recipe.sources import Source

_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts:
    """Read each file as one text, in the order of their paths.

    Files that are called `train`, `valid`, `test` or so, or lie in folders of such names, are splits where all are.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with a download and with large files.

    Returns:
        The texts.

    Raises:
        RecipeError: A file is empty or not UTF-8, there is no file, or some are called like splits and others are not.
        RunError: A download failed.
    """
    if source.artifact:
        return _read([downloads.fetch_artifact(source.artifact, progress)], spec, DataProblems(), [], progress)
    path = Path(source.name).expanduser().absolute()
    findings, notes = DataProblems(), list[str]()
    with unpacked.open_folder(path, progress) if _has_files(path) else nullcontext(path) as opened:
        return _read(_find_paths(opened, findings, notes), spec, findings, notes, progress)


def _read(paths: list[Path], spec: Data, findings: DataProblems, notes: list[str], progress: Progress | None) -> Texts:
    texts = [normalise(text_file.read(path, findings, notes, spec.encoding, progress)) for path in paths]
    if not findings.found:
        for path, text in zip(paths, texts, strict=True):
            if not text.strip():
                findings.add(path, "this file is empty; a text has words")
    findings.check()
    given = None if spec.splits == "none" else file_splits.find(paths, findings, notes)
    names = list(file_splits.name_files(paths).values())
    return Texts(texts, given_split=given, names=names, notes=tuple(notes))


def _has_files(path: Path) -> bool:
    """Whether a path is an archive of several files; a zip file with one file is a compressed text."""
    if not sources.is_archive(path) or path.suffix.lower() != ".zip":
        return sources.is_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
            return len(names) > 1
    except (OSError, zipfile.BadZipFile):
        return False


def _find_paths(path: Path, findings: DataProblems, notes: list[str]) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        found = local_files.find_matching(path)
        if not found:
            findings.add(path, "no file matches this pattern; a source of texts has .txt files")
        return found
    files = list(local_files.walk(path, findings.add))
    found = [file for file in files if file.suffix.lower() == ".txt"]
    others = [file for file in files if file.suffix.lower() != ".txt"]
    if not found:
        kinds = sorted({file.suffix for file in others if file.suffix})
        hint = f"; name others by a pattern, such as text:{path}/*{kinds[0]}" if kinds else ""
        findings.add(path, f"this folder has no .txt file; a source of texts has some{hint}")
    elif others:
        listing = join_names([escape_unprintable(file.name) for file in others])
        notes.append(f"{format_quantity(len(others), 'file')} ignored that are no .txt: {listing}")
    return found


def normalise(text: str) -> str:
    """Prepare the text of a file, and remove the end-of-file mark of old systems.

    Args:
        text: The text.

    Returns:
        The text as models read it.
    """
    return prepare(text).rstrip("\x1a")


def prepare(text: str) -> str:
    """Prepare a text for models, in training as in prediction: `ftapp.data.encoding` encodes no other.

    Characters are composed (NFC), and lines end with one character. A space replaces each `<br />` tag, which reviews
    from web pages carry and of which a tokenizer makes four tokens. A mark replaces halves of surrogate pairs, which no
    encoding has.

    Args:
        text: The text.

    Returns:
        The text as models read it; a prepared text stays as it is.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", text))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    while "<" in text and (cleared := _BREAK.sub(" ", text)) != text:
        text = cleared
    return text
