"""The columns of the list of runs: their cells, their order, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textual.content import Content

from ftapp.common import formatting
from ftapp.experiments.listing import Summary
from ftapp.recipe.metrics import ACCURACY, LOSS, get_metric, sort_names
from ftapp.runs.run_filter import list_texts
from ftapp.tui.search import rank

GAP = 2  # cells between columns
_LONGEST = 40  # cells for a recipe's name
_LONGEST_METRIC, _MOST_OTHERS = 20, 8  # cells for the name of a metric, and columns of metrics that are not known
_MUTED = "$foreground-muted"
_STYLES = {
    "interrupted": _MUTED,
    "unfinished": _MUTED,
    "pruned": _MUTED,
    "running": "$primary",
    "waiting": "$primary",
    "failed": "$error",
    "crashed": "$error",
    "damaged": "$error",
    "refused": "$error",
}


@dataclass(frozen=True)
class RunColumn:
    """A column of the list of runs.

    Attributes:
        name: The heading.
        width: In cells.
        cell: Makes the content of a cell from a run and the time.
        key: The value that rows are sorted by; runs whose value is None come last.
        descending: Whether the first sort puts the largest value first.
        right: Whether the cells are aligned to the right.
        is_main: Whether it has the most important metric of some run.
    """

    name: str
    width: int
    cell: Callable[[Summary, float], Content]
    key: Callable[[Summary], Any]
    descending: bool = False
    right: bool = False
    is_main: bool = False


def describe_status(summary: Summary) -> str:
    """Describe a status: of a running run with its progress, of an experiment with the number of ended runs."""
    if summary.experiment:
        return f"running {summary.ended}/{summary.planned}" if summary.status == "running" else summary.status
    status = "paused" if summary.paused else summary.status
    goes_on = summary.status == "running" and summary.progress is not None
    return f"{status} {summary.progress:.0%}" if goes_on else f"{status} !" if summary.doubtful else status


def describe_results(summary: Summary) -> list[str]:
    """Describe the metrics, the loss and the trainable share of a run, as far as they are known."""
    others = {name: value for name, value in summary.metrics.items() if name != "loss"}
    parts = [f"{get_metric(name).label} {get_metric(name).format_cell(value)}" for name, value in others.items()]
    if (loss := summary.metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3g}")
    if summary.share is not None:
        parts.append(f"R = {formatting.format_share(summary.share)}")
    return parts


def _status(summary: Summary, now: float) -> Content:
    return Content.styled(
        describe_status(summary), "$warning" if summary.paused or summary.doubtful else _STYLES.get(summary.status, "")
    )


def _held_out(value: str, summary: Summary) -> Content:
    """A metric, muted unless it is the result on the whole test split."""
    return Content.styled(value, "" if summary.final else _MUTED)


def _recipe(summary: Summary, now: float) -> Content:
    """The recipe's name, with a sign for an experiment and for the runs below it."""
    if summary.experiment:
        return Content.assemble(
            ("▾ ", _MUTED), (summary.recipe, "b"), (f"  {formatting.format_quantity(summary.planned, 'run')}", _MUTED)
        )
    if summary.nested:
        again = f"  repeat {summary.repeat}" if summary.repeat > 1 else ""
        again += f"  fold {summary.fold}" if summary.fold else ""
        return Content.assemble(("└ ", _MUTED), summary.arm or summary.recipe, (again, _MUTED))
    return Content(summary.recipe)


def _metric_column(name: str) -> RunColumn:
    """The column of a metric."""
    found = get_metric(name)

    def cell(summary: Summary, now: float) -> Content:
        value = summary.metrics.get(name)
        return _held_out("" if value is None else found.format_cell(value), summary)

    return RunColumn(
        found.heading,
        max(7, min(_LONGEST_METRIC, len(found.heading) + 1)),
        cell,
        lambda summary: summary.metrics.get(name),
        descending=not found.is_lower_better,
        right=True,
    )


COLUMNS = {
    "status": RunColumn("status", 12, _status, lambda summary: summary.status),
    "recipe": RunColumn("recipe", 16, _recipe, lambda summary: summary.recipe),
    "profile": RunColumn(
        "profile",
        8,
        lambda summary, now: Content.styled(summary.profile or "", _MUTED),
        lambda summary: summary.profile,
    ),
    "started": RunColumn(
        "started",
        15,
        lambda summary, now: Content(formatting.format_moment(summary.created, now) if summary.created else ""),
        lambda summary: summary.created,
        descending=True,
    ),
    "duration": RunColumn(
        "took",
        11,
        lambda summary, now: Content("" if summary.seconds is None else formatting.format_duration(summary.seconds)),
        lambda summary: summary.seconds,
        descending=True,
        right=True,
    ),
    "steps": RunColumn(
        "steps",
        7,
        lambda summary, now: Content(f"{summary.steps:,}" if summary.steps < 10**6 else f"{summary.steps:.1e}"),
        lambda summary: summary.steps,
        descending=True,
        right=True,
    ),
    LOSS.name: _metric_column(LOSS.name),
    ACCURACY.name: replace(_metric_column(ACCURACY.name), is_main=True),
    "share": RunColumn(
        "R",
        6,
        lambda summary, now: Content("" if summary.share is None else formatting.format_share(summary.share)),
        lambda summary: summary.share,
        right=True,
    ),
}
TAGS = RunColumn(
    "tags",
    14,
    lambda summary, now: Content.styled(" ".join(summary.written.tags), "$accent"),
    lambda summary: summary.written.tags or None,
)
OWNER = RunColumn(
    "owner",
    10,
    lambda summary, now: Content.styled(summary.owner, _MUTED),
    lambda summary: summary.owner or None,
)
_BEFORE_TAGS = ("status", "recipe", "profile")
_FIRST = ("status", "recipe")
_IMPORTANCE = ("owner", "loss", "started", "tags", "duration", "profile", "steps", "share")


