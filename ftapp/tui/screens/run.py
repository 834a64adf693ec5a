"""A run, running or ended: its panes, and the keys that command it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widget import Widget

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import format_quantity
from ftapp.recipe import Recipe
from ftapp.runs import annotation, commands
from ftapp.runs.alarms import find_alarms
from ftapp.runs.history import Follower, History
from ftapp.runs.result_warnings import find_warnings
from ftapp.runs.run_folder import GOING_ON, RunFolder
from ftapp.tui.actions.run_actions import RUN_ACTIONS
from ftapp.tui.actions.run_commands import RunCommands
from ftapp.tui.actions.target import Target
from ftapp.tui.page import looks
from ftapp.tui.run_page import RunPage
from ftapp.tui.screens.freeze_layers import ask_for_layers
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.failure_notice import FailureNotice
from ftapp.tui.widgets.headline import Headline
from ftapp.tui.widgets.run_panes import PANES, RunPanes

_REFRESH_SECONDS = 0.5
_IDLE_SECONDS = 2.0
_COMMANDS = {"pause", "resume", "stop", "checkpoint", "rate", "freeze"}


class RunScreen(RunPage):
    """Follows the files of one run."""

    MENU = tuple(name for name in RUN_ACTIONS if name != "open")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-low"), (42, "-tall")]  # noqa: RUF012
    HELP = """
# A run

This screen reads the files in the run's folder. A run continues when you close the screen or the interface. It carries
out commands at the end of a step.

`g` continues a run that has ended early from its newest checkpoint. For a run that is done, it asks for the number of
further steps. Vertical lines in the curves mark the first step of a phase, the first step after a resume, and
the first step with other layers.

