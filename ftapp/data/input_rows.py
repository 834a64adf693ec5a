"""Inputs for a trained model, read one after another: texts, images, rows of tables, files of folders, pipes.

Nothing is kept, so gigabytes pass in bounded memory. An input that is damaged comes with its problem, and the others
follow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ftapp.common import local_files
from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import escape_unprintable
from ftapp.common.local_files import IMAGES, TEXTS
from ftapp.data import (
    arrow_rows,
    delimited,
    images,
    json_rows,
    table_columns,
    table_images,
    table_texts,
    text_file,
    unpacked,
)
from ftapp.data.examples import DataProblems
from ftapp.data.labels import quote_labels
from ftapp.data.text_stream import LONGEST, TextStream, explain_undecodable
from ftapp.data.texts import normalise
from ftapp.recipe import sources

Format = Literal["lines", "csv", "tsv", "jsonl", "parquet"]
"""How a file is read: a text or a path of an image a line, or as a table."""

_FORMATS: Mapping[str | None, Format] = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "arrow": "parquet"}
_DELIMITERS = {"tsv": "\t"}
_TABLES = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")


class InputRow(NamedTuple):
    """An input.

    Attributes:
        name: The input as its user knows it: the text, or the path of the image.
        place: Where it stands, such as "reviews.csv, row 7".
        content: The text; or the file of the image, or its bytes. None where there is a problem.
        kept: The values of further columns, as JSON has them.
        problem: Why there is no content; "" where there is.
    """

    name: str
    place: str
    content: str | Path | bytes | None
    kept: tuple[Any, ...] = ()
    problem: str = ""


class Input(NamedTuple):
    """A file, folder or pipe with inputs.

    Attributes:
        path: Its path.
        name: What its user calls it; "-" is a pipe.
    """

    path: Path
    name: str


@dataclass
class InputReader:
    """Reads inputs, and knows how far it is.

    Attributes:
        inputs: The files, folders and pipes in order.
        kind: What the model reads.
        column: The column of a table that holds it.
        keeps: Further columns of tables whose values come with each input.
        format: How files are read; None to tell by their names and first bytes.
        encoding: The encoding of texts.
        count: The inputs read so far.
        position: The bytes read so far.
        size: The bytes of all inputs; 0 where a pipe is among them.
    """

    inputs: Sequence[Input]
    kind: Literal["images", "texts"]
    column: str
    keeps: Sequence[str] = ()
    format: Format | None = None
    encoding: str = "utf-8"
    count: int = 0
    position: int = 0
    size: int = 0
    _done: int = field(default=0, init=False)

    def read(self) -> Iterator[InputRow]:
        """Yield the inputs in order.

        Raises:
            RecipeError: A file or folder is not there or cannot be read, or a table lacks a column.
        """
        with _without_keys(), contextlib.ExitStack() as held:
            opened = [self._open(each, held) for each in self.inputs]
            sizes = [_measure(each.path) for each in opened]
            self.size = sum(sizes) if all(each.name != "-" for each in opened) else 0
            for each, size in zip(opened, sizes, strict=True):
                for row in self._read_folder(each) if each.path.is_dir() else self._read_file(each):
                    self.count += 1
                    yield row
                self._done += size
                self.position = self._done

    def _open(self, given: Input, held: contextlib.ExitStack) -> Input:
        """Check that an input is there; of an archive, give the folder of what it holds."""
        if not given.path.exists():
            _refuse(given.name, "there is no such file or folder")
        if given.path.is_file() and sources.is_archive(given.path) and self.format is None:
            return Input(held.enter_context(unpacked.open_folder(given.path)), given.name)
        return given

    def _read_folder(self, folder: Input) -> Iterator[InputRow]:
        """Read the images or texts of a folder and of those in it: each file is an input."""
        broken: list[tuple[Path, str]] = []
        kind = IMAGES if self.kind == "images" else TEXTS
        found = False
        for path in local_files.walk(folder.path, lambda *problem: broken.append(problem)):
            if kind.is_other(path.name):
                continue
            if not kind.is_example(path.name) and (fault := images.explain_unread(path)):
                broken.append((path, fault))
            else:
                found = True
                name = str(Path(folder.name, path.relative_to(folder.path)))
                yield self._read_image(path, name) if kind is IMAGES else self._read_text(path, name)
        if not found:
            rule = "a .txt file for each text" if kind is TEXTS else "files of images"
            first = "".join(f"; '{escape_unprintable(path.name)}': {problem}" for path, problem in broken[:1])
            _refuse(
                folder.name, f"this folder has no {self.kind}; a folder holds {rule}; name the files of tables{first}"
            )
        for path, problem in broken:
            yield InputRow(name := str(Path(folder.name, path.relative_to(folder.path))), name, None, (), problem)

    def _read_image(self, path: Path, name: str) -> InputRow:
        self.position += path.stat().st_size if path.is_file() else 0
        return InputRow(name, name, path, self._no_kept())

    def _read_text(self, path: Path, name: str) -> InputRow:
        findings = DataProblems()
        text = normalise(text_file.read(path, findings, [], self.encoding))
        self.position += path.stat().st_size
        if not findings.found:
            return make_text_row(text, name, self._no_kept())
        return InputRow(name, name, None, self._no_kept(), findings.found[0].message)

    def _no_kept(self) -> tuple[None, ...]:
        return (None,) * len(self.keeps)

    def _read_file(self, file: Input) -> Iterator[InputRow]:
        guessed = _FORMATS.get(sources.guess_scheme(file.path)) if file.name != "-" else None
        is_other = self.format or guessed or file.name == "-" or file.path.suffix.lower() == ".txt"
        if self.kind == "images" and not is_other:
            yield self._read_image(file.path, file.name)
            return
        format = self.format or guessed or "lines"
        if file.name != "-" and _begins_as_table(file.path):
            yield from self._read_arrow(file)
            return
        if format == "parquet":
            _refuse(file.name, "this is no Parquet or Arrow file by its first bytes")
        with TextStream(file.path, self.encoding) as stream:
            rows = self._read_lines if format == "lines" else self._read_json if format == "jsonl" else None
            for row in rows(file, stream) if rows else self._read_csv(file, stream, _DELIMITERS.get(format)):
                self.position = self._done + stream.position
                yield row

    def _read_lines(self, file: Input, stream: TextStream) -> Iterator[InputRow]:
        for number, line in enumerate(stream.lines(LONGEST), start=1):
            place, value = _name_place(file, f"line {number}"), line.rstrip("\r\n")
            if self.kind == "texts":
                yield make_text_row(value, place, self._no_kept())
            elif value.strip():
                yield InputRow(value, place, Path(value), self._no_kept())

    def _read_csv(self, file: Input, stream: TextStream, delimiter: str | None) -> Iterator[InputRow]:
        if sources.get_inner_suffix(file.path) in (".tsv", ".tab"):
            delimiter = "\t"
        header, records = delimited.stream(stream.lines(), [self.column], delimiter)
        rows = (
            (f"row {each.number}", dict(zip(header, each.fields, strict=True)) if each.fields else None, each.fault)
            for each in records
        )
        return self._read_rows(file, rows, header)

    def _read_json(self, file: Input, stream: TextStream) -> Iterator[InputRow]:
        if stream.head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
            return self._read_rows(file, json_rows.read_list(stream.read()))
        return self._read_rows(file, json_rows.stream(stream.lines()))

    def _read_arrow(self, file: Input) -> Iterator[InputRow]:
        findings = DataProblems()
        key = "data.image_column" if self.kind == "images" else ""
        needed = {self.column: key, **dict.fromkeys(self.keeps, "")}
        rows = arrow_rows.read(file.path, needed, findings, [], names_classes=False)
        total, size = arrow_rows.count_rows(file.path), _measure(file.path)
        placed = ((place, values, "") for place, values in rows)
        for number, row in enumerate(self._read_rows(file, placed), start=1):
            self.position = self._done + (size * number // total if total else 0)
            yield row
        findings.check()

    def _read_rows(
        self, file: Input, rows: Iterable[tuple[str, Mapping[str, Any] | None, str]], header: Sequence[str] = ()
    ) -> Iterator[InputRow]:
        """Make inputs of the rows of a table: each with its place, its values, and what is wrong with it."""
        iterator = iter(rows)
        begun = list(itertools.islice(iterator, 20))
        known = list(header) or list(dict.fromkeys(name for _, row, _ in begun for name in row or ()))
        for name, option in ((self.column, "--column"), *((each, "--keep") for each in self.keeps)):
            if (count := header.count(name)) > 1:
                rule = "each column has a name of its own; rename all but one"
                _refuse(file.name, f"{count} columns are named '{name}'; {rule}")
            if not known and (fault := next((f"{place}: {fault}" for place, _, fault in begun if fault), "")):
                _refuse(file.name, f"the first rows have no columns; {fault}")
            if (begun or header) and name not in known:
                self._refuse_column(file, name, option, [row for _, row, _ in begun if row], known)
        for place, values, fault in itertools.chain(begun, iterator):
            where = _name_place(file, place)
            if values is None:
                yield InputRow("", where, None, self._no_kept(), fault)
                continue
            value, kept = values.get(self.column), tuple(values.get(name) for name in self.keeps)
            if self.kind == "texts":
                yield make_text_row(value, where, kept)
                continue
            folder = Path() if file.name == "-" else file.path.parent
            content, name = table_images.find_content(value, folder)
            problem = table_images.describe_lack(value) if content is None else ""
            yield InputRow(name or where, where, content, kept, problem)

    def _refuse_column(
        self, file: Input, name: str, option: str, rows: Sequence[Mapping[str, Any]], known: Sequence[str]
    ) -> None:
        key = "data.image_column" if self.kind == "images" else "data.text_column"
        guess = table_columns.guess(rows, known, []).get(key) if option == "--column" else None
        mend = f"; {option} {shlex.quote(guess)} names another one" if guess else f"; {option} names another one"
        listed = quote_labels(known) if known else "none"
        _refuse(file.name, f"there is no column '{name}'; the columns are {listed}{mend}")


def make_text_row(value: Any, place: str, kept: tuple[Any, ...] = ()) -> InputRow:
    """Make the input of a value that is a text, or of one that should be.

    Args:
        value: The value, as JSON has it.
        place: Where it stands.
        kept: The values of further columns.

    Returns:
        The input, with its problem where the value is no text.
    """
    name = "" if value is None else str(value)
    if problem := explain_undecodable(name):
        return InputRow(name.encode("utf-8", "replace").decode(), place, None, kept, problem)
    found = table_texts.find_text(value)
    return InputRow(name, place, found.text or None, kept, found.lack or found.fault)


def _name_place(file: Input, place: str) -> str:
    return f"{'standard input' if file.name == '-' else file.name}, {place}"


def _begins_as_table(path: Path) -> bool:
    """Tell whether a file is Parquet or Arrow by its first bytes."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(8).startswith(_TABLES)
    return False


def _measure(path: Path) -> int:
    """Count the bytes of a file, or of the files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(each.stat().st_size for each in local_files.walk(path, lambda *_: None))


def _refuse(name: str, message: str) -> None:
    raise RecipeError([Problem(name, "", message)])


@contextlib.contextmanager
def _without_keys() -> Iterator[None]:
    """Raise problems without keys of a recipe: no recipe names these inputs."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError([dataclasses.replace(each, key="") for each in error.problems]) from error
