"""Where `ftapp explain` writes: the terminal, JSON, a picture, a page, or a folder of pictures."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ftapp.cli.failure import refuse
from ftapp.common.console import PlainConsole
from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.formatting import make_one_line
from ftapp.common.safe_files import encode_line
from ftapp.common.word_shades import find_word_style
from ftapp.report import explanations as pages
from ftapp.rpc.explanation_messages import ExplainedRow
from ftapp.rpc.prediction_messages import Answer
from ftapp.runs.explanations import Explanation
from ftapp.runs.run_folder import RunFolder

_WORDS = 8  # with the largest shares, in a terminal
_NAME = 60  # characters of a text in a title
_SUFFIXES = (".png", ".svg", ".html", ".json")


class ExplanationOutput:
    """Writes explained inputs to the terminal.

    Attributes:
        wants_figures: Whether pictures of images are needed.
        on_screen: Whether the rows appear where the progress stands.
    """

    wants_figures = False
    on_screen = True

    def write(self, row: ExplainedRow, head: str) -> None:
        """Write an input.

        Args:
            row: The input.
            head: The form of the classifier.
        """
        console = PlainConsole()
        if row.problem:
            print(row.problem, file=sys.stderr)
            return
        for each in row.explanations:
            title = f"{_shorten(row.name)}: {describe_answer(row, head)}"
            if each.label and each.label != row.answer:
                title += f"; explained: {describe_explained(each, head)}"
            console.print(Text(title, "bold"))
            if not each.is_complete:
                console.print(Text(pages.UNCERTAIN))
            console.print(_shade_words(each) if each.words else Text(_describe_place(each)))
            if each.words:
                console.print(_tabulate_words(each))
            console.print()

    def close(self) -> None:
        """Write what is left, once all inputs are there."""


class _JsonLines(ExplanationOutput):
    """JSON lines on standard output."""

    on_screen = sys.stdout.isatty()

    def write(self, row: ExplainedRow, head: str) -> None:
        sys.stdout.write(encode_line(make_data(row, head)).decode())
        sys.stdout.flush()


class _File(ExplanationOutput):
    """A file for all inputs, written at the end.

    Args:
        path: The file.
        run: The run.
    """

    on_screen = False

    def __init__(self, path: Path, run: RunFolder) -> None:
        self._path, self._title = path, run.folder.name
        self._kind = path.suffix.lower()
        self._rows: list[ExplainedRow] = []
        self._head = ""
        self.wants_figures = self._kind == ".png"

    def write(self, row: ExplainedRow, head: str) -> None:
        if self._kind in (".png", ".svg"):
            self._check(row)
        if row.problem:
            print(row.problem, file=sys.stderr)
        self._rows.append(row)
        self._head = head

    def close(self) -> None:
        content = self._make_content()
        if content:
            replace_file(self._path, content)
            print(self._path)

    def _check(self, row: ExplainedRow) -> None:
        """Refuse an input that the file cannot hold.

        Raises:
            RunError: The file is of another kind, or holds another input.
        """
        suffix = ".svg" if any(each.words for each in row.explanations) else ".png"
        if row.explanations and suffix != self._kind:
            kind = "texts" if suffix == ".svg" else "images"
            raise RunError(
                f"this run's model takes {kind}, which are drawn as {suffix}; name "
                f"'{self._path.with_suffix(suffix).name}', or an .html file"
            )
        if self._rows:
            raise RunError(
                f"'{self._path.name}' holds one input, and there are several; an .html file or a folder holds all"
            )

    def _make_content(self) -> bytes:
        if self._kind == ".json":
            return _encode([make_data(row, self._head) for row in self._rows])
        rows = [row for row in self._rows if not row.problem]
        if not rows:
            return b""
        if self._kind == ".html":
            method = rows[0].explanations[0].method
            parts = (part for row in rows for part in _build_parts(row, self._head))
            return pages.build_page(self._title, method, parts).encode()
        return draw_row(rows[0], self._head)[1]


class _Folder(ExplanationOutput):
    """A folder with a picture of each input, and the data of all.

    Args:
        path: The folder.
    """

    wants_figures = True
    on_screen = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: list[dict[str, Any]] = []

    def write(self, row: ExplainedRow, head: str) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        data = make_data(row, head)
        if row.problem:
            print(row.problem, file=sys.stderr)
        else:
            name, content = draw_row(row, head)
            file = self._path / f"{len(self._data) + 1:04}-{name}"
            replace_file(file, content)
            data["file"] = file.name
        self._data.append(data)

    def close(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        replace_file(self._path / "explanations.json", _encode(self._data))
        print(self._path)


def open_output(output: Path | None, run: RunFolder, *, as_json: bool) -> ExplanationOutput:
    """Choose how explained inputs are written.

    Args:
        output: The file or folder; None for standard output.
        run: The run.
        as_json: Whether standard output gets JSON lines.

    Raises:
        typer.Exit: The file or folder cannot be written there.
    """
    if output is None:
        return _JsonLines() if as_json else ExplanationOutput()
    if output.suffix.lower() in _SUFFIXES and not output.is_dir():
        if not output.parent.is_dir():
            refuse(f"there is no folder '{output.parent}' for {output.name}")
        return _File(output, run)
    if output.suffix and not output.is_dir():
        refuse(f"'{output}' does not end in {', '.join(_SUFFIXES[:-1])} or .json; a name without an ending is a folder")
    if output.exists() and not output.is_dir():
        refuse(f"'{output}' is a file; a name without an ending is a folder")
    return _Folder(output)


def make_data(row: ExplainedRow, head: str) -> dict[str, Any]:
    """Make the data of an input, as JSON has them; `head` is the form of the classifier."""
    explanations: list[dict[str, Any]] = []
    for each in row.explanations:
        data: dict[str, Any] = {"class": each.label or None, "score": each.score, "method": each.method}
        if each.words:
            data["words"] = [{"text": word.text, "share": word.share} for word in each.words]
        if each.cells:
            data["map"] = each.cells
        if each.explained is not None:
            data["sum"] = {
                "score": each.explained,
                "baseline": each.baseline,
                "error": each.error,
                "complete": each.is_complete,
            }
        explanations.append(data)
    answer: Any = row.answer
    score: Any = next(iter(row.answer_scores), None)
    if isinstance(row.answer, tuple):
        answer, score = list(row.answer), list(row.answer_scores)
    key = "score" if head == "linear-svm" else "probability"
    return {"input": row.name, "answer": answer, key: score, "explanations": explanations, "error": row.problem or None}


def describe_answer(row: ExplainedRow, head: str) -> str:
    """Describe the answer to an input with its scores."""
    answer: Answer = row.answer
    if isinstance(answer, float | int):
        return f"{answer:.6g}"
    names = [answer] if isinstance(answer, str) else list(answer or ())
    labels = [f"{name} {_format(score, head)}" for name, score in zip(names, row.answer_scores, strict=True)]
    return ", ".join(labels) or "no label"


def describe_explained(found: Explanation, head: str) -> str:
    """Describe the output that is explained with its score."""
    return f"{found.label} {_format(found.score, head)}" if found.label else f"{found.score:.6g}"


def draw_row(row: ExplainedRow, head: str) -> tuple[str, bytes]:
    """Draw an input: the name of a file with the ending of its kind, and its content."""
    if row.figure:
        return f"{_make_file_name(Path(row.name).stem)}.png", row.figure
    explained = [(describe_explained(each, head), each) for each in row.explanations]
    return f"{_make_file_name(row.name)}.svg", pages.draw_text(explained).encode()


def _build_parts(row: ExplainedRow, head: str) -> Sequence[str]:
    explained = [(describe_explained(each, head), each) for each in row.explanations]
    return list(pages.build_explained(_shorten(row.name), describe_answer(row, head), explained))


def _encode(data: Sequence[dict[str, Any]]) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


def _format(score: float, head: str) -> str:
    return f"{score:+.2f}" if head == "linear-svm" else f"{score:.1%}"


def _make_file_name(text: str) -> str:
    return re.sub(r"\W+", "-", text)[:40].strip("-").lower() or "text"


def _shorten(text: str) -> str:
    line = make_one_line(text)
    return line if len(line) <= _NAME else f"{line[:_NAME]}…"


def _describe_place(found: Explanation) -> str:
    place = found.strongest_place
    if place is None:
        return "no part of the image speaks for it"
    across, down = (("left", "middle", "right"), ("top", "middle", "bottom"))
    where = f"{down[int(place[1] * 3)]} {across[int(place[0] * 3)]}".replace("middle middle", "middle")
    return f"most evidence: {where}, at {place[0]:.0%} of the width and {place[1]:.0%} of the height"


def _shade_words(found: Explanation) -> Text:
    text = Text()
    for word, (piece, shade) in zip(found.words, found.shades, strict=True):
        inside = piece.lstrip()
        text.append(piece[: len(piece) - len(inside)])
        text.append(inside, "dim" if word.share is None else find_word_style(shade))
    return text


def _tabulate_words(found: Explanation) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for word in found.strongest_words[:_WORDS]:
        share = word.share or 0.0
        style = find_word_style(share / max(abs(found.strongest_words[0].share or 0.0), 1e-9))
        table.add_row(Text(f"{share:+.1%}"), Text().append(make_one_line(word.text), style))
    speaks = pages.describe_for(found.label)
    table.add_row(Text(""), Text(f"+ {speaks[0]}, - {speaks[1]}", "dim"))
    return table
