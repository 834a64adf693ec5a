"""A sweep, running or ended: its trials, what the keys mean for the metric, and whether a trial beats the recipe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ftapp.common import formatting
from ftapp.common.errors import RecipeError
from ftapp.experiments.experiment_folder import Experiment, Member
from ftapp.experiments.listing import Summary
from ftapp.experiments.sweep.search import Search
from ftapp.experiments.sweep.trials import OWN, SEARCH, SweepTrial, list_search, rank_trials, read_trial, shorten_keys
from ftapp.recipe.metrics import Metric
from ftapp.recipe.toml_text import format_override, format_value
from ftapp.runs.log_lines import read_last_lines
from ftapp.runs.resuming import ENDED_EARLY
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.actions.resume import resume_experiment
from ftapp.tui.actions.stop import stop_experiment
from ftapp.tui.experiment_head import describe_experiment
from ftapp.tui.page import Page, looks
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets import names
from ftapp.tui.widgets.frontier import Frontier
from ftapp.tui.widgets.pane import Pane

_REFRESH_SECONDS = 1.0
_MUTED = "$foreground-muted"
_LONGEST_VALUE = 24  # cells
_BAR = 20  # cells of the longest bar


@dataclass(frozen=True)
class _Standing:
    """The state of a sweep.

    Attributes:
        summary: Its summary.
        search: What it searches; None where its recipe cannot be read.
        trials: The trials so far, the best first, then those without a result.
        finals: How many runs over new seeds have begun.
        result: The part of the written result that is about the sweep; None before its end.
        report: Whether there is a report.
        reason: Why there is no result; "" where that is not known.
    """

    summary: Summary
    search: Search | None
    trials: tuple[SweepTrial, ...]
    finals: int
    result: dict[str, Any] | None
    report: bool
    reason: str


class Trials(OptionList):
    """Lists the trials. Its Enter is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open run")]


