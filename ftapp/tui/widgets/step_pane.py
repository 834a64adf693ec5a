"""What several runs had reached after the same number of steps: metrics, classes found, answers, texts written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from ftapp.common.formatting import make_one_line
from ftapp.recipe.metrics import get_metric, sort_names
from ftapp.runs.answer_events import WatchedAnswer, WatchedAnswered, WatchedExample
from ftapp.runs.class_results import fits_classes
from ftapp.runs.example_results import format_score
from ftapp.runs.history import History
from ftapp.runs.phase_events import Confused, Evaluated, Sampled
from ftapp.tui.widgets.facts import Fact, Facts
from ftapp.tui.widgets.pictures import Pictures, fit_width

_MOST_CLASSES = 12
_LONGEST_LABEL = 24  # characters
_PICTURE = 10  # columns
_Event = TypeVar("_Event", Evaluated, Confused, Sampled, WatchedAnswered)


class StepPane(VerticalScroll):
    """Shows one step of several runs side by side: the latest, unless the user goes to another."""

    DEFAULT_CSS = """
    StepPane Facts { height: auto; }
    StepPane > Pictures { display: none; }
    StepPane.-pictured > Pictures { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self._facts = Facts()
        self._heads: Fact = ("",)
        self._histories: Sequence[History] = ()
        self._chosen: int | None = None  # the step that the user has gone to; None for the latest
        self._pictured: object = None  # the pictures and the width with which they are shown

    def compose(self) -> ComposeResult:
        yield Pictures()
        yield self._facts

    def show(self, heads: Fact, histories: Sequence[History]) -> None:
        """Show these runs.

        Args:
            heads: Their names, as a row of the table.
            histories: What they have recorded.
        """
        self._heads, self._histories = heads, histories
        steps = list_steps(histories)
        self.set_class(not steps, "-empty")
        if steps:
            step = steps[self._find_place(steps)]
            self.border_title = Content(f"At step {step:,}")
            self.border_subtitle = Content(f"of {steps[-1]:,}" if len(steps) > 1 else "")
            self._facts.rows = [heads, *describe_step(histories, step)]
            examples = list_watched(histories)
            self.set_class(any(each.picture for each in examples), "-pictured")
            self.call_later(self._show_pictures, examples)  # by the pane itself, one time after another

    async def _show_pictures(self, examples: Sequence[WatchedExample]) -> None:
        """Show the pictures that all runs follow, numbered as their answers below."""
        if not any(each.picture for each in examples) or self._pictured == (shown := (examples, self.size.width)):
            return
        self._pictured = shown
        named = [(each.picture, f"{number}: {make_one_line(each.truth)}") for number, each in enumerate(examples, 1)]
        await self.query_one(Pictures).show([named], fit_width(self, len(named), _PICTURE))

    def scrub(self, by: int) -> None:
        """Go so many steps on, or back, among those at which a run was evaluated or wrote texts."""
        if steps := list_steps(self._histories):
            place = min(max(0, self._find_place(steps) + by), len(steps) - 1)
            self._chosen = None if place == len(steps) - 1 else steps[place]
            self.show(self._heads, self._histories)

    def _find_place(self, steps: Sequence[int]) -> int:
        if self._chosen is None:
            return len(steps) - 1
        return max((place for place, step in enumerate(steps) if step <= self._chosen), default=0)


def list_steps(histories: Iterable[History]) -> list[int]:
    """List the steps after which a run was evaluated during its training, or wrote texts."""
    found: set[int] = set()
    for history in histories:
        found.update(each.step for each in history.evaluations if not each.final)
        found.update(each.step for each in history.samples)
    return sorted(found)


def describe_step(histories: Sequence[History], step: int) -> list[Fact]:
    """Describe what each run had reached after so many steps, a column a run: its last evaluation and texts by then.

    Args:
        histories: What the runs have recorded.
        step: The number of steps.
    """
    evaluated = [_find_last((each for each in history.evaluations if not each.final), step) for history in histories]
    rows: list[Fact] = []
    if any(evaluated):
        rows.append(("evaluated after", *(_write(each, lambda found: f"{found.step:,}") for each in evaluated)))
    for name in sort_names(name for each in evaluated if each for name in each.values):
        metric = get_metric(name)
        write = metric.format_cell if name == "loss" else metric.format_text
        values = (None if each is None else each.value(name) for each in evaluated)
        rows.append((metric.label, *(Content("" if value is None else write(value)) for value in values)))
    described = (_describe_watched, _describe_classes, _describe_samples)
    return [*rows, *(row for describe in described for row in describe(histories, step))]


def list_watched(histories: Sequence[History]) -> list[WatchedExample]:
    """List the held-out examples that the runs follow; none where they do not follow the same ones."""
    followed = [each.watched.examples if each.watched else [] for each in histories]
    places = [[(each.example, each.truth) for each in examples] for examples in followed]
    return list(followed[0]) if followed and all(each == places[0] for each in places) else []


def _describe_classes(histories: Sequence[History], step: int) -> list[Fact]:
    """The shares of classes that were found, where all runs have the same few classes."""
    classes, *others = (each.data.classes if each.data else [] for each in histories)
    if not 0 < len(classes) <= _MOST_CLASSES or any(other != classes for other in others):
        return []
    measured = (
        (each for each in history.confusions if not each.final and fits_classes(each, history)) for history in histories
    )
    last = [_find_last(each, step) for each in measured]
    rows: list[Fact] = []
    for index, name in enumerate(classes if any(last) else ()):
        counts = (None if each is None else each.counts[index] for each in last)
        shares = (None if row is None else row[index] / max(1, sum(row)) for row in counts)
        rows.append((f"found: {name}", *(Content("" if share is None else f"{share:.0%}") for share in shares)))
    return rows


def _describe_watched(histories: Sequence[History], step: int) -> list[Fact]:
    """The answers to the examples that all runs follow, a row an example."""
    examples = list_watched(histories)
    last = [_find_last(history.watched_answers, step) for history in histories]
    rows: list[Fact] = []
    for index, each in enumerate(examples if any(last) else ()):
        given = (found.answers[index] if found and index < len(found.answers) else None for found in last)
        scores = histories[0].watched.scores if histories[0].watched else ""
        label = each.truth if each.picture else make_one_line(each.text or each.example)
        rows.append((_shorten(f"{index + 1}: {label}"), *(_write_answer(answer, scores) for answer in given)))
    return rows


def _write_answer(answer: WatchedAnswer | None, scores: str) -> Content:
    if answer is None:
        return Content("")
    style = "" if answer.right is None else "$success" if answer.right else "$error"
    score = format_score(answer.score, "probability" if scores == "probability" else "")
    return Content.styled(f"{make_one_line(answer.answer)} {score}".rstrip(), style)


def _shorten(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _describe_samples(histories: Sequence[History], step: int) -> list[Fact]:
    """The texts, a row a prompt."""
    rows: list[Fact] = []
    for prompt in dict.fromkeys(sample.prompt for history in histories for sample in history.samples):
        last = (_find_last((each for each in history.samples if each.prompt == prompt), step) for history in histories)
        texts = ("" if each is None else make_one_line(each.text.removeprefix(prompt).strip()) for each in last)
        rows.append((_shorten(make_one_line(prompt)), *map(Content, texts)))
    return rows


def _find_last(events: Iterable[_Event], step: int) -> _Event | None:
    return max((each for each in events if each.step <= step), key=lambda each: each.step, default=None)


def _write(event: _Event | None, write: Callable[[_Event], str]) -> Content:
    return Content("" if event is None else write(event))
