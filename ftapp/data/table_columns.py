"""The columns of a table: those that a recipe names and the table lacks, and which others they may be."""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp.common import local_files
from ftapp.common.errors import suggest_nearest
from ftapp.data.examples import DataProblems
from ftapp.data.json_rows import Object
from ftapp.data.labels import override, quote_labels

_OF_PAIRS = ("data.prompt_column", "data.completion_column")
_USUAL = {
    "data.prompt_column": ("prompt", "question", "instruction", "input", "query", "source"),
    "data.completion_column": ("completion", "answer", "output", "response", "target", "chosen"),
    "data.chat_column": ("messages", "conversations", "conversation", "chat", "dialog", "dialogue"),
}
"""Usual names of columns that no value tells."""


def check(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, str],
    known: Collection[str],
    findings: DataProblems,
) -> None:
    """Add a finding for each wanted column that no row has.

    A JSON object that alone lacks a column is found when its value is read.

    Args:
        path: The file.
        rows: Its rows.
        wanted: Columns, each with the recipe's key that names it.
        known: The columns that a file of the table has, this one or another.
        findings: Gets the problems.
    """
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    missing = [name for name in wanted if name not in columns]
    guesses = guess(rows, columns, [name for name in wanted if name in columns]) if missing else {}
    for name in missing:
        key = wanted[name]
        folded = {column.casefold().strip(): column for column in reversed(columns)}
        close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
        choice = folded[close[0]] if close else guesses.get(key)
        if not choice and key in _OF_PAIRS and (chat := guesses.get("data.chat_column")):
            key, choice = "data.chat_column", chat
        is_listed = key in ("data.source", "data.label_columns")
        mend = suggest_nearest(name, columns) if is_listed else override(key, choice) if choice else ""
        if name in known:
            mend = "other files of the table have it; rename a column of this one, or leave the file out"
        if not mend and key == "data.text_column" and (image := guesses.get("data.image_column")):
            mend = f"the column '{image}' holds images; name a recipe for images, such as vgg16-feature-extractor"
        if not mend and (holder := next((key for row in rows for key, value in row.items()
                                         if isinstance(value, Object) and name in value), None)):  # fmt: skip
            taken = f"jq -c '.\"{holder}\"' {shlex.quote(path.name)}"
            mend = f"the objects under '{holder}' have one, and {taken} writes them a line each"
        parts = (f"there is no column '{name}'", f"the columns are {quote_labels(columns)}", mend)
        findings.add(path, "; ".join(filter(None, parts)), key)


def guess(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """Guess the columns that hold images, texts and labels.

    Images are bytes or names of pictures; texts have the longest values, and labels the fewest different ones.

    Args:
        rows: The rows of a table.
        columns: Its columns.
        taken: Columns that are none of these.

    Returns:
        Column by the recipe's key that names it, as far as there is a guess.
    """
    sample = rows[:500]
    image = next((name for name in columns if any(_looks_like_image(row.get(name)) for row in sample[:5])), None)
    values = {
        name: [str(row.get(name, "")) for row in sample]
        for name in columns
        if name
        and name not in (*taken, image)
        and not any(isinstance(row.get(name), dict | list | bytes) for row in sample)
    }
    worded = {name: each for name, each in values.items() if any(map(str.isalpha, "".join(each)))}
    text = max(worded, key=lambda name: sum(map(len, worded[name])), default=None)
    different = {name: len(set(each)) for name, each in values.items() if 1 < len(set(each)) <= len(each) // 2}
    label = min(different, key=lambda name: different[name], default=None)
    folded = {name.casefold().strip(): name for name in reversed(columns) if name not in taken}
    usual = {key: next((folded[each] for each in names if each in folded), None) for key, names in _USUAL.items()}
    guesses = {
        **usual,
        "data.image_column": image,
        "data.text_column": text if text != label else None,
        "data.label_column": label,
    }
    return {key: name for key, name in guesses.items() if name is not None}


def _looks_like_image(value: object) -> bool:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    return isinstance(value, bytes) or (isinstance(value, str) and local_files.is_picture(value))


def format_plain(value: object) -> str:
    """Write a value as labels and filters do: truth values as in JSON, others without space around them."""
    return (str(value).lower() if isinstance(value, bool) else str(value)).strip()
