"""The types of the values in an experiment's files, experiment.json and result.json."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from ftapp.runs.event_types import Seconds, Several, Status, Time


class _Entry(TypedDict):
    """A run of the experiment by the name of its folder."""

    arm: str
    repeat: Several
    fold: NotRequired[Several]
    values: NotRequired[dict[str, Any]]
    run: Annotated[str, msgspec.Meta(pattern=r"^[^/\x00]*[^/.\x00][^/\x00]*$")]


class _Search(TypedDict):
    """How far a sweep is: the runs that it comes to, the seconds of its search so far, and its status at its end."""

    planned: Several
    searched: Seconds
    status: NotRequired[Status]


class _Row(TypedDict):
    """A finding in words."""

    says: str
    lesson: str
    told: str
    holds: str


class _Folds(TypedDict):
    """What an arm gave over its folds in words."""

    title: str
    header: list[str]
    rows: list[list[str]]
    method: str


class _Compared(TypedDict):
    """The comparison of two arms in words."""

    verdicts: list[str]


FACTS: dict[str, Any] = {
    "recipe": str,
    "owner": str,
    "profile": str | None,
    "arms": list[str],
    "repeats": Annotated[int, msgspec.Meta(ge=1, le=10**6)],
    "folds": Annotated[int, msgspec.Meta(ge=0, le=100)],
    "jobs": Several,
    "created": Time,
    "runs": list[_Entry],
    "sweep": _Search,
    "refused": str,
    "on": str,
}
"""The facts of an experiment, by name."""

RESULT: dict[str, Any] = {
    "findings": list[_Row],
    "comparisons": list[_Compared],
    "folds": list[_Folds],
    "notes": list[str],
    "report": str | None,
    "sweep": dict[str, Any],
}
"""The parts of a result that the interface reads, by name."""
