"""What the queue holds: its entries, the order of their turns, and how many may go on at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ftapp.common.errors import Problem, RecipeError, quote
from ftapp.common.formatting import format_ordinal, join_names
from ftapp.common.shell_variables import can_be_queued
from ftapp.runs.run_names import is_name


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A run or an experiment of the queue.

    Attributes:
        id: Its number, by which commands name it.
        label: The name of its recipe, with the profile.
        kind: Whether it is a run or an experiment.
        environment: Variables that its process gets, with those of the shell that has added it.
        on: Where a run goes (`ftapp.launchers.target`). An experiment says itself where its runs go.
        added: When it was added, in seconds since the Unix epoch.
        owner: The name of the person who has added it; "" for the user of the machine.
        job: The name of its folder among the runs or experiments; "" while it waits.
        status: Its status after its end; "" before.

    Raises:
        ValueError: The job is no name of a folder there, or a variable is none that `add` writes. All processes of a
            class can write the file, and the process of the queue is not confined as they are.
    """

    id: int
    label: str
    kind: Literal["run", "experiment"]
    environment: dict[str, str] = {}
    on: str = "local"
    added: float
    owner: str = ""
    job: str = ""
    status: str = ""

    def __post_init__(self) -> None:
        if self.job and not is_name(self.job):
            raise ValueError(f"{quote(self.job)} is no name of a run or an experiment")
        if unknown := [name for name in self.environment if not can_be_queued(name)]:
            raise ValueError(f"{quote(unknown[0])} is no variable that an entry of the queue sets")

    @property
    def waits(self) -> bool:
        """Whether it was not started yet."""
        return not self.job and not self.status

    @property
    def goes_on(self) -> bool:
        """Whether it was started and has not ended."""
        return bool(self.job) and not self.status

    def describe_status(self) -> str:
        """Describe the status in a word: waiting, running, or how it has ended."""
        return "waiting" if self.waits else self.status or "running"


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many entries may go on at once.

    Attributes:
        at_once: Of all.
        per_person: Of one person; None for any number.
    """

    at_once: int = 1
    per_person: int | None = None


class QueueState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The content of the file.

    Attributes:
        entries: The entries in their order.
        last: The number of the last entry that was added.
        paused: Whether no further entry is started.
        limits: How many entries may go on at once.
        ending: Whether the process has found nothing more to do, and ends.
    """

    entries: list[Entry] = []
    last: int = 0
    paused: bool = False
    limits: Limits = Limits()
    ending: bool = False

    def find_next(self) -> Entry | None:
        """Find the entry that may start now, if any may."""
        going = Counter(each.owner for each in self.entries if each.goes_on)
        if self.paused or going.total() >= self.limits.at_once:
            return None
        most = self.limits.per_person or self.limits.at_once
        return next((each for each in self.entries if each.waits and going[each.owner] < most), None)

    def find_place(self, owner: str) -> int:
        """Find the index for a new entry: before the entries of people who have more before them."""
        before = Counter(each.owner for each in self.entries if each.goes_on)
        rounds = []
        for index, each in enumerate(self.entries):
            if each.waits:
                rounds.append((index, before[each.owner]))
                before[each.owner] += 1
        return next((index for index, number in rounds if number > before[owner]), len(self.entries))


def describe_turn(entries: Sequence[Entry], entry: Entry) -> str:
    """Describe when the turn of an entry comes that waits, such as "3rd, after ana, ben".

    Args:
        entries: All entries in their order.
        entry: The entry.
    """
    waiting = [each for each in entries if each.waits]
    place = next((place for place, each in enumerate(waiting) if each.id == entry.id), 0)
    if not place:
        return "next"
    names = list(dict.fromkeys(filter(None, (each.owner for each in waiting[:place]))))
    return f"{format_ordinal(place + 1)}, after {join_names(names)}" if names else format_ordinal(place + 1)


def find_turn(entries: Sequence[Entry], owner: str) -> str:
    """Describe when the next turn of a person comes, as `describe_turn` does; "" where nothing of theirs waits."""
    own = next((each for each in entries if each.waits and each.owner == owner), None)
    return describe_turn(entries, own) if own else ""


def find_waiting(state: QueueState, number: int) -> Entry:
    """Find the entry of an id that waits.

    Raises:
        RecipeError: No entry of this id waits.
    """
    found: Mapping[int, Entry] = {each.id: each for each in state.entries}
    if number in found and found[number].waits:
        return found[number]
    waiting = [str(each.id) for each in state.entries if each.waits]
    rule = f"waiting: {', '.join(waiting)}" if waiting else "nothing waits"
    what = f"entry {number} is {found[number].describe_status()}" if number in found else f"there is no entry {number}"
    raise RecipeError([Problem("", "", f"{what}; {rule}")])
