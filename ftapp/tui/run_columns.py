"""The columns of the list of runs: what stands in them, how they sort, and which fit a width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textual.content import Content

from ftapp.common import formatting
from ftapp.experiments.listing import Summary
from ftapp.recipe.metrics import KNOWN, metric
from ftapp.tui.search import rank

GAP = 2  # cells between columns
_LONGEST = 40  # cells for a recipe's name
_LONGEST_METRIC, _MOST_OTHERS = 20, 8  # cells for the name of a metric, and columns of metrics that are not known
_MUTED = "$foreground-muted"
_STYLES = {
    "interrupted": _MUTED,
    "running": "$primary",
    "failed": "$error",
    "crashed": "$error",
    "damaged": "$error",
    "refused": "$error",
}


@dataclass(frozen=True)
class Column:
    """A column. width: in cells; key: what rows are sorted by, None for what a run does not have, which sorts last.

    descending: whether the first sort by it puts the largest first; right: whether it is aligned to the right.
    """

    name: str
    width: int
    cell: Callable[[Summary, float], Content]
    key: Callable[[Summary], Any]
    descending: bool = False
    right: bool = False


def status_words(summary: Summary) -> str:
    """A run's status, with how far it is in its phase while it goes on, or an experiment's with how many runs ended."""
    if summary.experiment:
        return f"running {summary.ended}/{summary.planned}" if summary.status == "running" else summary.status
    status = "paused" if summary.paused else summary.status
    goes_on = summary.status == "running" and summary.progress is not None
    return f"{status} {summary.progress:.0%}" if goes_on else f"{status} !" if summary.doubtful else status


def result_words(summary: Summary) -> list[str]:
    """What is known of a run's metrics, loss and trainable share, a part for each."""
    others = {name: value for name, value in summary.metrics.items() if name != "loss"}
    parts = [f"{metric(name).label} {metric(name).cell(value)}" for name, value in others.items()]
    if (loss := summary.metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3g}")
    if summary.share is not None:
        parts.append(f"R = {formatting.share(summary.share)}")
    return parts


def _status(summary: Summary, now: float) -> Content:
    return Content.styled(
        status_words(summary), "$warning" if summary.paused or summary.doubtful else _STYLES.get(summary.status, "")
    )


def _held_out(value: str, summary: Summary) -> Content:
    """A metric; one that is not the result on the whole test split is at rest."""
    return Content.styled(value, "" if summary.final else _MUTED)


def _recipe(summary: Summary, now: float) -> Content:
    """The recipe's name, with what tells an experiment and the runs below it from others."""
    if summary.experiment:
        return Content.assemble(("▾ ", _MUTED), (summary.recipe, "b"), (f"  {summary.planned} runs", _MUTED))
    if summary.nested:
        again = f"  repeat {summary.repeat}" if summary.repeat > 1 else ""
        return Content.assemble(("└ ", _MUTED), summary.arm or summary.recipe, (again, _MUTED))
    return Content(summary.recipe)


def _metric_column(name: str) -> Column:
    """The column of a metric."""
    found = metric(name)

    def cell(summary: Summary, now: float) -> Content:
        value = summary.metrics.get(name)
        return _held_out("" if value is None else found.cell(value), summary)

    return Column(
        found.label,
        max(7, min(_LONGEST_METRIC, len(found.label) + 1)),
        cell,
        lambda summary: summary.metrics.get(name),
        descending=not found.is_lower_better,
        right=True,
    )


COLUMNS = {
    "status": Column("status", 12, _status, lambda summary: summary.status),
    "recipe": Column("recipe", 16, _recipe, lambda summary: summary.recipe),
    "profile": Column(
        "profile",
        8,
        lambda summary, now: Content.styled(summary.profile or "", _MUTED),
        lambda summary: summary.profile,
    ),
    "started": Column(
        "started",
        15,
        lambda summary, now: Content(formatting.when(summary.created, now) if summary.created else ""),
        lambda summary: summary.created,
        descending=True,
    ),
    "duration": Column(
        "took",
        11,
        lambda summary, now: Content("" if summary.seconds is None else formatting.duration(summary.seconds)),
        lambda summary: summary.seconds,
        descending=True,
        right=True,
    ),
    "steps": Column(
        "steps",
        7,
        lambda summary, now: Content(f"{summary.steps:,}" if summary.steps < 10**6 else f"{summary.steps:.1e}"),
        lambda summary: summary.steps,
        descending=True,
        right=True,
    ),
    **{name: _metric_column(name) for name in KNOWN},
    "share": Column(
        "R",
        6,
        lambda summary, now: Content("" if summary.share is None else formatting.share(summary.share)),
        lambda summary: summary.share,
        right=True,
    ),
}
_IMPORTANCE = ("status", "recipe", "accuracy", "loss", "started", "duration", "profile", "steps", "share")


