"""A run, running or ended: its curves, phases, layers, examples and log, and the commands to it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

import numpy as np
from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widget import Widget

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.metrics import get_metric
from ftapp.runs import commands, outcome
from ftapp.runs.history import Follower, History
from ftapp.runs.resuming import RESUMABLE
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.structure_file import read_structure
from ftapp.tui.curves import Curve
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.page import Page
from ftapp.tui.screens.freeze_layers import FreezeLayers
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.errors_pane import ErrorsPane
from ftapp.tui.widgets.examples_pane import ExamplesPane
from ftapp.tui.widgets.failure_notice import FailureNotice
from ftapp.tui.widgets.headline import Headline
from ftapp.tui.widgets.log_pane import LogPane
from ftapp.tui.widgets.phases_pane import PhasesPane
from ftapp.tui.widgets.trained_layers_pane import TrainedLayersPane

_REFRESH_SECONDS = 0.5
_IDLE_SECONDS = 2.0
PANES = {
    "loss": "Loss",
    "metric": "Accuracy or another metric",
    "rate": "Learning rate",
    "gradient": "Gradient norm",
    "speed": "Steps/s",
    "memory": "Memory",
    "phases": "Phases",
    "layers": "Layers that train",
    "examples": "Samples or answers",
    "errors": "Highest test losses",
    "log": "Log",
}
_COMMANDS = {"pause", "resume", "stop", "checkpoint", "rate", "freeze"}


class RunScreen(Page):
    """Follows the files of one run."""

    PLACE = "runs"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-low"), (42, "-tall")]  # noqa: RUF012
    HELP = """
# A run

This screen reads the files in the run's folder. A run continues when you close the screen or the interface. It carries
out commands at the end of a step.

