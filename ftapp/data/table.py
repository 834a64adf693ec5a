"""`csv:`, `jsonl:` and `parquet:`: a text or image, a label, or a prompt with its completion in each row of a table.

Texts stay as they are but for `<br />` tags, which become a space, and for what no program can show: characters of
value zero and halves of characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.common.formatting import format_quantity
from ftapp.data import (
    file_splits,
    image_check,
    table_completions,
    table_images,
    table_rows,
    table_texts,
    table_times,
    table_weights,
)
from ftapp.data.completions import Completions
from ftapp.data.examples import SPLITS, TRAIN, DataProblems, Labels, Texts, count_classes
from ftapp.data.image_files import ImageFiles
from ftapp.data.label_readers import ClassReader, LabelReader
from ftapp.data.labels import quote_label
from ftapp.data.table_columns import format_plain
from ftapp.data.table_images import TableImage
from ftapp.data.table_numbers import NumberReader
from ftapp.data.table_rows import TableRow
from ftapp.data.table_sets import SetReader
from ftapp.data.time_splits import Times
from ftapp.recipe import TASKS, Data, folder_layout
from ftapp.recipe.sources import Source

_LABEL_READERS: Mapping[str, type[LabelReader]] = {
    "classes": ClassReader,
    "sets": SetReader,
    "numbers": NumberReader,
}
_OTHER_COLUMNS = ("split_column", "group_column", "order_column", "weight_column")
_TEXT_KEYS = ("data.text_column", "data.prompt_column", "data.completion_column")
_GROUP_RULE = "each row names its group, such as a patient or a speaker"


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts | ImageFiles:
    """Read the texts, the images, or the prompts with completions of a table, with labels where the task has some.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with a download, with large files, and with the images checked and in all.

    Returns:
        The texts or images.

    Raises:
        RecipeError: A file is no table; a column is missing or named twice; a row has another number of fields; JSON
            is malformed; a text, image or label is missing, unless `data.skip_incomplete` leaves its row out; an image
            file is missing or broken, unless `data.skip_broken` leaves it out; labels look alike, unless they are
            merged or named; labels are no classes; a label is outside `data.classes`; or there are fewer than two
            classes. The error names the rows.
        RunError: A download failed.
    """
    table = _read(spec, source, task, progress)
    if TASKS[task].inputs == "texts":
        notes = tuple(table.notes)
        texts: Texts
        if TASKS[task].labels == "completions":
            texts = Completions(table.contents, table.given, table.places, notes, table.groups)
        else:
            texts = Texts(table.contents, table.targets, table.classes, table.given, table.places, notes, table.groups)
        texts.times, texts.weights = table.times, table.weights
        return texts
    assert table.targets is not None, "images have labels"
    findings = DataProblems()
    found: Sequence[TableImage] = table.contents
    problems = {at: image.problem for at, image in enumerate(found) if image.problem}
    checked = image_check.check([image.content for image in found], problems, progress)
    table_images.report_broken(checked, found, table.rows, spec, table.notes, findings)
    whole = checked.find_whole()
    counts = zip(
        *(count_classes(part, len(table.classes)) for part in (table.targets, table.targets[whole])), strict=True
    )
    for name, (before, after) in zip(table.classes, counts, strict=True) if spec.skip_broken else ():
        if before and not after:
            said = f"none of the images of the class {quote_label(name)} can be decoded; a class has some"
            findings.add(table.root, said)
    findings.check()
    given = None if table.given is None else table.given[whole]
    groups = None if table.groups is None else table.groups[whole]
    targets = table.targets[whole]
    kept, notes = [found[at] for at in whole], tuple(table.notes)
    contents = [image.content for image in kept]
    made = ImageFiles(
        contents, lambda at: kept[at].name, checked.keep_whole(), targets, table.classes, given, notes, groups
    )
    made.times = None if table.times is None else table.times[whole]
    made.weights = None if table.weights is None else table.weights[whole]
    return made


def check(spec: Data, source: Source, task: str, progress: Progress | None = None) -> None:
    """Check a table as `read` does, without decoding its images.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with large files.

    Raises:
        RecipeError: The table cannot be used.
    """
    _read(spec, source, task, progress)


@dataclass(frozen=True)
class _Table:
    """The examples of a table.

    Attributes:
        root: The table's file or folder.
        rows: The rows.
        places: The name of each row.
        contents: The text, the image file or the exchanges of each row.
        targets: The labels, as `Examples` has them; None without labels.
        classes: The names of the classes.
        given: int8 (rows,), the split of each row; None where all are for training.
        groups: int64 (rows,), the group of each row; None where there are none.
        times: The time of each row, by which splits are cut; None where they are drawn.
        weights: float32 (rows,), by how much the loss of each row counts; None where all count the same.
        notes: Decisions in sentences.
    """

    root: Path
    rows: list[TableRow]
    places: list[str]
    contents: list[Any]
    targets: Labels | None
    classes: tuple[str, ...]
    given: NDArray[np.int8] | None
    groups: NDArray[np.int64] | None
    times: Times | None
    weights: NDArray[np.float32] | None
    notes: list[str]


def _read(spec: Data, source: Source, task: str, progress: Progress | None) -> _Table:
    findings = DataProblems()
    inputs, reader = TASKS[task].inputs, _LABEL_READERS.get(TASKS[task].labels)
    has_completions, wanted = TASKS[task].labels == "completions", _name_columns(spec, task)
    others = {column: f"data.{key}" for key in _OTHER_COLUMNS if (column := getattr(spec, key))}
    for column, key in (*(reader.name_columns(spec) if reader else {}).items(), *others.items()):
        wanted.setdefault(column, key)
    root, rows, notes = table_rows.read(spec, source, wanted, findings, progress)
    places = _name_rows(rows)
    contents = _read_contents(rows, places, spec, task, findings)
    labels = reader(root, spec, notes, findings) if reader else None
    values = labels.read(rows) if labels else []
    if spec.skip_incomplete:
        is_missing = labels.find_missing(values) if labels else [False] * len(rows)
        whole = [at for at, each in enumerate(contents) if each and not is_missing[at]]
        if len(whole) < len(rows):
            lacks = "no prompt or no completion" if has_completions else f"no {inputs[:-1]} or no label"
            gone = len(rows) - len(whole)
            notes.append(f"{format_quantity(gone, 'row')} left out: {lacks} in {'it' if gone == 1 else 'them'}")
        rows, places, contents = (
            [rows[at] for at in whole],
            [places[at] for at in whole],
            [contents[at] for at in whole],
        )
        values = [values[at] for at in whole] if labels else []
        if not rows:
            both = "a prompt" if has_completions else "an image" if inputs == "images" else "a text"
            findings.add(root, f"no row has both {both} and a {'completion' if has_completions else 'label'}")
    findings.check()
    if inputs == "texts":
        notes += table_texts.describe_halves(rows, [name for name, key in wanted.items() if key in _TEXT_KEYS])
    given = _find_splits(root, rows, spec, notes, findings)
    groups = _read_groups(root, rows, spec.group_column, findings) if spec.group_column else None
    times = table_times.read(rows, spec.order_column, findings) if spec.order_column else None
    weights = table_weights.read(rows, spec.weight_column, notes, findings) if spec.weight_column else None
    findings.check()
    targets, classes = labels.finish(rows, values) if labels else (None, ())
    return _Table(root, rows, places, contents, targets, classes, given, groups, times, weights, notes)


def _name_columns(spec: Data, task: str) -> dict[str, str]:
    """Name the columns that hold the examples, labels aside: column -> the recipe's key that names it."""
    if TASKS[task].labels == "completions":
        return table_completions.name_columns(spec)
    if TASKS[task].inputs == "images":
        return {spec.image_column: "data.image_column"}
    return {spec.text_column: "data.text_column"}


