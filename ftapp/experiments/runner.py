"""`ftapp run` of recipes with arms: each arm is a run in a process of its own, several at once if asked.

All that an experiment needs to go on is in its folder: runs that were cut off go on from their checkpoints, those that
have ended stay, and those that never began start.
"""

from __future__ import annotations

import sys

from ftapp.experiments.arms import load_recipes, schedule
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.member import choose_seed, make_member
from ftapp.experiments.slots import CUT_OFF, Slots, Watcher
from ftapp.runs.exit_codes import EXIT_CODES, combine_exit_codes
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import Launcher
from ftapp.runs.run_folder import RunFolder, remove_refused


def run_experiment(experiment: Experiment, launcher: Launcher, interruption: Interruption, *, debug: bool) -> int:
    """Run all arms of an experiment as its folder has it, or go on with it.

    It ends when the data of an arm are refused: without that arm there is nothing to compare.

    Args:
        experiment: The experiment's folder.
        launcher: Starts the runs.
        interruption: Tells when the user wants it to end.
        debug: Whether the output of runs that did not end well is shown.

    Returns:
        The exit code: 130 if interrupted, else 75 if unfinished, else 1 if a run failed, else 2 if one was refused,
        else 0.
    """
    print(f"experiment {experiment.folder}", file=sys.stderr)
    facts, arms = experiment.facts, load_recipes(experiment)
    slots = Slots(experiment, facts["jobs"], launcher, interruption, debug=debug)
    watcher = _Arms(experiment)
    # Without a result, the experiment itself was cut off; a run that is interrupted then was ended by its user alone.
    cut_off = CUT_OFF if experiment.result_file.exists() else CUT_OFF - {"interrupted"}
    known = {(member.arm, member.round): member.run for member in experiment.list_members()}
    is_cut_short = False
    for of, arm in schedule(list(arms), experiment.list_rounds()):
        if (run := known.get((arm, of))) and (status := run.status()) not in cut_off:
            watcher.statuses.append(status)
            continue
        if is_cut_short := not slots.wait_for_room():
            break
        if experiment.refusal:
            break
        name = f"{arm}, fold {of.fold}" if of.fold else arm
        if run:
            slots.resume(run, f"{name}, seed {choose_seed(arms[arm], of)}", watcher, offline=facts["offline"])
            continue
        made = make_member(experiment, arm, of, arms[arm])
        slots.start(made.run, f"{name}, seed {made.recipe.seed}", made.environment, watcher)
    slots.wait_for_all()
    # A signal that came when all runs had ended has ended nothing.
    ends = [*watcher.statuses, *([interruption.status] if is_cut_short and interruption.status else [])]
    return combine_exit_codes([EXIT_CODES[status] for status in ends])


class _Arms(Watcher):
    """Notes how the runs of an experiment end."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.statuses: list[str] = []

    def on_end(self, run: RunFolder, status: str, history: History) -> None:
        """Note the status; without the data of an arm there is nothing to compare."""
        self.statuses.append(status)
        if remove_refused(run, history):
            self._experiment.refuse(run, str(history.ended and history.ended.error))