`[` and `]` move the edge of the right column, `{` and `}` that of the lower row, and so does the mouse. `=` moves them
back.
"""
    DEFAULT_CSS = """
    RunScreen {
        Headline { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short Headline { margin-bottom: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("space", "pause", "Pause", tooltip="Pause before the next step"),
        Binding("space", "resume", "Resume", tooltip="Resume with the next step"),
        Binding("x", "stop", "Stop", tooltip="End after the current step and keep the model"),
        RUN_ACTIONS["resume"].bind(),
        RunPage.MENU_KEY,
        Binding("k", "checkpoint", "Checkpoint", tooltip="Save the model as it is now, and continue"),
        Binding("e", "rate", "Rate", tooltip="Change the learning rate from the next step on"),
        Binding("f", "freeze", "Freeze", tooltip="Freeze or unfreeze layers from the next step on"),
        Binding("m", "maximize_pane", "Maximize"),
        Binding("v", "choose_panes", "Panes"),
        Binding("left_square_bracket", "resize_panes(4, 0)", "Move the edge of the right column left", show=False),
        Binding("right_square_bracket", "resize_panes(-4, 0)", "Move the edge of the right column right", show=False),
        Binding("left_curly_bracket", "resize_panes(0, 1)", "Move the edge of the lower row up", show=False),
        Binding("right_curly_bracket", "resize_panes(0, -1)", "Move the edge of the lower row down", show=False),
        Binding("equals_sign", "reset_panes", "Usual sizes of the panes", show=False),
        *(RUN_ACTIONS[name].bind() for name in ("try_model", "predict", "export", "annotate")),
    ]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self._follower = Follower(run.events_file)
        self._status = "running"
        self._place = ""  # on which machine it works, or in which queue it waits
        self._goes_on = True  # whether its process may write more events
        self._damage: str | None = None  # what is wrong with the files of the ended run
        self._recipe: Recipe | None = None
        self._recipe_name = run.folder.name
        self._tags: Sequence[str] = ()
        self._owner = ""
        self._keys: object = None

    @property
    def history(self) -> History:
        """The history of the run so far."""
        return self._follower.history

    def body(self) -> Iterable[Widget]:
        yield Headline()
        yield FailureNotice()
        yield Cautions()
        yield RunPanes(self.run)

    def on_mount(self) -> None:
        self._commands = RunCommands(self.app, self.run)
        self.app.runs_changed.subscribe(self, lambda _: self._show_changes())
        self.query_one(RunPanes).hide_panes()
        self.query_one("#loss").focus()
        self.follow()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Read and draw repeatedly. After the end of the run's process, wait for a change."""
        self._recipe = await asyncio.to_thread(self._read_recipe)
        facts = self.run.environment()
        self._recipe_name = str(facts.get("recipe") or self.run.folder.name)
        self._owner = str(facts.get("owner", ""))
        self._tags = annotation.load(self.run.folder).tags
        while True:
            if await asyncio.to_thread(self._advance):  # the charts of a long history are drawn once it is read
                self.query_one(Headline).update(f"reading: {format_quantity(len(self.history.steps), 'step')} so far")
                continue
            begun = time.process_time()
            if not self._draw():
                return
            while not self._goes_on and not await asyncio.to_thread(self._has_changed):
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
        living, entry, begun = self.run.alive(), self.run.find_lease(), time.perf_counter()
        while more := self._follower.advance():
            if time.perf_counter() - begun > _REFRESH_SECONDS:
                break
        ended = self.history.ended
        self._goes_on = living or more
        self._damage = None if self._goes_on else self.run.damage()
        unended = "running" if self._goes_on else "crashed"
        self._status = "damaged" if self._damage else ended.status if ended else unended
        self._place = entry.describe() if entry else ""
        if entry and entry.lease.state == "waiting":
            self._status = "waiting"
        return more

    def _has_changed(self) -> bool:
        """Whether a process goes on with the ended run, or its files were lost or have come back."""
        return self.run.alive() or self.run.damage() != self._damage

    def _draw(self) -> bool:
        """Draw the history, and return whether the screen is still there."""
        try:
            self._fill()
        except NoMatches:  # the screen is being left and has no widgets
            return False
        return True

    def _fill(self) -> None:
        history = self.history
        self.query_one(Headline).show(self._recipe_name, history, self._recipe, self._status, self._tags, self._place)
        self.query_one(FailureNotice).show(self.run, history, self._status, self._damage)
        goes_on = self._status in GOING_ON
        self.query_one(Cautions).show(find_alarms(history) if goes_on else find_warnings(history, self._recipe))
        self.query_one(RunPanes).show(history, self._recipe, self._status)
        self._commands.report_answers(history)
        if (keys := (self._status, history.paused, history.saved)) != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _show_changes(self) -> None:
        """Show other tags, and leave a run that was deleted."""
        if not self.run.folder.exists():
            if self.is_current:
                self.app.pop_screen()
            return
        self._tags = annotation.load(self.run.folder).tags
        self._draw()

    @looks
    def action_choose_panes(self) -> None:
        """Choose which panes are shown, and remember the choice."""
        from ftapp.tui.dialogs.choose_panes import ChoosePanes

        def chosen(hidden: list[str] | None) -> None:
            if hidden is not None:
                self.app.settings.hidden = hidden
                self.app.settings.save()
                self.query_one(RunPanes).hide_panes()
                self._draw()

        self.app.push_screen(ChoosePanes(PANES, self.app.settings.hidden), chosen)

    @looks
    def action_resize_panes(self, columns: int, rows: int) -> None:
        """Move the edges between the groups of panes."""
        self.query_one(RunPanes).resize(columns, rows)

    @looks
    def action_reset_panes(self) -> None:
        """Give the groups of panes their usual sizes."""
        self.query_one(RunPanes).reset_sizes()

    def action_pause(self) -> None:
        """Pause the run before its next step."""
        self._commands.send(commands.Pause())

    def action_resume(self) -> None:
        """Resume a paused run."""
        self._commands.send(commands.Resume())

    def action_checkpoint(self) -> None:
        """Save the model as it is."""
        self._commands.send(commands.Checkpoint())

    def action_stop(self) -> None:
        """Stop the run after its current step."""
        self._commands.ask_to_stop()

    def action_rate(self) -> None:
        """Change the base learning rate."""
        self._commands.ask_for_rate(self.history)

    def action_freeze(self) -> None:
        """Freeze or unfreeze layers while the run goes on."""
        ask_for_layers(self.app, self.run, self.history, self._recipe, self._commands.send)

    @property
    def target(self) -> Target:
        return Target(self.run, self._recipe_name, self._status, owner=self._owner)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("pause", "resume") and self.history.paused is not (action == "resume"):
            return False
        if action in _COMMANDS:
            is_possible = self._status == "running" or (action == "stop" and self._status == "waiting")
            return is_possible and self.app.person.find_obstacle("change", self._owner) is None
        return super().check_action(action, parameters)
