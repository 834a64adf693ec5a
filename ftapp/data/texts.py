"""`text:`: plain text for language models; a file, a folder of .txt files or a pattern such as `books/*.txt`."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common import downloads, local_files
from ftapp.common.downloads import Progress
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.data import text_file
from ftapp.data.examples import SPLITS, DataProblems, Texts
from ftapp.recipe import Data, folder_layout
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
    findings = DataProblems()
    notes: list[str] = []
    paths = (
        [downloads.fetch_artifact(source.artifact, progress)]
        if source.artifact
        else _find_paths(source.name, findings, notes)
    )
    texts = [normalise(text_file.read(path, findings, notes, spec.encoding, progress)) for path in paths]
    if not findings.found:
        for path, text in zip(paths, texts, strict=True):
            if not text.strip():
                findings.add(path, "this file is empty; a text has words")
    findings.check()
    root = Path(os.path.commonpath([path.parent for path in paths]))
    names = [escape_unprintable(str(path.relative_to(root))) for path in paths]
    given = None if spec.splits == "none" else _find_given_split(root, names, findings, notes)
    return Texts(texts, given_split=given, names=names, notes=tuple(notes))


def _find_paths(name: str, findings: DataProblems, notes: list[str]) -> list[Path]:
    path = Path(name).expanduser().absolute()
    if path.is_file():
        return [path]
    if not path.is_dir():
        found = local_files.find_matching(path)
        if not found:
            findings.add(name, "no file matches this pattern; a source of texts has .txt files")
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


def _find_given_split(
    root: Path, names: Sequence[str], findings: DataProblems, notes: list[str]
) -> NDArray[np.int8] | None:
    """Find the splits that the files are called like, if all are and one trains.

    Raises RecipeError when only some files are called like splits.
    """
    roles = [_find_role(name) for name in names]
    if "train" not in roles or not {"validation", "test"} & set(roles):
        return None
    if not all(roles):
        stranger = names[roles.index(None)]
        like = [name for name, role in zip(names, roles, strict=True) if role]
        findings.add(
            root,
            f"{join_names(like)} are called like splits, and '{stranger}' is not; files are called like splits all or "
            "none; move that file away, name the others by a pattern, or take all files as texts to be split: "
            "--set data.splits=none",
        )
        findings.check()
    parts = [
        f"{part} from {join_names(of)}"
        for part in SPLITS
        if (of := [name for name, role in zip(names, roles, strict=True) if role == part])
    ]
    notes.append(f"splits by file: {', '.join(parts)}")
    return np.array([SPLITS[role] for role in roles if role], np.int8)


def _find_role(name: str) -> folder_layout.Role | None:
    """Find the split that a path's folders or name say."""
    path = Path(name)
    for part in (*path.parent.parts, path.stem):
        if (role := folder_layout.find_role(part)) is not None and role != "unlabelled":
            return role
    return None


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
