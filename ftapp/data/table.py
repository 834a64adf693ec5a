"""`csv:` and `jsonl:`: a text, and for classification a label, in each row of a table.

Rows are numbered as a spreadsheet shows them: the header of a CSV file is row 1. Lines of a JSON lines file count from
1. Texts stay as they are but for `<br />` tags, which become a space, and for what no program can show: characters of
value zero and halves of characters.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.common import downloads
from ftapp.common.downloads import Progress
from ftapp.common.errors import quote, suggest_nearest
from ftapp.common.formatting import format_quantity
from ftapp.data import delimited, json_rows, labels, text_file
from ftapp.data.examples import SPLITS, TRAIN, DataProblems, Texts
from ftapp.data.labels import override, quote_label
from ftapp.data.texts import prepare
from ftapp.recipe import TASKS, Data, folder_layout
from ftapp.recipe.sources import Source

Row = tuple[str, Mapping[str, Any]]
"""The place of a row ("row 7"), and column -> value."""

_NO_TEXT = frozenset(("nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "#N/A", "#NAME?", "#REF!", "#VALUE!"))
"""Words that programs write for a missing text; fewer than for labels, since a text may be of one word."""
_FEW_LABELS = 3  # that are none of the classes, and are told one by one with their rows
_LEAVE_OUT = "to leave these rows out, --set data.skip_incomplete=true"
_SURROGATE = re.compile("[\ud800-\udfff]")
_GROUP_RULE = "each row names its group, such as a patient or a speaker"
_SUFFIXES = {".tsv": "\t", ".tab": "\t"}  # whose names say what parts fields


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts:
    """Read the texts of a table, with labels unless the task is causal-lm.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with a download and with large files.

    Returns:
        The texts.

    Raises:
        RecipeError: The file is no table; a column is missing or named twice; a row has another number of fields; JSON
            is malformed; a text or label is missing, unless `data.skip_incomplete` leaves its row out; labels look
            alike, unless they are merged or named; labels are no classes; a label is outside `data.classes`; or there
            are fewer than two classes. The error names the rows.
        RunError: A download failed.
    """
    path = downloads.fetch_artifact(source.artifact, progress) if source.artifact else Path(source.name).expanduser()
    findings = DataProblems()
    notes: list[str] = []
    labelled = TASKS[task].is_labelled
    wanted = {spec.text_column: "data.text_column", **({spec.label_column: "data.label_column"} if labelled else {})}
    for key in ("split_column", "group_column"):
        if column := getattr(spec, key):
            wanted.setdefault(column, f"data.{key}")
    content = text_file.read(path, findings, notes, spec.encoding, progress)
    if not content.strip() and not findings.found:
        findings.add(path, "this file is empty; a table has a row for each example")
    findings.check()
    rows = list((_read_csv if source.scheme == "csv" else _read_json)(path, content, wanted, notes, findings))
    if not rows and not findings.found:
        findings.add(path, "this table has no rows; it has one for each example")
    findings.check()
    if progress and len(content) >= text_file.LARGE:
        progress(f"checking the {len(rows):,} rows of {path.name}", 0, None)
    _check_columns(path, rows, {**dict.fromkeys(source.where, "data.source"), **wanted}, findings)
    findings.check()
    kept = [row for row in rows if all(_format_plain(row[1].get(key)) == value for key, value in source.where.items())]
    if not kept:
        _add_nothing_kept(path, rows, source.where, findings)
        findings.check()

    texts = [_check_text(path, place, row.get(spec.text_column), spec, findings) for place, row in kept]
    named = _read_labels(path, kept, spec.label_column, findings) if labelled else []
    whole = range(len(kept))
    if spec.skip_incomplete:
        missing = {label for label in named if label.casefold() in labels.MISSING} - set(spec.classes or ())
        whole_rows = [at for at in whole if texts[at] and not (labelled and named[at] in missing)]
        if len(whole_rows) < len(kept):
            notes.append(f"{len(kept) - len(whole_rows):,} rows left out: no text or no label in them")
        kept, texts = [kept[at] for at in whole_rows], [texts[at] for at in whole_rows]
        named = [named[at] for at in whole_rows] if labelled else []
        if not kept:
            findings.add(path, "no row has both a text and a label")
    findings.check()
    found = (row.get(spec.text_column) for _, row in kept)
    if cut := sum(not text.isascii() and bool(_SURROGATE.search(text)) for text in found if isinstance(text, str)):
        notes.append(f"{cut:,} texts hold half of a character; \ufffd stands in its place")
    given = _read_splits(path, kept, spec.split_column, notes, findings) if spec.split_column else None
    groups = _read_groups(path, kept, spec.group_column, findings) if spec.group_column else None
    findings.check()
    places = [place for place, _ in kept]
    if not labelled:
        return Texts(texts, None, (), given, places, tuple(notes), groups)
    classes, known = _find_classes(path, kept, named, spec, notes, findings)
    findings.check()
    targets = np.array([known[name] for name in named], np.int32)
    return Texts(texts, targets, classes, given, places, tuple(notes), groups)


def _read_splits(
    path: Path, rows: Sequence[Row], column: str, notes: list[str], findings: DataProblems
) -> NDArray[np.int8] | None:
    """Read the split of each row; None where all rows are for training."""
    names = _read_names(rows, column)
    roles: dict[str, int] = {}
    for name in dict.fromkeys(names):
        role = folder_layout.find_role(name, strict=True)
        if role is not None and role != "unlabelled":
            roles[name] = SPLITS[role]
    for (place, _), name in zip(rows, names, strict=True):
        if name not in roles:
            got = f"{quote_label(name)} names no split" if name else "there is no split"
            findings.add(path, f"{got}; a split is train, validation or test", "data.split_column", place)
    if findings.found:
        return None
    given = np.array([roles[name] for name in names], np.int8)
    if not (given == TRAIN).any():
        findings.add(
            path, f"no row of the column '{column}' is for training; one names the split train", "data.split_column"
        )
    sizes = [f"{name} {(given == part).sum():,}" for name, part in SPLITS.items()]
    notes.append(f"splits by the column '{column}': {', '.join(sizes)}")
    return given if given.any() else None


def _read_names(rows: Sequence[Row], column: str) -> list[str]:
    """Read the values of a column as text; "" where there is none."""
    return [_format_plain("" if row.get(column) is None else row[column]) for _, row in rows]


def _read_groups(path: Path, rows: Sequence[Row], column: str, findings: DataProblems) -> NDArray[np.int64]:
    """Number the groups of the rows."""
    names = _read_names(rows, column)
    for (place, _), name in zip(rows, names, strict=True):
        if not name:
            findings.add(path, f"there is no group; {_GROUP_RULE}", "data.group_column", place)
    if len(set(names)) == 1 and not findings.found:
        findings.add(
            path,
            f"every group is {quote_label(names[0])}; {_GROUP_RULE}, and a split needs others",
            "data.group_column",
        )
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _read_csv(
    path: Path, content: str, wanted: Mapping[str, str], notes: list[str], findings: DataProblems
) -> Iterator[Row]:
    if json_rows.is_json(content):
        findings.add(path, f"this is JSON, not CSV; {override('data.source', f'jsonl:{path}')}")
        return
    stem = Path(path.stem) if path.suffix in (".gz", ".bz2", ".xz", ".zip") else path
    table = delimited.read(content, list(wanted), _SUFFIXES.get(stem.suffix.lower()))
    for place, message in table.faults:
        findings.add(path, message, place=place)
    columns = [name for name in wanted if name in table.header]
    for name in columns:
        if (count := table.header.count(name)) > 1:
            others = [each for each in table.header if each and each not in wanted]
            mend = f", or choose another column: {override(wanted[name], others[0])}" if others else ""
            findings.add(path, f"{count} columns are named '{name}'; each column has a name of its own; rename all but "
                               f"one{mend}", wanted[name])  # fmt: skip
    if len(columns) < len(wanted) and delimited.looks_like_data(table):
        line = table.dialect.delimiter.join([*wanted, *map(str, range(len(wanted) + 1, len(table.header) + 1))])
        row = ", ".join(map(quote_label, table.header[:4]))
        findings.add(path, f"the first row looks like an example ({row}); a table begins with the names of its "
                           f"columns; put a line such as {quote_label(line)} before it",
                     next(iter(wanted.values())))  # fmt: skip
        return
    if len(columns) < len(wanted) and (at := delimited.find_header(content, wanted, table.dialect.delimiter)):
        findings.clear()
        findings.add(path, f"the names of the columns are in line {at}, below others; a table begins with them; "
                           f"tail -n +{at} {shlex.quote(path.name)} leaves the lines above out",
                     next(iter(wanted.values())))  # fmt: skip
        return
    if len(table.header) == 1 and not columns and (part := delimited.find_delimiter(table.header[0], wanted)):
        findings.clear()
        findings.add(path, f"{part!r} stands between fields, which is read only below a first line sep={part}")
        return
    if said := table.dialect.words:
        notes.append(f"read with {said}")
    if table.empty:
        notes.append(f"{format_quantity(table.empty, 'empty row')} left out")
    for number, fields in table.rows:
        yield f"row {number}", dict(zip(table.header, fields, strict=True))


def _read_json(
    path: Path, content: str, wanted: Mapping[str, str], notes: list[str], findings: DataProblems
) -> Iterator[Row]:
    found = json_rows.read(content, list(wanted))
    if found.faults and not found.rows and content.lstrip()[:1] not in ("[", "{"):
        begun = quote_label(content.strip().splitlines()[0])
        findings.add(path, f"this file begins with {begun}, which is no JSON; {override('data.source', f'csv:{path}')}")
        return
    for place, message in found.faults:
        findings.add(path, message, place=place)
    yield from found.rows


def _check_columns(path: Path, rows: list[Row], wanted: dict[str, str], findings: DataProblems) -> None:
    """Add a finding for each wanted column that no row has.

    A JSON object that alone lacks a column is found when its value is read.
    """
    columns = list(dict.fromkeys(itertools.chain.from_iterable(row for _, row in rows)))
    missing = [name for name in wanted if name not in columns]
    guesses = _guess_columns(rows, columns, [name for name in wanted if name in columns]) if missing else {}
    for name in missing:
        key = wanted[name]
        folded = {column.casefold().strip(): column for column in reversed(columns)}
        close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
        choice = folded[close[0]] if close else guesses.get(key)
        mend = suggest_nearest(name, columns) if key == "data.source" else override(key, choice) if choice else ""
        if not mend and (holder := next((key for _, row in rows for key, value in row.items()
                                         if isinstance(value, dict) and name in value), None)):  # fmt: skip
            taken = f"jq -c '.\"{holder}\"' {shlex.quote(path.name)}"
            mend = f"the objects under '{holder}' have one, and {taken} writes them a line each"
        parts = (f"there is no column '{name}'", f"the columns are {labels.quote_labels(columns)}", mend)
        findings.add(path, "; ".join(filter(None, parts)), key)


def _guess_columns(rows: list[Row], columns: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """Guess the columns that hold texts and labels: those with the longest values, and the fewest different ones."""
    sample = [row for _, row in rows[:500]]
    values = {
        name: [str(row.get(name, "")) for row in sample]
        for name in columns
        if name and name not in taken and not any(isinstance(row.get(name), dict | list) for row in sample)
    }
    if not values:
        return {}
    worded = {name: each for name, each in values.items() if any(map(str.isalpha, "".join(each)))}
    text = max(worded, key=lambda name: sum(map(len, worded[name])), default=None)
    different = {name: len(set(each)) for name, each in values.items() if 1 < len(set(each)) <= len(each) // 2}
    label = min(different, key=lambda name: different[name], default=None)
    guesses = {"data.text_column": text} if text is not None and text != label else {}
    return guesses | ({"data.label_column": label} if label is not None else {})


def _add_nothing_kept(path: Path, rows: list[Row], where: Mapping[str, str], findings: DataProblems) -> None:
    """Add a finding for the first filter of the source that leaves no row, with the nearest value."""
    left = rows
    for column, value in where.items():
        found = sorted({_format_plain(row.get(column)) for _, row in left})
        left = [row for row in left if _format_plain(row[1].get(column)) == value]
        if not left:
            findings.add(path, f"no row has {column} = '{value}'; {suggest_nearest(value, found)}")
            return


def _check_text(path: Path, place: str, value: object, spec: Data, findings: DataProblems) -> str:
    """Return a prepared text; "" where there is none, with a finding unless such rows are left out."""
    if isinstance(value, str):
        text = prepare(value)
        if text.strip() and text.strip() not in _NO_TEXT:
            return text
        got = f"{quote_label(text.strip())} stands for a missing text" if text.strip() else "the text is empty"
    elif value is None or (isinstance(value, float) and math.isnan(value)):
        got = "there is no text"
    else:
        kind = _KINDS.get(type(value).__name__, "a number")
        findings.add(path, f"the text is {kind}; each text is a string", "data.text_column", place)
        return ""
    if not spec.skip_incomplete:
        findings.add(path, f"{got}; each example has a text; {_LEAVE_OUT}", "data.text_column", place)
    return ""


def _read_labels(path: Path, rows: Sequence[Row], column: str, findings: DataProblems) -> list[str]:
    """Read the names of the labels: strings, and whole numbers and truth values of JSON; "" for none."""
    named: list[str] = []
    others: dict[str, list[tuple[str, object]]] = {}
    names: dict[str, str] = {}  # of the strings so far: few different ones in many rows
    for place, row in rows:
        value = row.get(column)
        if isinstance(value, str):
            if value not in names:
                names[value] = _SURROGATE.sub("\ufffd", _format_plain(value))
            named.append(names[value])
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            named.append("")
        elif isinstance(value, int):
            named.append(_format_plain(value))
        elif isinstance(value, float) and value.is_integer():
            named.append(str(int(value)))
        else:
            named.append("")
            others.setdefault(type(value).__name__, []).append((place, value))
    rule = "each example has one label, a name or a whole number"
    for kind, found in others.items():
        said = f"the label is {_KINDS[kind]}, such as {quote(found[0][1])}; {rule}"
        for place, _ in found:
            findings.add(path, said, "data.label_column", place)
    return named


_KINDS = {"float": "a fraction", "bool": "a truth value", "list": "a list", "Object": "an object"}


def _find_classes(
    path: Path, rows: Sequence[Row], named: Sequence[str], spec: Data, notes: list[str], findings: DataProblems
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Find the classes, and label -> position of its class; labels that stand for none are findings."""
    counts = Counter(named)
    places: dict[str, list[str]] = {}
    for (place, _), name in zip(rows, named, strict=True):
        places.setdefault(name, []).append(place)
    merge = spec.merge_labels
    for trouble in labels.find_troubles(counts, spec.classes, merge=merge, leave_out=_LEAVE_OUT):
        if len(trouble.labels) == 1:
            for place in places[trouble.labels[0]]:
                findings.add(path, trouble.message, "data.label_column", place)
        else:
            findings.add(path, trouble.message, "data.label_column")
    if not spec.classes and (message := labels.explain_no_classes(counts)):
        columns = [name for name in dict.fromkeys(name for _, row in rows[:100] for name in row) if name]
        guess = _guess_columns(list(rows), columns, [spec.text_column, spec.label_column]).get("data.label_column")
        mend = f"; {override('data.label_column', guess)}" if guess else ""
        findings.add(path, message + mend, "data.label_column")
    findings.check()
    classes = (
        tuple(spec.classes) if spec.classes else labels.merge_labels(counts) if merge else labels.sort_labels(counts)
    )
    known = labels.find_positions(counts, classes, merge=merge)
    if len(known) < len(counts):
        _add_unknown(path, known, places, classes, findings)
    if len(classes) < 2 and not findings.found:
        columns = [each for each in rows[0][1] if each]
        guess = _guess_columns(list(rows), columns, [spec.text_column, spec.label_column]).get("data.label_column")
        mend = f"; {override('data.label_column', guess)}" if guess else ""
        findings.add(path, f"every label is {quote_label(classes[0])}; classification takes at least two classes{mend}",
                     "data.label_column")  # fmt: skip
    if said := labels.describe_numbers(known, classes):
        notes.append(said)
    if merge:
        notes.extend(labels.describe_merges(known, classes))
    return classes, known


