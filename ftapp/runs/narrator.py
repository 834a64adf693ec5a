"""Narration of a run on a console while it goes on, and why it did not end well."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.text import Text

from ftapp.common import formatting
from ftapp.common.errors import Problem
from ftapp.common.safe_files import explain_lost_folder
from ftapp.recipe.metrics import get_metric
from ftapp.runs import narration
from ftapp.runs.events import AnyEvent, Progressed
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseStarted, Stepped
from ftapp.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_SECONDS = 10.0
_PLACE_SECONDS = 1.0  # a folder on a shared disk is not looked into more often


class Narrator:
    """Tells a run: by a progress bar with live metrics on a terminal, by plain lines now and then elsewhere."""

    def __init__(self, run: RunFolder, console: Console) -> None:
        self._run, self._console = run, console
        self._waits = False  # for room on its disk
        self._place, self._looked = "", 0.0
        self._bar: Progress | None = None
        self._last_line = 0.0
        self.say(f"run {run.folder}")
        if self._console.is_terminal:
            self._bar = _make_bar(console)
            self._task = self._bar.add_task("starting", total=None, metrics="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(formatting.make_one_line(text)), soft_wrap=True)

    def look(self) -> None:
        """Say once, without an event, that the run waits for room on its disk, and where a cluster has it.

        Where a disk is full, or a run waits in a queue, there are no events.
        """
        before, self._waits = self._waits, self._run.waits_for_room()
        if self._waits and not before:
            self.say(narration.FULL_DISK)
        if time.monotonic() - self._looked >= _PLACE_SECONDS:
            self._looked = time.monotonic()
            entry = self._run.find_lease()
            place = f"the run {entry.describe()}" if entry else self._place
            if place != self._place:
                self._place = place
                self.say(place)

    def tell(self, event: AnyEvent, history: History) -> None:
        """Show what one event changes."""
        for line in narration.narrate(event):
            self.say(line)
        match event:
            case PhaseStarted():
                self._show(f"phase {event.phase}", 0, event.steps)
            case Progressed():
                self._show(event.activity, event.done, event.total)
            case Stepped() if history.phases:
                phase = history.phases[-1]
                self._show(
                    f"phase {phase.phase}",
                    event.step - phase.first_step + 1,
                    phase.steps,
                    _format_metrics(event, history),
                )

    def _show(self, activity: str, done: int, total: int | None, metrics: str = "") -> None:
        if self._bar:
            self._bar.update(self._task, description=activity, completed=done, total=total or None, metrics=metrics)
        elif time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{activity}{f' {done}/{total}' if total else ''} {metrics}".rstrip())


def _make_bar(console: Console) -> Progress:
    # Imported here, since without a terminal nobody needs it, and with one the first line stands before it.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[metrics]}", markup=False),
        console=console,
        transient=True,
    )


def _format_metrics(event: Stepped, history: History) -> str:
    measured = "".join(f" {get_metric(name).label} {value:.3f}" for name, value in event.metrics.items())
    speed = history.steps_per_second
    rate = f" {speed:.2f} steps/s" if speed else ""
    return f"loss {event.loss:.4f}{measured}{rate} lr {event.rate:.2g} {event.memory / 2**30:.1f} GiB"


def explain(run: RunFolder, history: History, status: str, *, debug: bool, was_stopped: bool = False) -> None:
    """Say on stderr why a run did not end well. was_stopped: whether its user has asked it to end."""
    if lost := explain_lost_folder(run.folder):
        print(f"{status}: {run.folder.name}: {lost}", file=sys.stderr)
        return
    ended = history.ended
    if ended is None and was_stopped:
        print(f"ended without saving; 'ftapp resume {run.folder.name}' goes on from what was saved", file=sys.stderr)
        return
    if ended is not None and ended.problems:
        for parts in ended.problems:
            print(Problem(*parts), file=sys.stderr)
    elif ended is not None:
        print(f"{status}: {ended.error}", file=sys.stderr)
    else:
        print("crashed: the run's process ended without an error message; last lines of its log:", file=sys.stderr)
    if debug or ended is None:
        print("\n".join(run.last_log_lines(60 if debug else 12)), file=sys.stderr)
    elif status == "failed":
        print(f"its log: {run.log_file}", file=sys.stderr)