class SweepScreen(Page):
    """Follows a sweep's folder."""

    PLACE = "runs"
    HELP = """
# A sweep

A sweep tries settings of some keys, each as a run. The list has the best trials first, by their metric on the
validation split. Enter opens the run of the trial under the cursor.

*Conclusions* says what can be told. The best of many trials was also lucky. So the best ones and the recipe's own
values run again with new seeds, and a winner is named only if its whole interval is on the better side.

*Importance* is the share of the metric's variance over the trials that each key explains. The plot shows the metric
over the time of each trial; no other trial is both cheaper and better than one on the line.

`g` goes on with a sweep that was stopped or cut off, as `ftapp sweep --resume NAME` does.
"""
    DEFAULT_CSS = """
    SweepScreen {
        #head { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #conclusions { height: auto; max-height: 9; min-height: 3; }
        &.-short #conclusions { max-height: 6; }
        #parts { height: 1fr; }
        #list { width: 3fr; height: 1fr; }
        #columns { height: 1; margin: 0 1; text-wrap: nowrap; text-overflow: ellipsis; color: $foreground-muted; }
        #trials { height: 1fr; margin: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #values { height: auto; max-height: 6; margin: 0 1; color: $foreground-muted; }
        #figures { width: 2fr; min-width: 36; }
        #importance { height: auto; max-height: 40%; }
        #frontier { height: 1fr; min-height: 8; }
        &.-narrow #figures { width: 36; }
        .-empty { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("x", "stop", "Stop", tooltip="End the sweep early and keep its runs"),
        Binding("g", "resume", "Resume", tooltip="Go on with the sweep"),
        Binding("e", "report", "Report", tooltip="Open the report"),
        Binding("m", "maximize_pane", "Maximize"),
    ]
    AUTO_FOCUS = "#trials"

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment
        self._standing: _Standing | None = None
        self._known: dict[RunFolder, SweepTrial] = {}  # of runs that have ended

    def body(self) -> Iterable[Widget]:
        yield Static(id="head")
        yield Pane("Conclusions", id="conclusions")
        with Horizontal(id="parts"):
            with Vertical(id="list"):
                yield Static(id="columns")
                yield Trials(id="trials")
                yield Static(id="values", markup=False)
            with Vertical(id="figures"):
                yield Pane("Importance", id="importance")
                yield Frontier(id="frontier")

    def on_mount(self) -> None:
        self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        """Read and draw repeatedly, until the sweep has ended."""
        while True:
            begun = time.process_time()
            self._standing = await asyncio.to_thread(self._read)
            try:
                self._draw(self._standing)
            except NoMatches:  # the screen is being left and has no widgets
                return
            if self._standing.summary.status != "running":
                return
            await asyncio.sleep(rest(time.process_time() - begun, _REFRESH_SECONDS))

    def _read(self) -> _Standing:
        """Read the folder, in a thread. The status comes first, so that an ended sweep has its result."""
        summary = self.app.summaries.sum_up(self.experiment)
        try:
            search = Search.of(self.experiment)
        except RecipeError:  # a damaged folder, or one of another version
            search = None
        result, members = self.experiment.read_result(), self.experiment.list_members()
        found = [self._read_trial(member, search) for member in list_search(self.experiment)]
        ranked = rank_trials(found, search.metric) if search else []
        rest_of = sorted((each for each in found if each not in ranked), key=lambda each: each.status != "running")
        return _Standing(
            summary,
            search,
            (*ranked, *rest_of),
            sum(member.round != SEARCH for member in members),
            result.get("sweep") if result else None,
            bool(result and result.get("report")),
            summary.error or "".join(read_last_lines(self.experiment.log_file, 1)),
        )

    def _read_trial(self, member: Member, search: Search | None) -> SweepTrial:
        """Read a trial; one that goes on costs no more than a look at its lock."""
        if member.run not in self._known:
            if member.run.alive() or search is None:
                return SweepTrial(member.arm, member.values, member.run, "running" if member.run.alive() else "")
            trial = read_trial(member, search.metric.name)
            if trial.status == "running":
                return trial
            self._known[member.run] = trial
        return self._known[member.run]

    def _draw(self, standing: _Standing) -> None:
        head = describe_experiment(self.experiment, standing.summary, f"Sweep of {standing.summary.recipe}")
        self.query_one("#head", Static).update(head)
        conclusions = standing.result["sentences"] if standing.result else [_describe_course(standing)]
        self.query_one("#conclusions", Pane).put(Content("\n").join(map(_style_sentence, conclusions)))
        self._list_trials(standing)
        importances: dict[str, float] = standing.result["importances"] if standing.result else {}
        pane = self.query_one("#importance", Pane)
        pane.set_class(not importances, "-empty")
        pane.put(Content("\n").join(_draw_bars(importances)))
        points = [(each.seconds, each.value) for each in standing.trials if each.seconds and each.value is not None]
        frontier = self.query_one(Frontier)
        frontier.set_class(len(points) < 2, "-empty")
        if standing.search:
            frontier.show_trials([(spent or 0.0, value) for spent, value in points], standing.search.metric, "seconds")
        self.query_one("#figures").set_class(len(points) < 2 and not importances, "-empty")
        self.refresh_bindings()

    def _list_trials(self, standing: _Standing) -> None:
        """List the trials in columns, the values that differ behind the metric."""
        if standing.search is None:
            return
        metric, keys = standing.search.metric, list(standing.search.spaces)
        heads = ["trial", metric.heading, "time", *shorten_keys(keys).values()]
        rows = [_make_cells(trial, metric, keys) for trial in standing.trials]
        widths = [max(names.measure_longest([head, *cells]), 1) for head, *cells in zip(heads, *rows, strict=True)]
        self.query_one("#columns", Static).update(Content(_join(heads, widths)))
        winner = standing.result["winner"] if standing.result else None
        lines = [
            Content.styled(_join(cells, widths), _style_trial(trial, winner))
            for trial, cells in zip(standing.trials, rows, strict=True)
        ]
        listed = self.query_one(Trials)
        chosen = listed.highlighted_option.id if listed.highlighted_option else None
        listed.set_options([Option(line, id=trial.arm) for line, trial in zip(lines, standing.trials, strict=True)])
        arms = [trial.arm for trial in standing.trials]
        listed.highlighted = arms.index(chosen) if chosen in arms else 0 if arms else None

    @on(OptionList.OptionHighlighted)
    def _show_values(self, event: OptionList.OptionHighlighted) -> None:
        """Show all values of the trial under the cursor, which the columns may cut off."""
        trials = self._standing.trials if self._standing else ()
        if trial := next((each for each in trials if each.arm == event.option_id), None):
            short = shorten_keys(list(trial.values))
            values = [format_override(short[key], value) for key, value in trial.values.items()]
            self.query_one("#values", Static).update(names.make_visible("  ".join([*values, trial.why]).rstrip()))

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        trials = self._standing.trials if self._standing else ()
        if trial := next((each for each in trials if each.arm == event.option_id), None):
            self.app.open_run(trial.run)

    def action_stop(self) -> None:
        """End the sweep and its runs."""
        stop_experiment(self.app, self.experiment)

    @work(exclusive=True, group="resume")
    async def action_resume(self) -> None:
        """Go on with the sweep, detached from the interface."""
        if await resume_experiment(self.app, self.experiment):
            self._follow()

    @looks
    def action_report(self) -> None:
        """Open the report."""
        self.app.open_path(self.experiment.report_file)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        standing = self._standing
        if action == "stop":
            if standing is None or standing.summary.status != "running":
                return False
            return self.app.person.find_obstacle("change", standing.summary.owner) is None
        if action == "resume":
            is_cut = standing is not None and standing.summary.status in ENDED_EARLY
            return is_cut and self.app.person.find_obstacle("manage") is None  # it would not wait for its turn
        if action == "report":
            return standing is not None and standing.report
        return super().check_action(action, parameters)


def _describe_course(standing: _Standing) -> str:
    """Say what goes on before there is a result."""
    if standing.summary.status != "running":
        return f"There is no result: {standing.reason}" if standing.reason else "There is no result."
    if standing.finals:
        runs = formatting.format_quantity(standing.finals, "run")
        return f"The best trials and the recipe's own values run with new seeds: {runs} so far."
    return "The search goes on. Conclusions follow when the best trials have run with new seeds."


def _style_sentence(sentence: str) -> Content:
    return Content.styled(sentence, "bold $success" if " beats the recipe's own values " in sentence else "")


def _style_trial(trial: SweepTrial, winner: str | None) -> str:
    if trial.arm == winner:
        return "bold $success"
    if trial.arm == OWN:
        return "bold"
    return "" if trial.value is not None else "$primary" if trial.status == "running" else _MUTED


def _make_cells(trial: SweepTrial, metric: Metric, keys: Sequence[str]) -> list[str]:
    """The cells of a trial: its name, its metric or its status, its time, and its values."""
    value = metric.format_text(trial.value) if trial.value is not None else trial.status
    seconds = "" if trial.seconds is None else formatting.format_duration(trial.seconds)
    values = [
        "–" if trial.values.get(key) is None else names.fit(format_value(trial.values[key]), _LONGEST_VALUE).rstrip()
        for key in keys
    ]
    return [trial.arm, value, seconds, *values]


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(names.fit(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _draw_bars(shares: dict[str, float]) -> list[Content]:
    """A bar for each key."""
    short = shorten_keys(list(shares))
    width = names.measure_longest([*short.values()])
    return [
        Content.assemble(f"{names.fit(short[key], width)} ", ("━" * round(_BAR * share), "$primary"), f" {share:.0%}")
        for key, share in shares.items()
    ]
