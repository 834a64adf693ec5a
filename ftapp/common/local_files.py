"""The files in a user's folders: which of them are data, and which are debris that other programs leave there."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftapp.common import confinement
from ftapp.common.safe_files import explain_error

PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"),
)
"""Suffixes of the image files that are read, in lower case."""
NOTES = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".html", ".htm"),
    *(".log", ".ini", ".cfg", ".py", ".ipynb", ".sh", ".md5", ".sha1", ".sha256", ".url", ".lnk", ".bib"),
)
"""Suffixes of files about images, such as annotations and descriptions: never images themselves."""

_DEBRIS = {
    *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler"),  # Windows
    *("system volume information", "picasa.ini", "lost+found", "__pycache__"),
    *("@eadir", "#recycle", "#snapshot"),  # network storage
}
_DEBRIS_SUFFIXES = ("~", ".bak", ".swp", ".tmp", ".part", ".crdownload")
_NOTE_NAMES = {"readme", "license", "licence", "copying", "notice", "credits"}


@dataclass(frozen=True)
class FileKind:
    """A kind of files that are examples.

    plural: what they are called; is_example: whether a file of this name is one; is_other: whether it is none. A file
    that is neither may be one.
    """

    plural: Literal["images", "texts"]
    is_example: Callable[[str], bool]
    is_other: Callable[[str], bool]


def is_debris(name: str) -> bool:
    """Whether a file or folder of this name is hidden, a backup copy, or what file managers and archivers leave."""
    lower = name.lower()
    return lower.startswith((".", "~$", "thumbs.db:")) or lower in _DEBRIS or lower.endswith(_DEBRIS_SUFFIXES)


def is_picture(name: str) -> bool:
    """Whether a file is an image by its name."""
    return _find_suffix(name) in PICTURES


def is_note(name: str) -> bool:
    """Whether a file is about images, by its name."""
    return _find_suffix(name) in NOTES or name.lower() in _NOTE_NAMES


def is_text(name: str) -> bool:
    """Whether a file is a text by its name: it ends in .txt, or has no ending, as those of old collections."""
    suffix = _find_suffix(name)
    return suffix == ".txt" or (not suffix and name.lower() not in _NOTE_NAMES)


def _find_suffix(name: str) -> str:
    """The suffix of a file's name in lower case, as `Path.suffix` has it and in a fifth of the time."""
    at = name.rfind(".")
    return name[at:].lower() if 0 < at < len(name) - 1 else ""


IMAGES = FileKind("images", is_picture, is_note)
TEXTS = FileKind("texts", is_text, lambda name: not is_text(name))


def list_visible(folder: Path) -> list[Path]:
    """The files and folders in a folder, sorted by name, without debris. Raises OSError."""
    return sorted(path for path in folder.iterdir() if not is_debris(path.name))


def find_matching(pattern: Path) -> list[Path]:
    """The files that an absolute path with `*`, `?`, `[...]` or `**` matches, sorted, letter case aside.

    Debris is left out unless the pattern names it. Folders that cannot be read match nothing.
    """
    parts = pattern.parts
    fixed = next((number for number, part in enumerate(parts) if set("*?[") & set(part)), len(parts) - 1)
    return sorted(set(_match(Path(*parts[:fixed]), parts[fixed:])))


def _match(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    first, *rest = patterns
    try:
        entries = list(folder.iterdir()) if is_debris(first) else list_visible(folder)
    except OSError:
        return
    if first == "**":
        yield from _match(folder, rest or ["*"])
    for path in entries:
        if first == "**":
            if path.is_dir() and not path.is_symlink():
                yield from _match(path, patterns)
        elif fnmatch.fnmatchcase(path.name.lower(), first.lower()):
            if rest:
                yield from _match(path, rest)
            elif path.is_file():
                yield path


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without debris; links to folders count. Raises OSError."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if _is_folder(entry) and not is_debris(entry.name))
    return [folder / name for name in names]


def walk(folder: Path, report: Callable[[Path, str], None]) -> Iterator[Path]:
    """The files in a folder and in those below it, sorted by name, without debris; links are followed.

    report: is told of what cannot be read, with the reason: folders, links that lead nowhere or back, pipes and
    devices.
    """
    return (Path(place, name) for place, name in walk_names(folder, report))


def walk_names(folder: Path, report: Callable[[Path, str], None]) -> Iterator[tuple[str, str]]:
    """The folder and the name of each file, as `walk` has them: a million in 2 s, and in 7 s as paths."""
    yield from _walk(str(folder), report, _identify(folder.absolute().parents))


def find_broken(folder: Path) -> Iterator[tuple[Path, str]]:
    """What in a folder cannot be read, with the reason: links that lead nowhere or back, pipes and devices."""
    within = _identify((folder.absolute(), *folder.absolute().parents))
    return ((path, problem) for path in list_visible(folder) if (problem := _describe_problem(path, within)))


def _identify(folders: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((status.st_dev, status.st_ino) for status in map(Path.stat, folders))


def _describe_problem(path: Path, within: tuple[tuple[int, int], ...]) -> str:
    """Why a file or folder cannot be read, "" where it can. within: identities of the folders around it."""
    try:
        status = path.stat()
    except OSError as error:
        return _explain_missing(path, error)
    if stat.S_ISDIR(status.st_mode):
        back = (status.st_dev, status.st_ino) in within
        return "this link leads back to a folder that it lies in; remove it" if back else ""
    return "" if stat.S_ISREG(status.st_mode) else "this is a pipe or a device and no file; remove it"


def _walk(
    folder: str, report: Callable[[Path, str], None], above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, str]]:
    names: list[str] = []
    others: set[str] = set()  # what is no plain file
    try:
        found = Path(folder).stat()
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_debris(entry.name):
                    names.append(entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        others.add(entry.name)
    except OSError as error:
        report(Path(folder), f"this folder cannot be read: {explain_error(error)}")
        return
    within = (*above, (found.st_dev, found.st_ino))
    for name in sorted(names):
        if name not in others:
            yield folder, name
        elif problem := _describe_problem(path := Path(folder, name), within):
            report(path, problem)
        elif path.is_dir():
            yield from _walk(str(path), report, within)
        else:
            yield folder, name


def expand(name: str) -> Path:
    """A path with the home folder for `~` and the values of variables such as `$HOME`, unless it is there as written.

    Of a student, variables stay as they are: their values may be secrets of the server's user.

    Raises ValueError where the home folder is not known or a variable is not set, and PermissionError where the person
    is a student who may not name this path.
    """
    if "$" in name and not confinement.is_confined() and not Path(name).exists():
        name = os.path.expandvars(name)
        if unset := re.search(r"\$(\w+|\{\w+\})", name):
            raise ValueError(f"the variable {unset[0]} in '{name}' is not set; set it, or write the path in full")
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        user = Path(name).parts[0]
        raise ValueError(f"'{name}' begins with {user}, a home folder that is not known; write it in full") from error
    confinement.check(path)
    return path


def expand_home(name: str) -> Path:
    """A path with the home folder for `~`. A `~` that is no known home folder stays as it is."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - that of a Path raises an error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _explain_missing(path: Path, error: OSError) -> str:
    if path.is_symlink() and error.errno == errno.ENOENT:
        return f"this link leads to '{path.readlink()}', which does not exist; remove it, or bring back its target"
    if error.errno == errno.ELOOP:
        return "this link leads to itself; remove it"
    return f"this file cannot be read: {explain_error(error)}"
