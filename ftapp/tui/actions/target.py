"""The run or the experiment that an action is about."""

from __future__ import annotations

from dataclasses import dataclass

from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.listing import Summary
from ftapp.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Target:
    """A run or an experiment that an action is about.

    Attributes:
        run: The run; of an experiment only its folder.
        recipe: The name of its recipe.
        status: Its status.
        experiment: The experiment; None for a run.
        owner: The name of the person who has started it; "" for the user of the machine.
    """

    run: RunFolder
    recipe: str
    status: str
    experiment: Experiment | None = None
    owner: str = ""

    @classmethod
    def of(cls, summary: Summary) -> Target:
        """Make the target of a line in a list."""
        return cls(summary.run, summary.recipe, summary.status, summary.experiment, summary.owner)
