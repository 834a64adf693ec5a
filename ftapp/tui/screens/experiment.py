"""An experiment, running or ended: the comparison of its arms, and its findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.experiments.arms import Round, name_control
from ftapp.experiments.experiment_folder import Experiment, Member
from ftapp.experiments.listing import Summary
from ftapp.recipe import Finding
from ftapp.runs.resuming import ENDED_EARLY
from ftapp.runs.run_folder import RunFolder
from ftapp.tui import recipe_words
from ftapp.tui.actions.resume import resume_experiment
from ftapp.tui.actions.stop import stop_experiment
from ftapp.tui.experiment_head import describe_experiment
from ftapp.tui.page import looks
from ftapp.tui.run_columns import describe_results, describe_status
from ftapp.tui.run_styles import run_mark, run_style
from ftapp.tui.screens.compare import CompareScreen
from ftapp.tui.widgets.findings_pane import FindingsPane

_MUTED = "$foreground-muted"


@dataclass(frozen=True)
class _Standing:
    """The state of an experiment.

    Attributes:
        summary: Its summary.
        members: Its runs.
        result: The written result; None before its end.
    """

    summary: Summary
    members: tuple[Member, ...]
    result: dict[str, Any] | None


class Arms(OptionList):
    """Lists the arms. Its Enter is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open run")]


