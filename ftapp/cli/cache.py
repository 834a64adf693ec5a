"""`ftapp cache`: the cached features on disk."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from ftapp.cli.failure import refuse
from ftapp.cli.options import JsonOption


def list_cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all cached features that no run uses.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the cached features of frozen layers, the most recently used first."""
    import time

    from ftapp.common import formatting
    from ftapp.common.errors import RunError
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.freezing import feature_cache as features

    try:
        limit = features.read_quota()
    except RunError as error:
        refuse(str(error))
    entries = features.list_entries()
    if clear:
        kept = [entry for entry in entries if not features.remove(entry)]
        for entry in kept:
            print(f"{entry.label} is not removed, since a run uses it or it is another user's", file=sys.stderr)
        entries = kept
    if as_json:
        rows = [{"label": e.label, "folder": str(e.folder), "bytes": e.size, "used": e.used} for e in entries]
        print(json.dumps({"folder": str(features.folder()), "quota": limit, "entries": rows}))
        return
    columns = [Column("features of", 0, least=16, is_name=True), Column("size", 1, right=True), Column("used", 2)]
    print_table(
        columns,
        [[e.label, formatting.format_size(e.size), formatting.format_moment(e.used, time.time())] for e in entries],
    )
    taken = sum(entry.size for entry in entries)
    print_text(f"{formatting.format_size(taken)} of {formatting.format_size(limit)} in {features.folder()}")
