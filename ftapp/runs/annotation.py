"""What a user writes about a run: its tags and its note, a file in the run's folder.

The run's own process neither reads nor writes the file, so they can change while the run trains. An experiment has such
a file too, which its new runs start with.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError, quote
from ftapp.common.locks import hold_lock
from ftapp.common.safe_files import UNREADABLE, explain_error, read_bytes

FILE = "annotations.json"

_TAG = re.compile(r"\w[\w.:/+-]{0,39}")
_LONGEST_NOTE = 2000  # characters
_MOST_TAGS = 50


class Annotations(msgspec.Struct, frozen=True, kw_only=True):
    """The tags and the note of a run.

    Attributes:
        tags: The tags, in the order in which they were added.
        note: The note; "" for none.
    """

    tags: tuple[str, ...] = ()
    note: str = ""

    def __bool__(self) -> bool:
        return bool(self.tags or self.note)


NOTHING = Annotations()
"""No tag and no note."""


def make_annotations(tags: Sequence[str] = (), note: str | None = None) -> Annotations:
    """Make the annotations of a new run.

    Args:
        tags: Its tags.
        note: Its note, if any.

    Raises:
        RunError: A tag or the note is not valid.
    """
    return _apply(NOTHING, tags, (), note)


def load(folder: Path) -> Annotations:
    """Read the tags and the note of a run or an experiment; none where the file is not there or is damaged.

    Args:
        folder: Its folder.
    """
    try:
        found = msgspec.json.decode(read_bytes(folder / FILE), type=Annotations)
    except (OSError, *UNREADABLE):
        return NOTHING
    return Annotations(tags=tuple(filter(_TAG.fullmatch, found.tags)), note=found.note)


def store(folder: Path, annotations: Annotations) -> None:
    """Write tags and a note into the folder of a new run or experiment. Without any, there is no file.

    Raises:
        OSError: The folder cannot be written.
    """
    if annotations:
        replace_file(folder / FILE, msgspec.json.format(msgspec.json.encode(annotations)) + b"\n")


def change(
    folder: Path, *, add: Sequence[str] = (), remove: Iterable[str] = (), note: str | None = None
) -> Annotations:
    """Change the tags and the note of a run or an experiment. Changes of several processes at once all last.

    Args:
        folder: Its folder.
        add: Tags to add. Those that it has already stay.
        remove: Tags to remove.
        note: Another note, "" to remove the note; None to leave it.

    Returns:
        The tags and the note from now on.

    Raises:
        RunError: A tag or the note is not valid, a tag to remove is not there, or the folder cannot be written.
    """
    try:
        with hold_lock(folder, fcntl.LOCK_EX):
            changed = _apply(load(folder), add, remove, note)
            if changed:
                store(folder, changed)
            else:
                (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{folder / FILE} cannot be written: {explain_error(error)}") from error
    return changed


def split_tags(text: str) -> list[str]:
    """Split tags that are separated by spaces or commas."""
    return text.replace(",", " ").split()


def _apply(former: Annotations, add: Sequence[str], remove: Iterable[str], note: str | None) -> Annotations:
    removed = set(remove)
    for tag in (*add, *removed):
        _check_tag(tag)
    if missing := sorted(removed - set(former.tags)):
        have = f"its tags are {', '.join(former.tags)}" if former.tags else "it has no tags"
        raise RunError(f"the run has no tag '{missing[0]}' to remove; {have}")
    tags = tuple(dict.fromkeys(tag for tag in (*former.tags, *add) if tag not in removed))
    if len(tags) > _MOST_TAGS:
        raise RunError(f"{len(tags)} tags are too many; a run has at most {_MOST_TAGS}")
    return Annotations(tags=tags, note=former.note if note is None else _check_note(note))


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise RunError(
            f"{quote(tag)} is not a tag; a tag is one word of at most 40 letters, digits, and . _ - + : / behind the "
            "first, such as night or lr-1e-4"
        )


def _check_note(note: str) -> str:
    text = note.strip()
    if len(text) > _LONGEST_NOTE:
        raise RunError(f"the note has {len(text):,} characters; a note has at most {_LONGEST_NOTE:,}")
    if wrong := next((char for char in text if not (char.isprintable() or char in "\n\u200c\u200d")), None):
        raise RunError(f"the note has the character {wrong!a}; a note is text in lines")
    return text
