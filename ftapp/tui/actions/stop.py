"""Stopping an experiment from the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftapp.experiments.experiment_folder import Experiment
from ftapp.tui.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


def stop_experiment(app: FtApp, experiment: Experiment) -> None:
    """Stop an experiment and its runs, after a question: the steps to come are lost.

    Args:
        app: Asks the question.
        experiment: The experiment.
    """
    if not app.may("change", str(experiment.facts.get("owner", ""))):
        return

    def confirm(choice: str | None) -> None:
        try:
            if choice == "Stop":
                experiment.stop()
        except OSError as error:
            app.notify(f"{experiment.folder} cannot be written: {error.strerror}", severity="error")

    what = "sweep" if experiment.is_sweep else "experiment"
    text = "Running runs end after their current step and keep their models. No other run starts."
    if app.person.find_obstacle("manage") is None:
        text = f"{text} g resumes a stopped {what}."
    app.push_screen(Dialog(f"Stop this {what}?", text, ["Stop", "Continue"]), confirm)