def list_columns(summaries: Sequence[Summary]) -> dict[str, RunColumn]:
    """List the columns for some runs: those that every list has, and one for each other metric.

    Where runs have other metrics and none has an accuracy, there is no column for it. There are columns of
    owners and of tags where a run has one.
    """
    measured = [sort_names(name for name in summary.metrics if name != LOSS.name) for summary in summaries]
    main = {names[0] for names in measured if names} or {ACCURACY.name}
    others = dict.fromkeys(name for names in measured for name in names if name not in COLUMNS)
    columns = {**COLUMNS, **{name: _metric_column(name) for name in list(others)[:_MOST_OTHERS]}}
    first: dict[str, RunColumn] = {"owner": OWNER} if any(summary.owner for summary in summaries) else {}
    first |= {"tags": TAGS} if any(summary.written.tags for summary in summaries) else {}
    columns = {**{name: columns[name] for name in _BEFORE_TAGS}, **first, **columns}
    if others and not any(ACCURACY.name in names for names in measured):
        del columns[ACCURACY.name]
    columns = {name: replace(column, is_main=name in main) for name, column in columns.items()}
    columns["share"] = columns.pop("share")  # stays the last one
    return columns


def select_columns(width: int, columns: Mapping[str, RunColumn] = COLUMNS) -> dict[str, RunColumn]:
    """Select the most important columns that fit.

    Args:
        width: The width of the list in cells.
        columns: The columns to select from.

    Returns:
        The columns by name, in their order. The column of recipes takes the remaining space.
    """
    chosen: set[str] = set()
    left = width + GAP
    first = dict.fromkeys((*_FIRST, *(name for name, column in columns.items() if column.is_main), *_IMPORTANCE))
    for name in dict.fromkeys(name for name in (*first, *columns) if name in columns):
        if left < columns[name].width + GAP:
            break
        left -= columns[name].width + GAP
        chosen.add(name)
    found = {name: column for name, column in columns.items() if name in chosen}
    if "recipe" in found:
        found["recipe"] = replace(found["recipe"], width=min(_LONGEST, found["recipe"].width + left))
    return found


def sort(summaries: Iterable[Summary], column: str, descending: bool) -> list[Summary]:
    """Sort runs by a column. Equal runs keep their order; runs without a value come last.

    Args:
        summaries: The runs and experiments.
        column: The name of the column. By `started`, the runs of an experiment stand below it, in order.
        descending: Whether the largest value comes first.
    """
    if column == "started":
        return _nest(list(summaries), descending)
    return _order(summaries, column, descending)


def get_column(name: str) -> RunColumn:
    """Get the column of a name: one of every list, or that of a metric."""
    return {"tags": TAGS, "owner": OWNER, **COLUMNS}.get(name) or _metric_column(name)


def _nest(summaries: Sequence[Summary], descending: bool) -> list[Summary]:
    there = {summary.run.folder.name for summary in summaries if summary.experiment}
    below: dict[str, list[Summary]] = {}
    top = []
    for summary in summaries:
        if summary.parent in there:
            below.setdefault(str(summary.parent), []).append(replace(summary, nested=True))
        else:
            top.append(summary)
    rows = []
    for summary in _order(top, "started", descending):
        rows += [summary, *_order(below.get(summary.run.folder.name, []), "started", False)]
    return rows


def _order(summaries: Iterable[Summary], column: str, descending: bool) -> list[Summary]:
    key = get_column(column).key
    having: list[Summary] = []
    lacking: list[Summary] = []
    for summary in summaries:
        (lacking if key(summary) is None else having).append(summary)
    return [*sorted(having, key=key, reverse=descending), *lacking]


def find_best(rows: Sequence[Summary], words: str) -> int:
    """Find the index of the row that fits words best, by recipe and folder first; 0 without words."""
    ranks = [(_rank(summary, words), index) for index, summary in enumerate(rows)] if words else []
    return min(((rank, index) for rank, index in ranks if rank is not None), default=(0, 0))[1]


def _rank(summary: Summary, words: str) -> int | None:
    """Rank a row by its recipe or its folder, whichever fits better; None where the words are nowhere."""
    about = " ".join(list_texts(summary.list_filter_facts()))
    ranks = [rank(words, name, about) for name in (summary.recipe, summary.run.folder.name)]
    return min((each for each in ranks if each is not None), default=None)


def join_cells(cells: Sequence[tuple[Content, int, bool]]) -> Content:
    """Join cells to a line.

    Args:
        cells: The content, the width and the right alignment of each cell. Longer content is cut with an ellipsis.
    """
    parts = []
    for content, width, right in cells:
        cut = content.truncate(width, ellipsis=True)
        space = Content(" " * (width - cut.cell_length))
        parts.append(space + cut if right else cut + space)
    return Content(" " * GAP).join(parts)