def _read_contents(
    rows: Sequence[TableRow], places: Sequence[str], spec: Data, task: str, findings: DataProblems
) -> list[Any]:
    """Read the text, the image file or the exchanges of each row; one that is false where there is none."""
    if TASKS[task].labels == "completions":
        return list(table_completions.read(rows, spec, findings))
    if TASKS[task].inputs == "images":
        return table_images.find(rows, places, spec, findings)
    return list(table_texts.read(rows, "text_column", spec, findings))


def _name_rows(rows: Sequence[TableRow]) -> list[str]:
    """Name each row by its place, and by its file where there are several."""
    files = list(dict.fromkeys(row.file for row in rows))
    if len(files) == 1:
        return [row.place for row in rows]
    names = file_splits.name_files(files)
    return [f"{names[row.file]}, {row.place}" for row in rows]


def _find_splits(
    root: Path, rows: Sequence[TableRow], spec: Data, notes: list[str], findings: DataProblems
) -> NDArray[np.int8] | None:
    """Find the split of each row, by its column or by the names of the files; None where all rows are for training."""
    if spec.split_column:
        return _read_splits(root, rows, spec.split_column, notes, findings)
    files = list(dict.fromkeys(row.file for row in rows))
    if spec.splits == "none" or (given := file_splits.find(files, findings, notes)) is None:
        return None
    part = dict(zip(files, given.tolist(), strict=True))
    return np.array([part[row.file] for row in rows], np.int8)


def _read_splits(
    root: Path, rows: Sequence[TableRow], column: str, notes: list[str], findings: DataProblems
) -> NDArray[np.int8] | None:
    """Read the split of each row; None where all rows are for training."""
    names = _read_names(rows, column)
    roles: dict[str, int] = {}
    for name in dict.fromkeys(names):
        role = folder_layout.find_role(name, strict=True)
        if role is not None and role != "unlabelled":
            roles[name] = SPLITS[role]
    for row, name in zip(rows, names, strict=True):
        if name not in roles:
            got = f"{quote_label(name)} names no split" if name else "there is no split"
            findings.add(row.file, f"{got}; a split is train, validation or test", "data.split_column", row.place)
    if findings.found:
        return None
    given = np.array([roles[name] for name in names], np.int8)
    if not (given == TRAIN).any():
        findings.add(
            root, f"no row of the column '{column}' is for training; one names the split train", "data.split_column"
        )
    sizes = [f"{name} {(given == part).sum():,}" for name, part in SPLITS.items()]
    notes.append(f"splits by the column '{column}': {', '.join(sizes)}")
    return given if given.any() else None


def _read_names(rows: Sequence[TableRow], column: str) -> list[str]:
    """Read the values of a column as text; "" where there is none."""
    values = (row.values.get(column) for row in rows)
    return ["" if value is None else format_plain(value) for value in values]


def _read_groups(root: Path, rows: Sequence[TableRow], column: str, findings: DataProblems) -> NDArray[np.int64]:
    """Number the groups of the rows."""
    names = _read_names(rows, column)
    for row, name in zip(rows, names, strict=True):
        if not name:
            findings.add(row.file, f"there is no group; {_GROUP_RULE}", "data.group_column", row.place)
    if len(set(names)) == 1 and not findings.found:
        findings.add(
            root,
            f"every group is {quote_label(names[0])}; {_GROUP_RULE}, and a split needs others",
            "data.group_column",
        )
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)
