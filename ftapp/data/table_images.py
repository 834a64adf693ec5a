"""The images of a table's rows: paths of files, or the bytes of files as Parquet holds them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftapp.common import local_files, safe_files
from ftapp.common.errors import suggest_nearest
from ftapp.data import image_files, table_labels
from ftapp.data.examples import DataProblems
from ftapp.data.image_check import CheckedImages
from ftapp.data.image_examination import Content
from ftapp.data.labels import quote_label
from ftapp.data.table_rows import TableRow
from ftapp.recipe import Data

_KEY = "data.image_column"
_MISSING = "there is no file at this path"
NO_IMAGE = "there is no image"
_NAMES = 2000  # files in a folder that a missing one is compared with


class TableImage(NamedTuple):
    """The image of a row.

    Attributes:
        content: The file, or its bytes.
        name: Its name in messages.
        problem: Why it cannot be read; "" where that is not known.
    """

    content: Content
    name: str
    problem: str


def find(
    rows: Sequence[TableRow], places: Sequence[str], spec: Data, findings: DataProblems
) -> list[TableImage | None]:
    """Find the image of each row.

    Args:
        rows: The rows.
        places: The name of each row in messages.
        spec: The recipe's [data].
        findings: Gets problems of rows without an image, unless `data.skip_incomplete` leaves them out, and of files
            that are not there, unless `data.skip_broken` does.

    Returns:
        A file for each row, with a problem where it is not there; None where there is no image.
    """
    files: list[TableImage | None] = []
    missing: list[tuple[TableRow, str]] = []
    for row, place in zip(rows, places, strict=True):
        value = row.values.get(spec.image_column)
        content, name = find_content(value, row.file.parent)
        if content is None:
            files.append(None)
            _refuse(row, value, spec, findings)
            continue
        is_there = isinstance(content, bytes) or safe_files.is_file(content)
        files.append(TableImage(content, f"{place}, {name}" if name else place, "" if is_there else _MISSING))
        if not is_there:
            missing.append((row, name))
    if missing and not spec.skip_broken:
        message = _explain_missing(*missing[0])
        for row, _ in missing:
            findings.add(row.file, message, _KEY, row.place)
    return files


def find_content(value: Any, folder: Path) -> tuple[Path | bytes | None, str]:
    """Find the image that a value of a table is.

    Args:
        value: The value.
        folder: The folder of the table, to which paths are relative.

    Returns:
        The path of a file, or the bytes of one; None where the value is no image. And its name, as the table has it.
    """
    name = value if isinstance(value, str) else ""
    if isinstance(value, dict) and {"bytes", "path"} & value.keys():  # as the library `datasets` writes images
        name = value.get("path") or ""
        value = value.get("bytes") or name
    if isinstance(value, str) and value.strip():
        return folder / value, name
    return (value, name) if isinstance(value, bytes) and value else (None, name)


def describe_lack(value: object) -> str:
    """Say why a value, of which `find_content` makes nothing, is no image."""
    if value is None or value in ("", b"") or (isinstance(value, float) and math.isnan(value)):
        return NO_IMAGE
    kind = table_labels.KINDS.get(type(value).__name__, "a number")
    return f"the image is {kind}; an image is the path of a file, or its bytes in a Parquet file"


def _refuse(row: TableRow, value: object, spec: Data, findings: DataProblems) -> None:
    """Add a finding for a value that is no image, unless there is none and such rows are left out."""
    lack = describe_lack(value)
    if lack != NO_IMAGE:
        findings.add(row.file, lack, _KEY, row.place)
    elif not spec.skip_incomplete:
        findings.add(row.file, f"{lack}; each example has one; {table_labels.LEAVE_OUT}", _KEY, row.place)


def _explain_missing(row: TableRow, name: str) -> str:
    if "://" in name:
        return f"{quote_label(name)} is an address; images are files; download them, and name their paths"
    path = row.file.parent / name
    try:
        beside = [each.name for each in itertools.islice(local_files.list_visible(path.parent), _NAMES)]
        hint = f"; {suggest_nearest(path.name, beside)}" if beside else ""
    except (OSError, ValueError):
        hint = ""
    rule = f"paths are relative to the table's folder, {row.file.parent}"
    return f"there is no file {quote_label(name)}{hint}; {rule}; {image_files.LEAVE_OUT}"


def report_broken(
    checked: CheckedImages,
    images: Sequence[TableImage],
    rows: Sequence[TableRow],
    spec: Data,
    notes: list[str],
    findings: DataProblems,
) -> None:
    """Report the rows whose images cannot be decoded.

    Args:
        checked: What the check of the images found.
        images: The image of each row.
        rows: The rows.
        spec: The recipe's [data].
        notes: Gets a sentence about images that are left out.
        findings: Gets problems of other images, unless `data.skip_broken` leaves them out.
    """
    if spec.skip_broken:
        if checked.problems:
            notes.append(image_files.describe_broken(checked, lambda at: images[at].name))
        return
    for at, problem in sorted(checked.problems.items()):
        message = f"this image cannot be decoded: {problem}; {image_files.LEAVE_OUT}"
        findings.add(rows[at].file, message, _KEY, rows[at].place)