def columns_for(summaries: Iterable[Summary]) -> dict[str, Column]:
    """The columns for a list of runs: all that every list has, and one for each other metric that a run has."""
    others = dict.fromkeys(name for summary in summaries for name in summary.metrics if name not in COLUMNS)
    columns = {**COLUMNS, **{name: _metric_column(name) for name in list(others)[:_MOST_OTHERS]}}
    columns["share"] = columns.pop("share")  # stays the last one
    return columns


def fitting(width: int, columns: Mapping[str, Column] = COLUMNS) -> dict[str, Column]:
    """The most important columns that fit a width in cells, in their order; names of recipes take what room is left."""
    chosen: set[str] = set()
    left = width + GAP
    for name in (*_IMPORTANCE, *(name for name in columns if name not in _IMPORTANCE)):
        if left < columns[name].width + GAP:
            break
        left -= columns[name].width + GAP
        chosen.add(name)
    found = {name: column for name, column in columns.items() if name in chosen}
    if "recipe" in found:
        found["recipe"] = replace(found["recipe"], width=min(_LONGEST, found["recipe"].width + left))
    return found


def sort(summaries: Iterable[Summary], column: str, descending: bool) -> list[Summary]:
    """The runs in the order of a column; where they are equal, as they were; those without a value last.

    By the time of their start, the runs of an experiment stand below it, as they were started.
    """
    if column == "started":
        return _nested(list(summaries), descending)
    return _ordered(summaries, column, descending)


def column_of(name: str) -> Column:
    """The column of a name: one of every list, or that of a metric."""
    return COLUMNS.get(name) or _metric_column(name)


def _nested(summaries: Sequence[Summary], descending: bool) -> list[Summary]:
    there = {summary.run.folder.name for summary in summaries if summary.experiment}
    below: dict[str, list[Summary]] = {}
    top = []
    for summary in summaries:
        if summary.parent in there:
            below.setdefault(str(summary.parent), []).append(replace(summary, nested=True))
        else:
            top.append(summary)
    rows = []
    for summary in _ordered(top, "started", descending):
        rows += [summary, *_ordered(below.get(summary.run.folder.name, []), "started", False)]
    return rows


def _ordered(summaries: Iterable[Summary], column: str, descending: bool) -> list[Summary]:
    key = column_of(column).key
    having: list[Summary] = []
    lacking: list[Summary] = []
    for summary in summaries:
        (lacking if key(summary) is None else having).append(summary)
    return [*sorted(having, key=key, reverse=descending), *lacking]


def matching(summaries: Iterable[Summary], query: str) -> list[Summary]:
    """The runs in which each word of a query is found: in recipe, profile, status or the folder's name."""
    return [summary for summary in summaries if _rank(summary, query) is not None] if query.strip() else list(summaries)


def best(rows: Sequence[Summary], query: str) -> int:
    """The index of the row that fits a query best, by the recipe's or the folder's name first; 0 without a query."""
    ranks = [(_rank(summary, query), index) for index, summary in enumerate(rows)] if query.strip() else []
    return min(((rank, index) for rank, index in ranks if rank is not None), default=(0, 0))[1]


def _rank(summary: Summary, query: str) -> int | None:
    folder = summary.run.folder.name
    about = f"{summary.profile or 'standard'} {summary.status} {summary.arm or ''}"
    ranks = [
        rank(query, name, f"{about} {other}") for name, other in ((summary.recipe, folder), (folder, summary.recipe))
    ]
    return min((each for each in ranks if each is not None), default=None)


def line(cells: Sequence[tuple[Content, int, bool]]) -> Content:
    """Cells of given widths as one line, each cut with an ellipsis or filled up."""
    parts = []
    for content, width, right in cells:
        cut = content.truncate(width, ellipsis=True)
        space = Content(" " * (width - cut.cell_length))
        parts.append(space + cut if right else cut + space)
    return Content(" " * GAP).join(parts)
