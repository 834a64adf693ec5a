"""What a class keeps when its server ends: the token that all links follow from, and the names that are taken.

It lies in the user's settings, where no process of a student can read it, in a file for each folder of runs.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common import user_folders
from ftapp.common.durable import replace_file
from ftapp.common.safe_files import UNREADABLE, read_bytes

RESERVED_SECONDS = 12 * 3600.0  # in which nobody else can take a name
_NEWS_SECONDS = 600.0  # after which a visit is written down again


class ClassRecord(msgspec.Struct):
    """The record.

    Attributes:
        token: The teacher's token; "" before there is one.
        names: When each name was seen last, in seconds since the Unix epoch, by the name without its letter case.
        guests: How many guests have had no name.
        file: Its file; None for a record that is not kept.
    """

    token: str = ""
    names: dict[str, float] = {}
    guests: int = 0
    file: Path | None = None

    @classmethod
    def load(cls, runs: Path, *, begins_anew: bool = False) -> ClassRecord:
        """Load the record of a folder of runs; an empty one where there is none that can be read.

        Args:
            runs: The folder.
            begins_anew: Whether the record is an empty one in any case, which replaces the kept one.

        Raises:
            RunError: The user has no home folder.
        """
        place = runs.resolve()
        digest = hashlib.blake2b(os.fsencode(place), digest_size=6).hexdigest()
        file = user_folders.settings() / "classes" / f"{place.name}-{digest}.json"
        record = cls()
        with suppress(OSError, *UNREADABLE):
            record = cls() if begins_anew else msgspec.json.decode(read_bytes(file), type=cls)
        record.file = file
        return record

    def is_taken(self, name: str) -> bool:
        """Tell whether a name was seen so lately that nobody else can take it."""
        return time.time() - self.names.get(name.casefold(), 0.0) < RESERVED_SECONDS

    def see(self, name: str) -> None:
        """Write down that a name is used now."""
        key, now = name.casefold(), time.time()
        if now - self.names.get(key, 0.0) > _NEWS_SECONDS:
            self.names[key] = now
            with suppress(OSError):  # it lasts until the server ends
                self.save()

    def save(self) -> None:
        """Write it, for its user alone.

        Raises:
            OSError: It cannot be written.
        """
        if self.file is None:
            return
        kept = {"token": self.token, "names": self.names, "guests": self.guests}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.parent.chmod(0o700)
        replace_file(self.file, msgspec.json.encode(kept))
