"""Commands to a running run: their questions, their sending, and the answers of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ftapp.common.errors import RunError
from ftapp.launchers.stop import send
from ftapp.runs import commands
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


_Found = TypeVar("_Found")


class RunCommands:
    """Sends commands to a run.

    Args:
        app: Asks questions, and shows errors and answers.
        run: The run.
    """

    def __init__(self, app: FtApp, run: RunFolder) -> None:
        self._app, self._run = app, run
        self._owner = str(run.environment().get("owner", ""))
        self._sent: dict[str, str] = {}  # the names of unanswered commands, by id

    def send(self, command: commands.AnyCommand) -> None:
        """Send a command, if the person may change the run."""
        if not self._app.may("change", self._owner):
            return

        def try_to_send() -> bool | RunError:
            try:
                return send(self._run, command)
            except RunError as error:
                return error

        def tell(outcome: bool | RunError) -> None:
            if isinstance(outcome, RunError):
                self._app.notify(str(outcome), severity="error")
            elif outcome:
                self._sent[command.id] = command.name
            else:
                self._app.notify("The run was cancelled while it waited for a machine.")

        self._find(try_to_send, tell)

    def _find(self, find: Callable[[], _Found], use: Callable[[_Found], None]) -> None:
        """Use an answer for which Slurm may be asked. That takes seconds, so it is done aside for runs on clusters."""

        async def find_aside() -> None:
            use(await asyncio.to_thread(find))

        if self._run.leases.folder.is_dir():
            self._app.run_worker(find_aside(), group="run commands")
        else:
            use(find())

    def report_answers(self, history: History) -> None:
        """Show the run's answers to commands that were sent from here.

        Args:
            history: The run so far.
        """
        for event in history.controlled:
            if name := self._sent.pop(event.id, None):
                text = f"{name}: done at step {event.step}" if event.applied else f"{name} was refused: {event.reason}"
                self._app.notify(text, severity="information" if event.applied else "warning", timeout=4)

    def ask_to_stop(self) -> None:
        """Stop the run, after a question: the steps to come are lost."""

        def confirm(choice: str | None) -> None:
            if choice == "Stop":
                self.send(commands.Stop())

        def ask(waits: bool) -> None:
            if waits:
                text = "The run waits for a machine and is cancelled."
            else:
                text = "The run ends after the current step and keeps the model."
            text = f"{text} g resumes a stopped run."
            self._app.push_screen(Dialog("Stop this run?", text, ["Stop", "Continue"]), confirm)

        self._find(self._run.waits_for_machine, ask)

    def ask_for_rate(self, history: History) -> None:
        """Ask for another base learning rate, and send it.

        Args:
            history: The run so far, with the rate now.
        """

        def find_wrong(text: str) -> str | None:
            try:
                commands.Rate(base=float(text))
            except ValueError:
                return f"'{text}' is not a learning rate; a rate is a number above 0, such as 1e-4"
            return None

        def send(text: str | None) -> None:
            if text is not None:
                self.send(commands.Rate(base=float(text)))

        now = f"{history.steps.rate[-1]:.3g}" if len(history.steps) else ""
        self._app.push_screen(Ask("Learning rate from the next step on", now, find_wrong), send)
