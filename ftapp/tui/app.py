"""The app behind `ftapp`: its screens and themes, and the methods by which screens reach each other."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen
from textual.signal import Signal

from ftapp.common import user_folders
from ftapp.common.console import PlainConsole
from ftapp.common.errors import RunError
from ftapp.common.person import Access, Person
from ftapp.common.read_only import only_show
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.settings import Settings
from ftapp.tui.terminal import capabilities, no_color, plain_text
from ftapp.tui.terminal.control_characters import ControlCharacterFilter
from ftapp.tui.terminal.palette import PaletteFilter
from ftapp.tui.terminal.themes import SERIES, THEMES
from ftapp.tui.widgets.focused_panes import mark_focused_panes

if TYPE_CHECKING:
    from textual.command import Provider

    from ftapp.experiments.experiment_folder import Experiment
    from ftapp.experiments.listing import Summaries
    from ftapp.experiments.trash import Deleted
    from ftapp.runs.run_folder import RunFolder
    from ftapp.tui.editor.draft import Draft
    from ftapp.tui.jobs import BackgroundJob

_LIVE_SECONDS = 2.0


def _load_commands() -> type[Provider]:
    from ftapp.tui.commands import CommandPalette  # once the palette is opened

    return CommandPalette


class FtApp(App[None]):
    """The interface. Screens reach each other through its methods.

    Attributes:
        live_runs: How many runs in the folder are running, whoever started them.
        waiting_runs: How many runs wait for a machine of a cluster.
        live_jobs: How many jobs of the interface are running, such as exports.
        turn: In a class, when the person's next run starts that waits, in words; "" where none waits.
        offline: Whether runs make no network call.
        person: Who uses it.
        settings: What the interface remembers between sessions.
        deleted: The folders that were moved into the trash, a list for each deletion, the last at the end.
        runs_changed: Published when runs were deleted, restored or changed by an action.
    """

    TITLE = "ftapp"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {_load_commands}  # noqa: RUF012
    # Sizes of the terminal as classes that stylesheets use.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "show('recipes')", "Recipes", show=False),
        Binding("2", "show('runs')", "Runs", show=False),
        Binding("3", "show('queue')", "Queue", show=False),
        Binding("question_mark", "help", "Help"),
        Binding("ctrl+p", "command_palette", "Commands"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+q,ctrl+c", "leave", "Quit", show=False),
    ]

    live_runs = reactive(0)
    waiting_runs = reactive(0)
    live_jobs = reactive(0)
    turn = reactive("")

    def __init__(self, runs_dir: Path | None = None, *, offline: bool = False) -> None:
        """Make the app.

        Args:
            runs_dir: The folder of runs; None for the default of `user_folders.runs`.
            offline: Whether runs make no network call.
        """
        super().__init__()
        self._runs_dir = runs_dir
        self.offline = offline
        self.person = Person.read()
        self.settings = Settings.load()
        self.deleted: list[list[Deleted]] = []
        self.runs_changed: Signal[None] = Signal(self, "runs-changed")
        self._jobs: list[BackgroundJob] = []
        self._live: set[RunFolder] = set()
        self._palette = PaletteFilter()
        self._visible = ControlCharacterFilter()
        self.error_console = PlainConsole(sys.stderr)
        for theme in THEMES:
            self.register_theme(theme)
        if self.settings.theme in self.available_themes:
            self.theme = self.settings.theme

    @cached_property
    def runs_dir(self) -> Path:
        """The folder of runs."""
        return user_folders.runs(self._runs_dir)

    @cached_property
    def summaries(self) -> Summaries:
        """The runs in the folder."""
        from ftapp.experiments.listing import Summaries

        return Summaries(self.runs_dir)

    def get_default_screen(self) -> Screen[None]:
        return RecipesScreen()

    def on_mount(self) -> None:
        self.set_interval(_LIVE_SECONDS, self._count_live)
        self.call_after_refresh(self._count_live)
        self.call_after_refresh(_collect_garbage)
        self.theme_changed_signal.subscribe(self, lambda theme: self._remember_theme(theme.name))
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))  # the terminal shows nothing of it

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _mark_panes(self, event: events.DescendantFocus | events.DescendantBlur) -> None:
        mark_focused_panes(event.widget)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**super().get_theme_variable_defaults(), **SERIES}

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = [self._visible, *no_color.replace_monochrome(super().get_line_filters())]
        return [*filters, self._palette] if self.console.color_system == "256" and not self.is_headless else filters

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a note. Square brackets in it are never markup, since notes quote names and errors."""
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from ftapp.tui.commands import list_commands

        yield from list_commands(self, screen, super().get_system_commands(screen), self._jobs)

    def action_show(self, place: str) -> None:
        """Go to the recipes, the runs or the queue, and close the screens above. Where that loses work, ask first."""
        from ftapp.tui.dialogs.dialog import Dialog

        if unsaved := self._describe_unsaved():
            dialog = Dialog("Leave without saving?", unsaved, ["Leave", "Stay"])
            self.push_screen(dialog, lambda choice: self._show(place) if choice == "Leave" else None)
        else:
            self._show(place)

    def _show(self, place: str) -> None:
        from ftapp.tui.screens.queue import QueueScreen
        from ftapp.tui.screens.runs import RunsScreen

        while len(self.screen_stack) > 1:
            self.pop_screen()
        if place == "runs":
            if not self.is_screen_installed("runs"):  # it stays, with its marks, its filter and its cursor
                self.install_screen(RunsScreen(), "runs")
            self.push_screen("runs")
        elif place == "queue":
            self.push_screen(QueueScreen())

    def _describe_unsaved(self) -> str:
        """Describe what closing all screens would lose."""
        from ftapp.tui.page import Page

        return " ".join(screen.unsaved for screen in self.screen_stack if isinstance(screen, Page) and screen.unsaved)

    def action_help(self) -> None:
        """Show what the screen is for, and its keys."""
        from ftapp.tui.dialogs.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_leave(self) -> None:
        """Close the interface. Where work would be lost or runs are running, ask first."""
        from ftapp.tui.actions.leave import leave

        leave(self, self._describe_unsaved(), self._jobs)

    @work
    async def close(self) -> None:
        """Close the interface, and end its jobs."""
        await asyncio.gather(*(job.cancel() for job in self._jobs))  # and wait for the ends of their processes
        self.workers.cancel_all()  # before their widgets go
        self.exit()

    def may(self, access: Access, owner: str = "") -> bool:
        """Tell whether the person may do something; where not, say why.

        Args:
            access: What is to be done.
            owner: The name of the person who has begun what is to be changed.
        """
        if obstacle := self.person.find_obstacle(access, owner):
            self.notify(obstacle, severity="warning")
        return obstacle is None

    def configure(self, draft: Draft) -> None:
        """Open a recipe, to be looked at and changed before it runs."""
        if not self.may("use"):
            return
        from ftapp.tui.editor.configure import ConfigureScreen

        self.push_screen(ConfigureScreen(draft))

    def start(self, draft: Draft) -> None:
        """Start a draft's run or experiment, detached from the interface, and show it.

        Where the recipe or its data have an error, the error is shown instead.
        """
        self._start(draft)

    @work(exclusive=True, group="start")
    async def _start(self, draft: Draft) -> None:
        from ftapp.runs.run_folder import RunFolder
        from ftapp.tui.actions.start import await_refusal, start

        started = await start(self, draft)
        if started is None:
            return
        self._count_live()
        if isinstance(started, RunFolder):
            self.open_run(started)
        else:
            self.open_experiment(started)
        self.run_worker(await_refusal(self, started))

    @work
    async def add_to_queue(self, draft: Draft) -> None:
        """Add a draft to the queue, whose process outlives the interface."""
        from ftapp.tui.actions.start import add_to_queue

        if await add_to_queue(self, draft):
            self.notify(
                "It runs when its turn comes, also while the interface is closed. 3 shows the queue.", title="Queued"
            )

    @work(exclusive=True, group="resume")
    async def resume(self, run: RunFolder) -> None:
        """Resume a run whose process has ended, after the questions that it needs, and show it."""
        from ftapp.runs.event_reader import read_last_time
        from ftapp.tui.actions.resume import await_refused_resume, resume
        from ftapp.tui.screens.run import RunScreen

        begun = read_last_time(run.events_file)
        if not await resume(self, run):
            return
        self._count_live()
        self.run_worker(await_refused_resume(self, run, begun))
        if isinstance(self.screen, RunScreen) and self.screen.run == run:
            self.screen.follow()
        else:
            self.open_run(run)

    def open_run(self, run: RunFolder) -> None:
        """Show a run, live or ended."""
        from ftapp.tui.screens.run import RunScreen

        self.push_screen(RunScreen(run))

    def open_experiment(self, experiment: Experiment) -> None:
        """Show an experiment's arms beside each other, or the trials of a sweep, live or ended."""
        from ftapp.tui.screens.experiment import ExperimentScreen
        from ftapp.tui.screens.sweep import SweepScreen

        self.push_screen((SweepScreen if experiment.is_sweep else ExperimentScreen)(experiment))

    @work
    async def empty_trash(self) -> None:
        """Remove deleted runs for good, after a question."""
        from ftapp.tui.actions.deletion import empty_trash

        if self.may("manage"):
            await empty_trash(self)

    def start_job(self, job: BackgroundJob) -> None:
        """Do a job, and show it. It goes on when its dialog is left, and ends with the interface."""
        self._jobs.append(job)
        self._do_job(job)
        self.show_job(job)

    def show_job(self, job: BackgroundJob) -> None:
        """Show the progress or the result of a job."""
        from ftapp.tui.dialogs.job import JobDialog

        self.push_screen(JobDialog(job))

    @work(group="jobs")
    async def _do_job(self, job: BackgroundJob) -> None:
        self.live_jobs += 1
        try:
            await job.run()
        finally:
            self.live_jobs -= 1
        is_shown = any(getattr(screen, "job", None) is job for screen in self.screen_stack)
        if job.result and not is_shown:
            severity: SeverityLevel = "warning" if job.result.is_doubtful else "information"
            self.notify(f"{job.result.summary}\n{job.result.path}", title=job.title, severity=severity, timeout=12)
        elif job.status == "failed" and not is_shown:
            self.notify(job.error, title=f"{job.title} failed", severity="error", timeout=12)

    def compare(self, chosen: Sequence[RunFolder]) -> None:
        """Show two or more runs beside each other."""
        from ftapp.tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(list(chosen)))

    def try_model(self, run: RunFolder) -> None:
        """Use the model that a run has saved."""
        from ftapp.tui.screens.try_it import TryScreen

        self.push_screen(TryScreen(run))

    def open_path(self, path: Path) -> None:
        """Open a file or folder, as `ftapp.tui.desktop` says."""
        from ftapp.tui import desktop

        desktop.show(self, path)

    def copy_command(self, command: str) -> None:
        """Copy a command line, and show it."""
        self.copy_to_clipboard(command)
        self.notify(command, title="Copied", timeout=10)

    @work(exclusive=True, group="live")
    async def _count_live(self) -> None:
        runs = await asyncio.to_thread(lambda: [each for each in self.summaries.read() if not each.experiment])
        live = {each.run for each in runs if each.goes_on}
        ended = [each for each in runs if each.run in self._live - live]
        waiting = sum(each.status == "waiting" for each in runs)
        self._live, self.live_runs, self.waiting_runs = live, len(live) - waiting, waiting
        if self.person.name:
            from ftapp.experiments.queue import Queue
            from ftapp.experiments.queue_entries import find_turn

            with suppress(RunError):  # the screen of the queue says what is wrong with it
                entries = await asyncio.to_thread(Queue.of(self.runs_dir).list_entries)
                self.turn = find_turn(entries, self.person.name)
        if ended:
            from ftapp.tui.actions.bell import wants_bell

            if await asyncio.to_thread(wants_bell, ended):
                self.bell()

    def _remember_theme(self, name: str) -> None:
        self.settings.theme = name
        self.settings.save()


def _collect_garbage() -> None:
    """Switch garbage collection on where `ftapp.__main__` has postponed it. Objects that exist by now are left out."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def run_app(runs_dir: Path | None, *, offline: bool) -> None:
    """Open the interface and return when it is closed.

    Args:
        runs_dir: The folder of runs; None for the default.
        offline: Whether runs make no network call.

    Raises:
        RunError: The user has no home folder to keep runs in.
    """
    plain_text.prepare(sys.__stderr__)  # the stream that Textual draws on
    capabilities.query()
    app = FtApp(user_folders.runs(runs_dir), offline=offline)
    if app.person.role == "viewer":
        only_show(app.runs_dir)
    app.run()
