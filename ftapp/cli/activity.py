"""The progress of a command on stderr, while its results are not there yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ftapp.common.console import PlainConsole

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

_LINE_SECONDS = 10.0


class Activity:
    """Shows how far a command is: by a bar on a terminal, by a line now and then elsewhere.

    It shows nothing before `tell` is called.
    """

    def __init__(self) -> None:
        console = PlainConsole(sys.stderr)
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._is_live, self._last = console.is_terminal, (0.0, "")
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._bar.stop()

    def tell(self, activity: str, done: int, total: int | None) -> None:
        """Show how far an activity is.

        Args:
            activity: What is done, in words; "" ends the display.
            done: How much of it is done, in any unit.
            total: How much there is to do, None where that is not known.
        """
        if not activity and self._is_live:
            self._bar.stop()
        elif self._is_live:
            self._bar.start()
            self._bar.update(self._task, description=activity, completed=done, total=total or None)
        elif activity:
            self._print(activity, done, total)

    def _print(self, activity: str, done: int, total: int | None) -> None:
        now, (then, before) = time.monotonic(), self._last
        if activity != before or now - then >= _LINE_SECONDS:
            self._last = now, activity
            count = f" {done}/{total}" if total else f" {done}" if done else ""
            print(f"{activity}{count}", file=sys.stderr, flush=True)


def check(recipes: Iterable[Recipe]) -> None:
    """Check recipes as `ftapp.data.preflight.check` does, and show meanwhile which large files are read.

    Args:
        recipes: The recipes.

    Raises:
        RecipeError: A backend is not installed, or data cannot be used.
    """
    from ftapp.data import preflight  # here, since NumPy takes a quarter of a second to import

    with Activity() as activity:
        preflight.check(recipes, activity.tell)
