"""The labels of a table's rows, and the classes that they name."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftapp.common.errors import quote, suggest_nearest
from ftapp.common.formatting import format_quantity
from ftapp.data import labels, table_columns
from ftapp.data.examples import DataProblems
from ftapp.data.labels import override, quote_label
from ftapp.data.table_columns import format_plain
from ftapp.data.table_rows import TableRow
from ftapp.recipe import Data

LEAVE_OUT = "to leave these rows out, --set data.skip_incomplete=true"
KINDS = {
    **{"float": "a fraction", "bool": "a truth value", "list": "a list", "bytes": "bytes"},
    **dict.fromkeys(("Object", "dict"), "an object"),
}
"""What values are called that are no text and no label, by the name of their type."""

_FEW = 3  # labels that are none of the classes, and are told one by one with their rows
_SURROGATE = re.compile("[\ud800-\udfff]")


def read(rows: Sequence[TableRow], column: str, findings: DataProblems) -> list[str]:
    """Read the names of the labels: strings, whole numbers and truth values.

    Args:
        rows: The rows of the table.
        column: The column of labels.
        findings: Gets a problem for each row with another value.

    Returns:
        A name for each row; "" where there is no label.
    """
    named: list[str] = []
    others: dict[str, list[TableRow]] = {}
    names: dict[str, str] = {}  # of the strings so far: few different ones in many rows
    for row in rows:
        value = row.values.get(column)
        if isinstance(value, str):
            if value not in names:
                names[value] = name_label(value)
            named.append(names[value])
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            named.append("")
        elif isinstance(value, int):
            named.append(format_plain(value))
        elif isinstance(value, float) and value.is_integer():
            named.append(str(int(value)))
        else:
            named.append("")
            others.setdefault(type(value).__name__, []).append(row)
    rule = "each example has one label, a name or a whole number"
    for kind, found in others.items():
        said = f"the label is {KINDS.get(kind, kind)}, such as {quote(found[0].values[column])}; {rule}"
        for row in found:
            findings.add(row.file, said, "data.label_column", row.place)
    return named


def name_label(value: object) -> str:
    """Write a value as the name of a label; a mark replaces half of a character."""
    return _SURROGATE.sub("\ufffd", format_plain(value))


def find_classes(
    path: Path, rows: Sequence[TableRow], named: Sequence[str], spec: Data, notes: list[str], findings: DataProblems
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Find the classes that labels name.

    Args:
        path: The table's file or folder.
        rows: Its rows.
        named: The label of each row.
        spec: The recipe's [data].
        notes: Gets decisions in sentences.
        findings: Gets problems, also those of labels that stand for no class.

    Returns:
        The names of the classes, and label -> position of its class.
    """
    counts = Counter(named)
    places: dict[str, list[TableRow]] = {}
    for row, name in zip(rows, named, strict=True):
        places.setdefault(name, []).append(row)
    merge = spec.merge_labels
    for trouble in labels.find_troubles(counts, spec.classes, merge=merge, leave_out=LEAVE_OUT):
        if len(trouble.labels) == 1:
            for row in places[trouble.labels[0]]:
                findings.add(row.file, trouble.message, "data.label_column", row.place)
        else:
            findings.add(path, trouble.message, "data.label_column")
    if not spec.classes and (message := labels.explain_no_classes(counts)):
        findings.add(path, message + _suggest_column(rows, spec), "data.label_column")
    findings.check()
    classes = (
        tuple(spec.classes) if spec.classes else labels.merge_labels(counts) if merge else labels.sort_labels(counts)
    )
    known = labels.find_positions(counts, classes, merge=merge)
    if len(known) < len(counts):
        _add_unknown(path, known, places, classes, findings)
    if len(classes) < 2 and not findings.found:
        message = f"every label is {quote_label(classes[0])}; classification takes at least two classes"
        findings.add(path, message + _suggest_column(rows, spec), "data.label_column")
    if said := labels.describe_numbers(known, classes):
        notes.append(said)
    if merge:
        notes.extend(labels.describe_merges(known, classes))
    return classes, known


def _suggest_column(rows: Sequence[TableRow], spec: Data) -> str:
    """Write a clause that names another column of labels; "" where none looks like one."""
    values = [row.values for row in rows]
    columns = [name for name in dict.fromkeys(name for row in values[:100] for name in row) if name]
    found = table_columns.guess(values, columns, [spec.text_column, spec.label_column]).get("data.label_column")
    return f"; {override('data.label_column', found)}" if found else ""


def _add_unknown(
    path: Path,
    known: Mapping[str, int],
    places: Mapping[str, Sequence[TableRow]],
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
    if len(more) > _FEW:
        rows = sum(len(places[label]) for label in more)
        said = f"{format_quantity(len(more), 'label')} in {format_quantity(rows, 'row')} are none of data.classes: "
        said += f"{labels.quote_labels(more)}{mend}; to take the labels as the classes, --set data.classes="
        findings.add(path, said, "data.classes")
        return
    for label in more:
        message = f"the label {quote_label(label)} is none of data.classes; {suggest_nearest(label, classes)}{mend}"
        for row in places[label]:
            findings.add(row.file, message, "data.classes", row.place)
