"""Comparison of runs: their curves, results, recipes, and losses step by step."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Static

from ftapp import recipe as recipes
from ftapp.common import formatting
from ftapp.common.errors import RecipeError
from ftapp.experiments.listing import Summary, summarize
from ftapp.recipe.metrics import ACCURACY, get_metric, sort_names
from ftapp.runs.history import Follower, History
from ftapp.runs.narration import describe_interventions
from ftapp.runs.run_folder import RunFolder
from ftapp.tui import comparison
from ftapp.tui.comparison import LossPairs, RunResults
from ftapp.tui.curves import Curve
from ftapp.tui.page import Page, looks
from ftapp.tui.run_columns import describe_status
from ftapp.tui.run_styles import run_color, run_mark, run_style
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.facts import Fact, Facts
from ftapp.tui.widgets.scatter import Scatter
from ftapp.tui.widgets.step_pane import StepPane

_REFRESH_SECONDS = 0.5
Pair = tuple[int, int, LossPairs]  # which runs, and their losses at equal steps
_MUTED = "$foreground-muted"


class CompareScreen(Page):
    """Follows the files of two runs or more, which are called A, B, C and so on in their order."""

    PLACE = "runs"
    HELP = """
# Runs compared

The charts show loss and accuracy over steps: of training batches, smoothed, and of held-out examples. *Losses at equal
steps* has a point for each step that both runs have taken. Below the line, the second run has the lower loss. This
pairing is most exact if both runs see the same batches, as runs with the same recipe and seed do.

*At step* shows side by side what the runs had reached after the same number of steps: held-out metrics, the share of
each class that was found, the answers to a few held-out examples, and texts of language models. `[` and `]` go to
earlier and later steps.

