"""The trash on the command line: `ftapp runs --deleted`, `--restore` and `--empty-trash`."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from ftapp.cli.failure import refuse_bad_recipes
from ftapp.common import formatting, user_folders
from ftapp.common.errors import RunError
from ftapp.common.tables import Column, print_table, print_text
from ftapp.experiments import trash
from ftapp.experiments.trash import Deleted


def run(runs_dir: Path | None, restored: str | None, *, empty: bool, as_json: bool) -> int:
    """List deleted runs, restore one, or remove all of them for good.

    Args:
        runs_dir: The folder of all runs, if one is chosen.
        restored: The deleted run to restore, if any.
        empty: Whether all of them are removed first.
        as_json: Whether the list is printed as JSON.

    Returns:
        The exit code: 1 when something could not be restored or removed.
    """
    folder = user_folders.runs(runs_dir)
    if restored is not None:
        return _restore(restored, folder)
    failed: list[str] = []
    if empty:
        trash.empty(folder, failed=lambda place, error: failed.append(f"{place} is not removed: {error.strerror}"))
    rows = [(found, found.size) for found in trash.list_deleted(folder)]
    if as_json:
        print(json.dumps([{"run": str(found.place), "deleted": found.time, "bytes": size} for found, size in rows]))
    else:
        _print_rows(rows)
    for message in failed:
        print_text(message, sys.stderr)
    return 1 if failed else 0


def _restore(name: str, folder: Path) -> int:
    with refuse_bad_recipes():
        found = trash.find(name, folder)
    try:
        trash.restore(found)
    except RunError as error:
        print_text(str(error), sys.stderr)
        return 1
    print(found.place)
    return 0


def _print_rows(rows: list[tuple[Deleted, int]]) -> None:
    columns = [Column("deleted run", 0, least=24, is_name=True), Column("when", 2), Column("size", 1, right=True)]
    cells = [
        [found.folder.name, datetime.fromtimestamp(found.time).isoformat(" ", "minutes"), formatting.format_size(size)]
        for found, size in rows
    ]
    print_table(columns, cells)
    print()
    total = formatting.format_size(sum(size for _, size in rows))
    print_text(f"{total}; each is removed for good {trash.DAYS} days after")
