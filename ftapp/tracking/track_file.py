"""How far each tracker has got with a run: the file track.json in the run's folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.safe_files import UNREADABLE, read_bytes

NAME = "track.json"


class Tracked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one tracker has got.

    Attributes:
        target: The project, the experiment or the kind of file.
        id: What identifies the run there; "" before it has begun.
        sent: The place of the last record that was sent, for each group: its step, and how many came before it there.
        place: Where people look at the run; "" before its end.
        error: Why the tracker did not get everything; "" where it did.
        status: The status of the run that was sent last; "" before its end.
    """

    target: str = ""
    id: str = ""
    sent: dict[str, tuple[int, int]] = {}
    place: str = ""
    error: str = ""
    status: str = ""


def load_tracked(folder: Path) -> dict[str, Tracked]:
    """Load how far the trackers of a run have got, by their names; nothing where no file can be read.

    Args:
        folder: The run's folder.
    """
    try:
        return msgspec.json.decode(read_bytes(folder / NAME), type=dict[str, Tracked])
    except (OSError, *UNREADABLE):
        return {}


def store_tracked(folder: Path, tracked: dict[str, Tracked]) -> None:
    """Store how far the trackers of a run have got.

    Args:
        folder: The run's folder.
        tracked: By the names of the trackers.

    Raises:
        OSError: The file cannot be written.
    """
    replace_file(folder / NAME, msgspec.json.format(msgspec.json.encode(tracked)) + b"\n")