`g` continues a run that has ended early from its newest checkpoint. For a run that is done, it asks for the number of
further steps. Vertical lines in the curves mark the first step of a phase, the first step after a resume, and
the first step with other layers.
"""
    DEFAULT_CSS = """
    RunScreen {
        Headline { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short Headline { margin-bottom: 0; }
        #panes { layout: grid; grid-size: 2 2; grid-columns: 1fr 44; grid-rows: 4fr 1fr; height: 1fr; }
        &.-wide #panes { grid-columns: 1fr 64; }
        #facts { row-span: 2; }
        #loss, #metric { height: 1fr; min-height: 7; }
        #details Chart { width: 1fr; height: 100%; }
        #phases { height: auto; max-height: 40%; }
        #layers, #examples, #errors { height: auto; min-height: 3; max-height: 30%; }
        .-five > #layers, .-five > #examples, .-five > #errors { max-height: 22%; }
        #log { height: 1fr; min-height: 5; }
        &.-short .-five, &.-low .-five { overflow-y: auto; }
        &.-short, &.-low { .-five > #examples, .-five > #errors { max-height: 9; } }
        #panes.-no-details { grid-size: 2 1; grid-rows: 1fr; }
        #panes.-no-facts { grid-size: 1; grid-columns: 1fr; }
        #panes.-no-charts { grid-size: 1; grid-columns: 1fr; grid-rows: 3fr 1fr; }
        #panes.-no-details #facts, #panes.-no-charts #facts { row-span: 1; }
        &.-narrow #panes { layout: vertical; overflow-y: auto; }
        &.-narrow #charts, &.-narrow #facts, &.-narrow #details { width: 100%; height: auto; }
        &.-narrow #loss, &.-narrow #metric { height: 13; }
        &.-narrow #details { layout: vertical; }
        &.-narrow #details Chart { width: 100%; height: 9; }
        &.-narrow #facts > * { height: auto; max-height: 14; }
        .-off, .-empty { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("space", "pause", "Pause", tooltip="Pause before the next step"),
        Binding("space", "resume", "Resume", tooltip="Resume with the next step"),
        Binding("x", "stop", "Stop", tooltip="End after the current step and keep the model"),
        Binding("g", "go_on", "Resume", tooltip="Continue an ended run from its newest checkpoint"),
        Binding("k", "checkpoint", "Checkpoint", tooltip="Save the model as it is now, and continue"),
        Binding("e", "rate", "Rate", tooltip="Change the learning rate from the next step on"),
        Binding("f", "freeze", "Freeze", tooltip="Freeze or unfreeze layers from the next step on"),
        Binding("m", "maximize_pane", "Maximize"),
        Binding("v", "choose_panes", "Panes"),
        Binding("t", "try_model", "Try it"),
    ]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self._follower = Follower(run.events_file)
        self._status = "running"
        self._goes_on = True  # whether its process may write more events
        self._recipe: Recipe | None = None
        self._recipe_name = run.folder.name
        self._metric: str | None = None  # beside the loss
        self._plotted: object = None  # the lengths of what the charts show
        self._keys: object = None
        self._sent: dict[str, str] = {}  # the names of unanswered commands, by id

    @property
    def history(self) -> History:
        """The history of the run so far."""
        return self._follower.history

    def body(self) -> Iterable[Widget]:
        yield Headline()
        yield FailureNotice()
        yield Cautions()
        with Container(id="panes"):
            with Vertical(id="charts"):
                yield Chart("Loss", id="loss")
                yield Chart("Accuracy", id="metric")
            with Vertical(id="facts"):
                yield PhasesPane(id="phases")
                yield TrainedLayersPane(id="layers")
                yield ExamplesPane(id="examples")
                yield ErrorsPane(self.run, id="errors")
                yield LogPane(self.run, id="log")
            with Horizontal(id="details"):
                yield Chart("Learning rate", id="rate", smooth=False)
                yield Chart("Gradient norm", id="gradient")
                yield Chart("Steps/s", id="speed")
                yield Chart("Memory, GiB", id="memory", smooth=False)

    def on_mount(self) -> None:
        self.query_one("#gradient").add_class("-empty")  # until a step has one
        self._show_panes()
        self.query_one("#loss").focus()
        self.follow()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Read and draw repeatedly. After the end of the run's process, wait for one that goes on with the run."""
        self._recipe = await asyncio.to_thread(self._read_recipe)
        self._recipe_name = str(self.run.environment().get("recipe") or self.run.folder.name)
        while True:
            if await asyncio.to_thread(self._advance):  # the charts of a long history are drawn once it is read
                self.query_one(Headline).update(f"reading: {len(self.history.steps):,} steps so far")
                continue
            begun = time.process_time()
            if not self._draw():
                return
            while not self._goes_on and not await asyncio.to_thread(self.run.alive):
                await asyncio.sleep(_IDLE_SECONDS)
            # The terminal is written during this wait, so the time taken is known afterwards.
            await asyncio.sleep(_REFRESH_SECONDS)
            spent = time.process_time() - begun
            await asyncio.sleep(rest(spent, _REFRESH_SECONDS) - _REFRESH_SECONDS)

    def _read_recipe(self) -> Recipe | None:
        try:
            return recipes.load(self.run.recipe_file)
        except RecipeError:  # a damaged folder, or one of another version
            return None

    def _advance(self) -> bool:
        """Read new events for a while, and return whether there are more."""
        living, begun = self.run.alive(), time.perf_counter()
        history = self.history
        while more := self._follower.advance():
            if time.perf_counter() - begun > _REFRESH_SECONDS:
                break
        if self.history is not history:  # the run was resumed
            self._plotted = None
        ended = self.history.ended
        self._goes_on = living or more
        self._status = ended.status if ended else "running" if self._goes_on else "crashed"
        return more

    def _draw(self) -> bool:
        """Draw the history, and return whether the screen is still there."""
        try:
            self._fill()
        except NoMatches:  # the screen is being left and has no widgets
            return False
        return True

    def _fill(self) -> None:
        history = self.history
        self.query_one(Headline).show(self._recipe_name, history, self._recipe, self._status)
        self.query_one(FailureNotice).show(self.run, history, self._status)
        find = outcome.find_alarms if self._status == "running" else partial(outcome.find_warnings, recipe=self._recipe)
        self.query_one(Cautions).show(find(history))
        self.query_one(PhasesPane).show(history, self._recipe, self._status)
        self.query_one(TrainedLayersPane).show(history)
        self.query_one(ExamplesPane).show(history)
        self.query_one("#facts").set_class(self.query_one(ErrorsPane).show(history), "-five")
        self.query_one(LogPane).show(history)
        self._metric = self._chosen_metric()
        chart = self.query_one("#metric", Chart)
        chart.set_class(self._metric is None, "-empty")
        if self._metric:
            chart.rename(get_metric(self._metric).title)
        plotted = history.steps, history.evaluations, history.phases, history.layer_changes
        if (shown := tuple(map(len, plotted))) != self._plotted:
            self._plotted = shown
            self._plot_all()
        self._report_answers()
        if (keys := (self._status, history.paused, history.saved)) != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _chosen_metric(self) -> str | None:
        """The metric beside the loss that has a chart: the task's first one, else the first that the run tells of."""
        told = self.history.metrics
        wanted = [each.name for each in TASKS[self._recipe.task].metrics] if self._recipe else []
        return next((name for name in (*wanted, *told) if name in told), wanted[0] if wanted else None)

    def _plot_all(self) -> None:
        history, steps = self.history, self.history.steps
        at_step = np.asarray(steps.step, np.float64)
        held_out = [each for each in history.evaluations if not each.final]
        at = [each.step for each in held_out]
        self._plot(
            "loss",
            Curve.of("train", at_step, steps.loss, "primary", noisy=True),
            Curve.of("held out", at, [each.loss for each in held_out], "accent", dots=True),
        )
        if self._metric:
            known = [math.nan if (value := each.value(self._metric)) is None else value for each in held_out]
            self._plot(
                "metric",
                Curve.of("train", at_step, steps.column(self._metric), "primary", noisy=True),
                Curve.of("held out", at, known, "accent", dots=True),
            )
        self._plot("rate", Curve.of("", at_step, steps.rate, "primary"))
        norms = Curve.of("", at_step, steps.gradient_norm, "primary", noisy=True)
        gradient = self.query_one("#gradient")
        if gradient.has_class("-empty") and len(norms.x):
            gradient.remove_class("-empty")
            self._show_panes()
        self._plot("gradient", norms)
        with np.errstate(divide="ignore"):
            pace = 1 / np.asarray(steps.seconds)
        self._plot("speed", Curve.of("", at_step, pace, "primary", noisy=True))
        memory = np.asarray(steps.memory) / 2**30
        self._plot("memory", Curve.of("", at_step, memory, "primary"))

    def _plot(self, name: str, *curves: Curve) -> None:
        chart = self.query_one(f"#{name}", Chart)
        if chart.display:
            chart.show(curves, [*(phase.first_step for phase in self.history.phases[1:]), *self.history.seams])

    def _show_panes(self) -> None:
        """Hide the panes that are switched off, and groups without a visible pane."""
        for name in PANES:
            self.query_one(f"#{name}").set_class(name in self.app.settings.hidden, "-off")
        for name in ("charts", "facts", "details"):
            group = self.query_one(f"#{name}")
            empty = all(pane.has_class("-off") or pane.has_class("-empty") for pane in group.children)
            group.set_class(empty, "-off")
            self.query_one("#panes").set_class(empty, f"-no-{name}")

    def action_maximize_pane(self) -> None:
        """Maximize the focused pane, or restore it."""
        if self.maximized:
            self.minimize()
        elif self.focused:
            self.maximize(self.focused)

    def action_choose_panes(self) -> None:
        """Choose which panes are shown, and remember the choice."""
        from ftapp.tui.dialogs.choose_panes import ChoosePanes

        def chosen(hidden: list[str] | None) -> None:
            if hidden is not None:
                self.app.settings.hidden = hidden
                self.app.settings.save()
                self._show_panes()
                self._plotted = None
                self._draw()

        self.app.push_screen(ChoosePanes(PANES, self.app.settings.hidden), chosen)

    def action_try_model(self) -> None:
        """Use the model that the run has saved."""
        self.app.try_model(self.run)

    def action_pause(self) -> None:
        """Pause the run before its next step."""
        self._send(commands.Pause())

    def action_resume(self) -> None:
        """Resume a paused run."""
        self._send(commands.Resume())

    def action_go_on(self) -> None:
        """Resume the run, whose process has ended."""
        self.app.resume(self.run)

    def action_checkpoint(self) -> None:
        """Save the model as it is."""
        self._send(commands.Checkpoint())

    def action_stop(self) -> None:
        """Stop the run after its current step, after a question: the steps to come are lost."""

        def confirm(choice: str | None) -> None:
            if choice == "Stop":
                self._send(commands.Stop())

        text = "The run ends after the current step and keeps the model. g resumes a stopped run."
        self.app.push_screen(Dialog("Stop this run?", text, ["Stop", "Continue"]), confirm)

    def action_rate(self) -> None:
        """Change the base learning rate."""

        def wrong(text: str) -> str | None:
            try:
                commands.Rate(base=float(text))
            except ValueError:
                return f"'{text}' is not a learning rate; a rate is a number above 0, such as 1e-4"
            return None

        def send(text: str | None) -> None:
            if text is not None:
                self._send(commands.Rate(base=float(text)))

        now = f"{self.history.steps.rate[-1]:.3g}" if len(self.history.steps) else ""
        self.app.push_screen(Ask("Learning rate from the next step on", now, wrong), send)

    def action_freeze(self) -> None:
        """Freeze or unfreeze layers while the run goes on."""
        history, recipe = self.history, self._recipe
        structure = read_structure(self.run)
        if not (recipe and history.phases):
            self.notify("No phase has begun yet.")
            return
        if structure is None:
            self.notify(
                f"{self.run.structure_file.name} cannot be read, so the layers are not known.", severity="warning"
            )
            return
        index = [each.name for each in recipe.phase].index(history.phases[-1].phase)
        phase = recipe.phase[index]
        structure = structure.carry_adapters(each.layers for each in recipe.phase[: index + 1])

        def send(rules: list[str] | None) -> None:
            for rule in rules or ():
                self._send(commands.make_layer_command(rule))

        self.app.push_screen(FreezeLayers(phase.name, structure, [*phase.layers, *history.commanded_rules]), send)

    def _send(self, command: commands.AnyCommand) -> None:
        try:
            commands.send(self.run, command)
        except RunError as error:
            self.notify(str(error), severity="error")
        else:
            self._sent[command.id] = command.name

    def _report_answers(self) -> None:
        """Show the run's answers to commands from this screen."""
        for event in self.history.controlled:
            if name := self._sent.pop(event.id, None):
                text = f"{name}: done at step {event.step}" if event.applied else f"{name} was refused: {event.reason}"
                self.notify(text, severity="information" if event.applied else "warning", timeout=4)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("pause", "resume") and self.history.paused is not (action == "resume"):
            return False
        if action in _COMMANDS:
            return self._status == "running"
        if action == "go_on":
            return self._status in RESUMABLE and self._recipe is not None
        if action == "try_model":
            return True if self.history.saved else None
        return True
