"""A run as scripts and notebooks hold it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.common.console import PlainConsole
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.common.safe_files import explain_lost_folder, is_file
from ftapp.experiments.experiment_folder import Experiment
from ftapp.launchers.stop import send
from ftapp.recipe import Recipe
from ftapp.runs import commands, following, run_folder
from ftapp.runs.events import AnyEvent
from ftapp.runs.history import History
from ftapp.runs.narrator import Narrator
from ftapp.runs.outcome import build_outcome
from ftapp.runs.steps import FIELDS

_FAILED = ("failed", "crashed", "refused")


class Run:
    """A run: a process that trains, and a folder with everything that it records.

    The process outlives this object and the program that has started it. Everything here is read from the folder, so a
    `Run` can be made of any run's folder, on any machine that sees it.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open the folder of a run.

        Args:
            folder: The folder.

        Raises:
            RunError: It is not the folder of a run.
        """
        self._files = run_folder.RunFolder(Path(folder).expanduser().absolute())
        if is_file(Experiment(self.folder).facts_file):
            raise RunError(f"'{folder}' is the folder of an experiment; its runs have folders of their own")
        if not self._files.recipe_file.is_file():
            raise RunError(f"'{folder}' is not the folder of a run: it has no {self._files.recipe_file.name}")

    def __repr__(self) -> str:
        return f"<ftapp.Run {self.name}: {self.status}>"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._files.folder

    @property
    def name(self) -> str:
        """The name of the folder, by which commands find the run."""
        return self.folder.name

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe.

        Raises:
            RecipeError: It cannot be read.
        """
        return recipes.load(self._files.recipe_file)

    @property
    def status(self) -> str:
        """The status: running, waiting, done, failed, refused, interrupted, unfinished, pruned or crashed."""
        return self._files.status()

    @property
    def history(self) -> History:
        """What the run has recorded so far, read again at each access."""
        return self._files.history()

    @property
    def result(self) -> dict[str, Any]:
        """The result as `ftapp run --json` prints it: status, metrics, proofs, warnings, seconds and more."""
        name = str(self._files.environment().get("recipe") or self.name)
        return build_outcome(self._files, name, self.history, self.recipe)

    @property
    def steps(self) -> dict[str, list[float]]:
        """The training steps by columns, one value for each step: `pandas.DataFrame(run.steps)` makes a table.

        The columns are step, epoch, loss, rate (the learning rate), seconds, memory (bytes), time (seconds since the
        Unix epoch), gradient_norm (NaN where it is not recorded), and each metric of training.
        """
        steps = self.history.steps
        return {name: list(steps.column(name)) for name in (*FIELDS, *steps.metrics)}

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The evaluations in order, each with step, split, examples, whether it is final, and its metrics."""
        return [
            {
                "step": each.step,
                "split": each.split,
                "examples": each.examples,
                "final": each.final,
                **each.values,
            }
            for each in self.history.evaluations
        ]

    def follow(self) -> Iterator[AnyEvent]:
        """Yield the run's events, those so far and those to come, until its process ends."""
        for event, _ in following.follow(self._files, self._files.alive):
            if event is not None:
                yield event

    def wait(self, *, timeout: float | None = None, narrate: bool = False) -> dict[str, Any]:
        """Wait until the run's process has ended. Ctrl-C ends the waiting, and the run goes on.

        Args:
            timeout: How many seconds to wait at most; None for as long as it takes.
            narrate: Whether to tell on stderr how the run gets on, as `ftapp run` does.

        Returns:
            The result (`Run.result`).

        Raises:
            TimeoutError: The run goes on after `timeout` seconds.
            RunError: The run failed; the error says why.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if narrate:
            with Narrator(self._files, PlainConsole(sys.stderr)) as narrator:
                self._wait(deadline, narrator)
        else:
            self._wait(deadline, None)
        if lost := explain_lost_folder(self._files.folder):
            raise RunError(f"{self.name}: {lost}")
        found = self.result
        if found["status"] in _FAILED:
            raise RunError(f"{self.name} {found['status']}: {self._explain_end(found['error'])}")
        return found

    def _wait(self, deadline: float | None, narrator: Narrator | None) -> None:
        for event, history in following.follow(self._files, self._files.alive):
            if narrator and event is not None:
                narrator.tell(event, history)
            elif narrator:
                narrator.look()
            if event is None and deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"{self.name} goes on, after {format_quantity(len(history.steps), 'step')}")

    def _explain_end(self, error: str | None) -> str:
        if error:
            return error
        lines = self._files.last_log_lines()
        return "its process ended without an error message" + (f"; its log ends: {lines[-1]}" if lines else "")

    def stop(self) -> None:
        """Ask the run to end after its current step and to save its model. `wait` waits for that.

        A run that waits for a machine of a cluster is cancelled.

        Raises:
            RunError: The run has ended already.
        """
        send(self._files, commands.Stop())