The last pane shows the keys in which the recipes differ, in the form of `--set`.
"""
    DEFAULT_CSS = """
    CompareScreen {
        #legend { height: auto; max-height: 6; margin-bottom: 1; }
        #who { height: auto; padding: 0 2; }
        #who { text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #legend { margin-bottom: 0; }
        #parts { height: 1fr; }
        #charts { width: 3fr; }
        #charts Chart { height: 1fr; min-height: 7; }
        #tables { width: 2fr; min-width: 44; overflow-y: auto; }
        #pairs { height: 1fr; min-height: 9; }
        #results { height: auto; }
        #step { height: auto; max-height: 50%; }
        #differences { height: auto; min-height: 3; max-height: 40%; }
        #differences VerticalScroll { height: auto; }
        &.-narrow #parts { layout: vertical; overflow-y: auto; }
        &.-narrow #charts, &.-narrow #tables { width: 100%; height: auto; }
        &.-narrow #charts Chart { height: 11; }
        &.-narrow #pairs { height: 13; }
        &.-narrow #differences, &.-narrow #step { max-height: 100; }
        .-empty { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("m", "maximize_pane", "Maximize"),
        Binding("left_square_bracket", "scrub(-1)", "Earlier", tooltip="Show what the runs had reached before"),
        Binding("right_square_bracket", "scrub(1)", "Later", tooltip="Show what the runs had reached later"),
        Binding("n", "next_pair", "Next pair", tooltip="Show the losses of the next two runs"),
    ]
    AUTO_FOCUS = "#loss"

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        """Make the screen of two runs or more."""
        super().__init__()
        self._given = list(runs)
        self.runs: list[RunFolder] = []
        self.are_folds = False  # of one recipe: repeats, none of which is better than another
        self._followers: list[Follower] = []
        self._recipes: list[Mapping[str, Any] | None] = []
        self._summaries: list[Summary] = []
        self._pairs: list[tuple[int, int]] = []
        self._pair = 0
        self._reading = asyncio.Lock()  # histories are read and looked at in threads

    @property
    def histories(self) -> list[History]:
        """The histories of the runs so far."""
        return [follower.history for follower in self._followers]

    def find_runs(self) -> list[RunFolder]:
        """Find the runs to show. It is called in a thread, before each drawing."""
        return self._given

    def run_name(self, index: int) -> str:
        """Return the name of a run: A to Z, then A2, B2 and so on."""
        return chr(ord("A") + index % 26) + (str(index // 26 + 1) if index >= 26 else "")

    def has_more(self) -> bool:
        """Whether a run is still running."""
        return any(summary.goes_on for summary in self._summaries)

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="legend", can_focus=False):
            yield Static(id="who")
        yield from self.parts()

    def parts(self) -> Iterable[Widget]:
        """The charts and tables."""
        with Horizontal(id="parts"):
            with Vertical(id="charts"):
                yield Chart("Training loss", id="loss")
                yield Chart("Held-out loss", id="held-out", smooth=False)
                yield Chart("Held-out accuracy", id="metric", smooth=False)
            with Vertical(id="tables"):
                yield Scatter(id="pairs")
                yield _make_pane("Results", Facts(), id="results")
                yield StepPane(id="step")
                yield _make_pane("Differences in the recipes", Facts(), id="differences")

    def on_mount(self) -> None:
        self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        """Read and draw repeatedly, until all runs have ended and all is drawn."""
        while True:
            async with self._reading:
                runs = await asyncio.to_thread(self.find_runs)
                if runs != self.runs:
                    await self._take(runs)
                if await asyncio.to_thread(self._advance):  # long histories are drawn once they are read
                    if not self.is_attached:
                        return
                    steps = sum(len(history.steps) for history in self.histories)
                    self.query_one("#who", Static).update(
                        f"reading: {formatting.format_quantity(steps, 'step')} so far"
                    )
                    continue
                begun = time.process_time()
                curves, found, pair = await asyncio.to_thread(self._prepare)
            try:
                self._draw(curves, found)
                self._show_pair(pair)
            except NoMatches:  # the screen is being left and has no widgets
                return
            if not self.has_more():
                return
            await asyncio.sleep(rest(time.process_time() - begun, _REFRESH_SECONDS))

    async def _take(self, runs: list[RunFolder]) -> None:
        """Show other runs. The histories of runs that stay are kept."""
        known = dict(zip(self.runs, self._followers, strict=True))
        self._recipes = await asyncio.to_thread(lambda: [_read_recipe(run) for run in runs])
        self.are_folds = comparison.are_folds(self._recipes)
        self.runs = runs
        self._followers = [known.get(run) or Follower(run.events_file) for run in runs]
        self._pairs = [] if self.are_folds else list(combinations(range(len(runs)), 2))
        self.query_one("#pairs").set_class(not self._pairs, "-empty")
        self._pair = min(self._pair, max(0, len(self._pairs) - 1))
        self._show_differences()
        self.refresh_bindings()

    def _advance(self) -> bool:
        """Read new events for a while, and return whether there are more."""
        begun = time.perf_counter()
        self._summaries = [summarize(run) for run in self.runs]  # first, so that the end of a run finds all its events
        more = True
        while more and time.perf_counter() - begun < _REFRESH_SECONDS:
            left = [follower.advance() for follower in self._followers]
            more = any(left)
        return more

    def _prepare(self) -> tuple[dict[str, list[Curve]], list[RunResults], Pair | None]:
        """Compute what is drawn, which takes a while for long runs."""
        histories = list(enumerate(self.histories))
        curves = {
            "loss": [self._training_curve(index, history) for index, history in histories],
            "held-out": [self._held_out_curve(index, history, "loss") for index, history in histories],
            "metric": [self._held_out_curve(index, history, self._metric()) for index, history in histories],
        }
        return curves, [comparison.collect_results(history) for _, history in histories], self._pair_losses()

    def _metric(self) -> str:
        """The metric beside the loss that has a chart: the first of those that a run tells of."""
        return next(iter(sort_names(name for history in self.histories for name in history.metrics)), ACCURACY.name)

    def _training_curve(self, index: int, history: History) -> Curve:
        steps = history.steps
        return Curve.of(
            self.run_name(index), steps.step, steps.loss, run_color(index), noisy=True, mark=run_mark(index)
        )

    def _held_out_curve(self, index: int, history: History, name: str) -> Curve:
        """Make the curve of a metric of the evaluations during a run."""
        points = [each for each in history.evaluations if not each.final]
        values = [math.nan if (value := each.value(name)) is None else value for each in points]
        steps = [each.step for each in points]
        return Curve.of(self.run_name(index), steps, values, run_color(index), dots=True, mark=run_mark(index))

    def _pair_losses(self) -> Pair | None:
        if not self._pairs:
            return None
        first, second = self._pairs[self._pair]
        return first, second, comparison.pair_losses(self.histories[first], self.histories[second])

    def show_who(self) -> None:
        """Show the names of the runs and their status."""
        now = time.time()
        self.query_one("#who", Static).update(
            Content("\n").join(self._who(index, summary, now) for index, summary in enumerate(self._summaries))
        )

    def _who(self, index: int, summary: Summary, now: float) -> Content:
        """Make the line of a run in the legend."""
        made = f"  {formatting.format_moment(summary.created, now)}" if summary.created else ""
        damage = f": {summary.error}" if summary.status == "damaged" else ""
        return Content.assemble(
            (f"━{run_mark(index)} {self.run_name(index)}  ", run_style(index)),
            f"{summary.recipe}{f' {summary.profile}' if summary.profile else ''}",
            (f"  {describe_status(summary)}{damage}{made}  {summary.run.folder.name}", _MUTED),
            (f"  {steered}" if (steered := describe_interventions(self.histories[index])) else "", _MUTED),
        )

    def _draw(self, curves: Mapping[str, Sequence[Curve]], found: Sequence[RunResults]) -> None:
        self.show_who()
        self.query_one("#metric", Chart).rename(f"Held-out {get_metric(self._metric()).label}")
        for name, drawn in curves.items():
            self._plot(name, drawn)
        tasks = {recipe.get("task") for recipe in self._recipes if recipe}
        rows = _average_rows(found) if self.are_folds else [self._heads(), *_result_rows(found, ranks=len(tasks) < 2)]
        self.query_one("#results Facts", Facts).rows = rows
        self.query_one(StepPane).show(self._heads(), [] if self.are_folds else self.histories)
        self.query_one("#results").border_subtitle = Content("" if self.are_folds else self._describe_saving(found))

    def _plot(self, name: str, curves: Sequence[Curve]) -> None:
        chart = self.query_one(f"#{name}", Chart)
        chart.set_class(name != "loss" and not any(len(curve.x) for curve in curves), "-empty")
        chart.show(curves)

    def _heads(self) -> Fact:
        names = range(len(self.runs))
        return "", *(Content.styled(self.run_name(index), f"{run_style(index)} bold") for index in names)

    def _describe_saving(self, found: Sequence[RunResults]) -> str:
        """Describe the time of the second of two runs relative to the first."""
        times = [each.seconds for each in found]
        if len(times) != 2 or not times[0] or times[1] is None:
            return ""
        ratio = times[1] / times[0]
        if ratio >= 2:
            return f"{self.run_name(1)} takes {ratio:.{0 if ratio >= 10 else 1}f} times as long as {self.run_name(0)}"
        more = "less" if ratio <= 1 else "more"
        return f"{self.run_name(1)} takes {abs(1 - ratio):.0%} {more} time than {self.run_name(0)}"

    def _show_pair(self, pair: Pair | None) -> None:
        if pair:
            first, second, losses = pair
            self.query_one(Scatter).show_pair(losses, (self.run_name(first), self.run_name(second)))

    def _show_differences(self) -> None:
        self.query_one("#differences").set_class(self.are_folds, "-empty")
        rows: list[Fact] = [(key, *map(Content, values)) for key, values in comparison.find_differences(self._recipes)]
        unread = [self.run_name(index) for index, recipe in enumerate(self._recipes) if recipe is None]
        pane = self.query_one("#differences")
        pane.border_subtitle = Content(f"the recipe of {' and '.join(unread)} cannot be read" if unread else "")
        are_equal = "The other recipes are equal." if unread else "The recipes are equal."
        equal = are_equal if len(self.runs) - len(unread) > 1 else "There is nothing to compare."
        self.query_one("#differences Facts", Facts).rows = (
            [self._heads(), *rows] if rows else [("", Content.styled(equal, _MUTED))]
        )

    @looks
    async def action_scrub(self, by: int) -> None:
        """Show the next step, or the one before, at which a run was evaluated or wrote texts."""
        async with self._reading:
            pane = self.query_one(StepPane)
            pane.scrub(by)
        pane.scroll_visible(animate=False)

    @work(exclusive=True, group="pair")
    @looks
    async def action_next_pair(self) -> None:
        """Show the losses of the next two runs against each other."""
        async with self._reading:
            self._pair = (self._pair + 1) % max(1, len(self._pairs))
            pair = await asyncio.to_thread(self._pair_losses)
        self._show_pair(pair)
        self.query_one("#pairs").scroll_visible(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "scrub":
            return not self.are_folds
        if action == "next_pair":
            return len(self._pairs) > 1
        return super().check_action(action, parameters)


def _make_pane(title: str, content: Widget, *, id: str) -> VerticalScroll:
    pane = VerticalScroll(content, id=id, classes="pane")
    pane.border_title = title
    return pane


def _read_recipe(run: RunFolder) -> Mapping[str, Any] | None:
    try:
        return recipes.read(run.recipe_file)
    except RecipeError:
        return None


def _average_rows(found: Sequence[RunResults]) -> list[Fact]:
    """The results of runs that are repeats: of each metric the mean and the standard deviation of the ended runs."""
    ended = [each for each in found if each.final]
    if len(ended) < 2:
        return [("", Content.styled("Two runs with a result are needed.", _MUTED))]
    rows: list[Fact] = [("", Content.styled(f"mean ± standard deviation of {len(ended)} runs", _MUTED))]
    for name in sort_names(name for each in ended for name in each.metrics):
        measured, values = get_metric(name), [each.metrics[name] for each in ended if name in each.metrics]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        mean = statistics.fmean(values)
        rows.append((measured.label, Content(f"{measured.format_text(mean)} ± {measured.format_text(deviation)}")))
    seconds = [each.seconds for each in ended if each.seconds is not None]
    rows.append(("time in all", Content(formatting.format_duration(sum(seconds)))))
    return rows


def _result_rows(found: Sequence[RunResults], *, ranks: bool) -> list[Fact]:
    """The results, a column a run; the best of a row is bold, of losses and metrics only where `ranks`.

    Those of different tasks measure different things.
    """
    rows: list[Fact] = []

    def add(label: str, values: Sequence[float | None], texts: Sequence[str], best: Any = None) -> None:
        known = [value for value in values if value is not None]
        top = best(known) if best and len(set(known)) > 1 else None
        styles = ["b" if top is not None and value == top else "" for value in values]
        shown = zip(texts, values, styles, strict=True)
        rows.append((label, *(Content.styled("" if value is None else text, style) for text, value, style in shown)))

    # A result that is not of the whole test split is marked.
    ways = ["" if each.final else " so far" for each in found]
    for name in sort_names(("loss", *(name for each in found for name in each.metrics))):
        measured, values = get_metric(name), [each.metrics.get(name) for each in found]
        write = measured.format_cell if name == "loss" else measured.format_text
        texts = [f"{write(value or 0)}{way}" for value, way in zip(values, ways, strict=True)]
        add(measured.label, values, texts, measured.choose_best if ranks else None)
    shares = [each.share for each in found]
    add("R", shares, [formatting.format_share(value or 0) for value in shares])
    seconds = [each.seconds for each in found]
    add("time", seconds, [formatting.format_duration(value or 0) for value in seconds], min)
    add("steps", [each.steps for each in found], [f"{each.steps:,}" for each in found])
    if any(each.best_step is not None for each in found):
        kept = [each.best_step for each in found]
        add("weights of", kept, [f"step {value or 0:,}" for value in kept])
    paces = [each.pace for each in found]
    add("steps/s", paces, [formatting.format_number(value or 0) for value in paces], max)
    memory = [each.memory for each in found]
    add("memory", memory, [formatting.format_size(value or 0) for value in memory], min)
    return rows
