"""The URIs of data sources, read and checked without touching the data.

    tfds:imdb_reviews   csv:reviews.csv   jsonl:reviews.jsonl   text:book.txt   text:folder   folder:photos
    text:books/*.txt    sklearn:digits    gutenberg:11       pypi://FILE/MEMBER#sha256=HEX

`csv:`, `jsonl:` and the CSV and JSON lines members of `pypi://` take filters: `csv:reviews.csv?source=imdb` keeps the
rows whose column `source` is `imdb`. `ftapp.data` has a module for each scheme.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from ftapp import local_files
from ftapp.artifacts import Artifact
from ftapp.errors import nearest

Kind = Literal["images", "rows", "texts", "any"]

_LOCAL: dict[str, Kind] = {"csv": "rows", "jsonl": "rows", "text": "texts", "folder": "images"}
_NAMED: dict[str, Kind] = {"tfds": "any", "sklearn": "images", "gutenberg": "texts"}
_SUFFIXES: dict[str, str] = {".csv": "csv", ".jsonl": "jsonl", ".txt": "text"}
_SKLEARN = ("digits",)
_TASKS: dict[Kind, tuple[str, ...]] = {
    "images": ("image-classification",),
    "rows": ("text-classification", "causal-lm"),
    "texts": ("causal-lm",),
    "any": ("image-classification", "text-classification", "causal-lm"),
}


@dataclass(frozen=True)
class Source:
    """A data source.

    scheme: tfds, csv, jsonl, text, folder, sklearn or gutenberg; name: what follows the scheme, a path for local files;
    artifact: the file of a package index that holds the data, if any (`name` is empty then); where: column -> value
    that a row must have.
    """

    scheme: str
    name: str
    artifact: Artifact | None
    where: dict[str, str]

    @property
    def kind(self) -> Kind:
        return (_LOCAL | _NAMED)[self.scheme]


def parse(uri: str) -> Source:
    """Read a source's URI. Raises ValueError with the rule, what arrived and the nearest valid choice."""
    if uri.startswith("pypi://"):
        address, hash_mark, fragment = uri.partition("#")
        address, _, query = address.partition("?")
        artifact = Artifact.parse(address + hash_mark + fragment)
        suffix = Path(artifact.member).suffix
        if suffix not in _SUFFIXES:
            raise ValueError(f"data in a package is a .csv, .jsonl or .txt file; got '{artifact.member}'")
        return Source(_SUFFIXES[suffix], "", artifact, dict(parse_qsl(query)))
    scheme, colon, name = uri.partition(":")
    if not colon or scheme not in _LOCAL | _NAMED:
        raise ValueError(
            f"a source is SCHEME:NAME; got '{uri}'; "
            + nearest(f"{scheme}:", [*(f"{choice}:" for choice in [*_LOCAL, *_NAMED]), "pypi://"])
        )
    if not name:
        raise ValueError(f"'{scheme}:' is followed by {'a path' if scheme in _LOCAL else 'a name'}; got '{uri}'")
    if scheme == "sklearn" and name not in _SKLEARN:
        raise ValueError(f"unknown data set '{name}' of scikit-learn; {nearest(name, _SKLEARN)}")
    if scheme == "gutenberg" and not name.isdecimal():
        raise ValueError(f"'gutenberg:' is followed by a book's number, such as gutenberg:11; got '{uri}'")
    where: dict[str, str] = {}
    if scheme in ("csv", "jsonl") and not Path(name).exists():
        name, _, query = name.partition("?")
        where = dict(parse_qsl(query))
    return Source(scheme, name, None, where)


def checked(uri: str) -> str:
    """The URI with a local path made absolute, so that a run's recipe works from any folder.

    Raises ValueError when it is no source or names a local file or folder that does not exist.
    """
    try:
        return _checked(uri)
    except OSError as error:
        raise ValueError(
            f"a source is a file or folder that can be read; got '{uri}': {local_files.reason(error)}"
        ) from error


def _checked(uri: str) -> str:
    source = parse(uri)
    if source.scheme not in _LOCAL or source.artifact:
        return uri
    path = local_files.expanded(source.name).absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = local_files.readable(str(path))
        raise ValueError(f"the path {shown} is not UTF-8, in which recipes are written; rename its folders") from error
    start = len(source.scheme) + 1
    absolute = f"{uri[:start]}{path}{uri[start + len(source.name) :]}"
    if source.scheme == "text" and set("*?[") & set(source.name) and not path.exists():
        if not local_files.matching(path):
            raise ValueError(f"a pattern of texts matches at least one file; nothing matches '{source.name}'")
        return absolute
    wants_folder = source.scheme == "folder"
    if wants_folder and path.is_file():
        raise ValueError(f"'{source.name}' is a file, and images are in a folder; an archive is unpacked first")
    if not path.exists() or (wants_folder and not path.is_dir()):
        what = "folder" if wants_folder else "file"
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if siblings else f"the folder {path.parent} does not exist either"
        raise ValueError(f"there is no {what} '{source.name}'; {hint}")
    return absolute


def on_hub(uri: str) -> bool:
    """Whether a source is downloaded from a host other than a package index."""
    return uri.startswith(("tfds:", "gutenberg:"))


def conflicts(task: str, uri: str) -> Iterator[tuple[str, str]]:
    """What stands between a task and a source, as (key, message)."""
    kind = parse(uri).kind
    if task not in _TASKS[kind]:
        yield (
            "data.source",
            f"a source of {kind} serves {' and '.join(_TASKS[kind])}; the task is '{task}'; got '{uri}'",
        )
