"""What each run came to, as `ftapp runs --json` prints it, without reading again what has not changed.

The rows of runs that have ended are kept in one file of the cache for each folder of runs. A kept row counts only while
the run's files are the same ones, unchanged, and while the code that made it is. So nothing has to be told to the file:
rows of deleted runs leave it when it is written next, and of two commands that write it at once the last one wins.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ftapp.common import cache_files, user_folders
from ftapp.common.errors import RunError
from ftapp.common.safe_files import UNREADABLE
from ftapp.runs import annotation
from ftapp.runs.recipe_facts import read_recipe_facts
from ftapp.runs.run_filter import Facts
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_folders

_FILES = ("events.jsonl", "recipe.toml", "environment.json", annotation.FILE)  # of a run, from which its row is made
_ROOMS = ("common", "recipe", "runs")  # whose code makes rows
_SETTLED = 2 * 10**9  # nanoseconds; a file system may give two changes within some milliseconds the same time
_MOST = 2**27  # bytes of all kept rows, the newest first: some 3 KiB each, 10 KiB of a run with 100 evaluations

_Signature = tuple[int, ...]
_Row = dict[str, Any]


class _Kept(msgspec.Struct, frozen=True):
    """The content of the file.

    Attributes:
        code: Identifies the code that made the rows.
        rows: By the name of the run's folder: the signature of its files, and the row.
    """

    code: str
    rows: dict[str, tuple[_Signature, msgspec.Raw]]


def read_rows(folder: Path, clock: Callable[[], int] = time.time_ns) -> list[_Row]:
    """Read the rows of all runs in a folder, the newest first.

    Args:
        folder: The folder of runs; it need not exist.
        clock: Returns the time in nanoseconds since the Unix epoch.

    Returns:
        For each run the name of its folder, its status, its recipe, its tags and note, its place in an experiment,
        damage, and its results.
    """
    file, code = _find_file(folder), _identify_code()
    former = _load(file, code)
    rows: list[_Row] = []
    kept: dict[str, tuple[_Signature, msgspec.Raw]] = {}
    room = _MOST
    for name in list_folders(folder):
        now, (signature, newest) = clock(), _sign(f"{folder}/{name}")
        known = former.get(name)
        raw: msgspec.Raw | None
        if known and known[0] == signature:
            row, raw = msgspec.msgpack.decode(known[1], type=_Row), known[1]
        else:
            row, has_ended = _make_row(RunFolder(folder / name))
            raw = _encode(row) if has_ended and newest < now - _SETTLED else None
        rows.append(row)
        if raw is not None and len(raw) <= room:
            room -= len(raw)
            kept[name] = signature, raw
    if file and {name: each[0] for name, each in kept.items()} != {name: each[0] for name, each in former.items()}:
        cache_files.keep(file, msgspec.msgpack.encode(_Kept(code, kept)))
    return rows


def _make_row(run: RunFolder) -> tuple[_Row, bool]:
    """Make a run's row, and tell whether its last event is in it: only then it follows from the run's files alone."""
    from ftapp.runs import outcome  # here, since kept rows need none of it

    history, facts, damage = run.history(), run.environment(), run.damage()
    written, recipe = annotation.load(run.folder), read_recipe_facts(run.recipe_file)
    row = {
        "run": run.folder.name,
        "status": run.standing(history, damage),
        "place": run.leases.describe_queue(),
        "recipe": facts.get("recipe"),
        "profile": facts.get("profile"),
        "task": recipe.task,
        "model": recipe.model,
        "data": recipe.data,
        "tags": list(written.tags),
        "note": written.note,
        "owner": facts.get("owner", ""),
        **{key: facts.get(key) for key in ("experiment", "arm", "repeat", "fold")},
        "damage": damage or history.damage(),
        **history.summary(),
        **outcome.summarize_outcome(history),
    }
    return row, history.ended is not None


def _encode(row: _Row) -> msgspec.Raw | None:
    """Encode a row; None for that of a folder whose name is not UTF-8."""
    try:
        return msgspec.Raw(msgspec.msgpack.encode(row))
    except UnicodeEncodeError:
        return None


def _sign(folder: str) -> tuple[_Signature, int]:
    """Return numbers that change when a run's files do, and the time of the newest change, in nanoseconds.

    The folder is text: paths would take as long as the rest.
    """
    signature: list[int] = []
    newest = 0
    for name in _FILES:
        try:
            found = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            signature.append(-1)
            continue
        signature += [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
    return tuple(signature), newest


def _find_file(folder: Path) -> Path | None:
    """Find the file for a folder of runs; None where there is no place for a cache."""
    try:
        place = user_folders.cache() / "rows"
    except RunError:
        return None
    return place / hashlib.blake2b(os.fsencode(folder.absolute()), digest_size=8).hexdigest()


def _load(file: Path | None, code: str) -> dict[str, tuple[_Signature, msgspec.Raw]]:
    content = cache_files.load(file) if file else None
    if content is None:
        return {}
    try:
        kept = msgspec.msgpack.decode(content, type=_Kept)
    except UNREADABLE:
        return {}
    return kept.rows if kept.code == code else {}


def _identify_code() -> str:
    """Identify the source files that rows are made by: another version of ftapp may see a result in another light."""
    package = Path(__file__).parent.parent
    found = [
        (entry.path, entry.stat().st_mtime_ns, entry.stat().st_size)
        for room in _ROOMS
        for entry in os.scandir(package / room)
        if entry.name.endswith(".py")
    ]
    return hashlib.blake2b(repr(sorted(found)).encode(), digest_size=8).hexdigest()


def list_filter_facts(row: _Row) -> Facts:
    """List what a filter can test of a row (`ftapp.runs.run_filter`)."""
    return {
        **{name: row[name] for name in ("run", "recipe", "status", "task", "model", "data", "note", "owner")},
        **{name: row[name] for name in ("experiment", "arm", "repeat", "fold", "steps", "seconds")},
        "profile": row["profile"] or "standard",
        "tag": tuple(row["tags"]),
        "share": row["trainable_share"],
        **row["metrics"],
    }