def _add_unknown(
    path: Path,
    known: Mapping[str, int],
    places: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    findings: DataProblems,
) -> None:
    """Add findings for labels that are none of data.classes: one where all or many are, else one a label."""
    found = labels.sort_labels(places)
    if not known:
        said = f"the labels are {labels.quote_labels(found)}, and data.classes has {len(classes)} other names, "
        said += labels.quote_labels(classes)
        if all(labels.parse_whole(label) is not None for label in found):
            said += "; names of numbers count from 0 or from 1, one name for each number that occurs"
        findings.add(path, f"{said}; to take the labels as the classes, --set data.classes=", "data.classes")
        return
    more = [label for label in found if label not in known]
    mend = f"; to add {'it' if len(more) == 1 else 'them'}, {labels.override_classes([*classes, *more], ordered=True)}"
    if len(more) > _FEW_LABELS:
        rows = sum(len(places[label]) for label in more)
        said = f"{format_quantity(len(more), 'label')} in {format_quantity(rows, 'row')} are none of data.classes: "
        said += f"{labels.quote_labels(more)}{mend}; to take the labels as the classes, --set data.classes="
        findings.add(path, said, "data.classes")
        return
    for label in more:
        message = f"the label {quote_label(label)} is none of data.classes; {suggest_nearest(label, classes)}{mend}"
        for place in places[label]:
            findings.add(path, message, "data.classes", place)


def _format_plain(value: object) -> str:
    """Write a value as labels and filters do: truth values as in JSON, others without space around them."""
    return (str(value).lower() if isinstance(value, bool) else str(value)).strip()