class ExperimentScreen(CompareScreen):
    """Follows an experiment's folder and the runs of one repeat or fold, the latest unless the user chooses another.

    Where one recipe runs on several folds, all of them are shown.
    """

    HELP = """
# An experiment

The arms of a recipe are variants of one job. They start from the same weights and see the same batches. Enter opens the
run of the arm under the cursor.

*Findings* shows the reported value, the measured value, and whether the finding holds. A finding holds if its whole
interval lies within its bounds. The pane is complete when all runs have ended. The other panes compare the runs of one
repeat or fold.

The folds of one recipe are repeats, and none is better than another. The list has a line for each fold, and *Results*
has the mean over the folds.

`g` goes on with an experiment that was stopped or cut off, as `ftapp resume NAME` does. Runs that have ended stay.
"""
    DEFAULT_CSS = """
    ExperimentScreen {
        #head { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #arms { height: auto; max-height: 8; margin: 0 1 1 1; }
        #arms { text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #arms { max-height: 4; margin: 0 1; }
        #all { height: 1fr; }
        #findings { height: auto; max-height: 15; }
        &.-wide #findings { max-height: 20; }
        #parts { min-height: 24; }
        &.-narrow #parts { height: auto; overflow-y: hidden; }
        &.-narrow #findings, &.-short #findings { max-height: 100; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop", "Stop", tooltip="End the experiment early and keep its runs"),
        Binding("g", "resume", "Resume", tooltip="Go on with the experiment"),
        Binding("e", "report", "Report", tooltip="Open the report"),
        Binding("r", "next_repeat", "Next repeat", tooltip="Show the runs of the next repeat or fold"),
    ]
    AUTO_FOCUS = "#arms"

    def __init__(self, experiment: Experiment) -> None:
        super().__init__([])
        self.experiment = experiment
        facts = experiment.facts
        self._arms: list[str] = facts.get("arms", [])
        self._repeats: int = facts.get("repeats", 1)
        self._rounds = experiment.list_rounds()
        self._has_folds_alone = facts.get("folds", 0) > 0 and len(self._arms) == 1
        self._round: Round | None = None  # the one that the user has chosen
        self._shown_round = Round()
        self._standing: _Standing | None = None
        self._recipe: recipe.RecipeWithArms | None = None
        self._able: object = None
        self._owner = str(facts.get("owner", ""))

    def body(self) -> Iterable[Widget]:
        yield Static(id="head")
        yield Arms(id="arms")
        with VerticalScroll(id="all", can_focus=False):
            yield FindingsPane()
            yield from self.parts()

    def find_runs(self) -> list[RunFolder]:
        if self._recipe is None:
            try:
                self._recipe = recipe.load_experiment(self.experiment.recipe_file)
            except RecipeError:  # a damaged folder, or one of another version
                self._recipe = None
        # The status comes first, so that an ended experiment has its result and all of its runs.
        summary = self.app.summaries.sum_up(self.experiment)
        self._standing = _Standing(summary, tuple(self.experiment.list_members()), self.experiment.read_result())
        self._shown_round = self._round or max((member.round for member in self._standing.members), default=Round())
        return list(self._runs().values())

    @property
    def _lines(self) -> list[str]:
        """The names of the lines of the list: the arms, or all folds of one arm."""
        return [each.describe(self._repeats) for each in self._rounds] if self._has_folds_alone else self._arms

    def _runs(self) -> dict[str, RunFolder]:
        """Find the runs that are shown by the names of their lines, in the order of the lines."""
        members = self._standing.members if self._standing else ()
        if self._has_folds_alone:
            found = {member.round.describe(self._repeats): member.run for member in members}
        else:
            found = {member.arm: member.run for member in members if member.round == self._shown_round}
        return {name: found[name] for name in self._lines if name in found}

    def run_name(self, index: int) -> str:
        return list(self._runs())[index]

    def has_more(self) -> bool:
        return super().has_more() or (self._standing is not None and self._standing.summary.status == "running")

    def show_who(self) -> None:
        standing = self._standing
        if standing is None:
            return
        self.query_one("#head", Static).update(self._head(standing.summary))
        self._list_arms()
        findings: list[Finding] = self._recipe.findings if self._recipe else []
        missing = "measured when all runs have ended"
        if standing.summary.status != "running":
            missing = "not measured: no repeat or fold has runs of all arms" if standing.result else "no result"
        self.query_one(FindingsPane).show(findings, standing.result, missing)
        able = (standing.summary.status, standing.result is None)
        if able != self._able:
            self._able = able
            self.refresh_bindings()

    def _head(self, summary: Summary) -> Content:
        shown = []
        if self._has_rounds and self._repeats > 1:
            shown.append(f"repeat {self._shown_round.repeat} of {self._repeats}")
        if self._has_rounds and self._shown_round.fold:
            shown.append(f"fold {self._shown_round.fold} of {len(self._rounds) // self._repeats}")
        return describe_experiment(self.experiment, summary, summary.recipe, shown)

    def _list_arms(self) -> None:
        """List the arms, each with the state of its run and what it overrides."""
        runs = self._runs()
        known = dict(zip(self.runs, self._summaries, strict=False))
        standings = {arm: _describe_standing(known.get(run)) for arm, run in runs.items()}
        names = self._lines
        width, room = (max(map(len, texts), default=0) for texts in (names, standings.values()))
        lines = []
        overridden = recipe_words.describe_arms(self._recipe.changes, self._recipe.base) if self._recipe else {}
        if self._arms:
            overridden[name_control(self._arms[0])] = Content.styled("the control: the first arm again", _MUTED)
        live = self._standing is not None and self._standing.summary.status == "running"
        started = list(runs)
        for arm in names:
            style, mark = _MUTED, " "
            if arm in runs:
                style, mark = run_style(started.index(arm)), run_mark(started.index(arm))
            name = (arm.ljust(width), "" if arm in runs else _MUTED)
            state = standings.get(arm, "waits" if live else "not run").ljust(room)
            lines.append(Content.assemble((f"━{mark} ", style), name, f"  {state}   ", overridden.get(arm, "")))
        listed = self.query_one(Arms)
        if listed.option_count != len(lines):
            listed.set_options([Option(line, id=str(index)) for index, line in enumerate(lines)])
            listed.highlighted = 0 if lines else None
        else:
            for index, line in enumerate(lines):
                if listed.get_option_at_index(index).prompt != line:
                    listed.replace_option_prompt_at_index(index, line)

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        name = self._lines[event.option_index]
        if run := self._runs().get(name):
            self.app.open_run(run)
        else:
            self.notify(f"{name} has no run {'' if self._has_folds_alone else 'in this repeat '}yet.")

    def action_stop(self) -> None:
        """End the experiment and its runs."""
        stop_experiment(self.app, self.experiment)

    @work(exclusive=True, group="resume")
    async def action_resume(self) -> None:
        """Go on with the experiment, detached from the interface."""
        if await resume_experiment(self.app, self.experiment):
            self._follow()

    @looks
    def action_report(self) -> None:
        """Open the report."""
        self.app.open_path(self.experiment.report_file)

    @looks
    def action_next_repeat(self) -> None:
        """Show the runs of the next repeat or fold."""
        number = self._rounds.index(self._shown_round) if self._shown_round in self._rounds else -1
        self._round = self._rounds[(number + 1) % len(self._rounds)]
        self._follow()

    @property
    def _has_rounds(self) -> bool:
        """Whether the user can go from round to round."""
        return len(self._rounds) > 1 and not self._has_folds_alone

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        standing = self._standing
        if action == "stop":
            is_running = standing is not None and standing.summary.status == "running"
            return is_running and self.app.person.find_obstacle("change", self._owner) is None
        if action == "resume":
            is_cut = standing is not None and standing.summary.status in ENDED_EARLY
            return is_cut and self.app.person.find_obstacle("manage") is None  # it would not wait for its turn
        if action == "report":
            return bool(standing and standing.result and standing.result.get("report"))
        if action == "next_repeat":
            return self._has_rounds
        return super().check_action(action, parameters)


def _describe_standing(summary: Summary | None) -> str:
    """Describe the state of a run."""
    return " · ".join([describe_status(summary), *describe_results(summary)]) if summary else "starting"
