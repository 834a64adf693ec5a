"""The process of an experiment that outlives who started it: from its folder to its result.

A launcher starts it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ftapp.common import confinement
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_output import screen_output
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.runner import run_experiment
from ftapp.launchers.choose import make_launcher
from ftapp.launchers.target import parse_target
from ftapp.runs.interruption import Interruption


def main(folder: Path) -> int:
    """Run the arms of an experiment and compare them.

    Args:
        folder: The experiment's folder.

    Returns:
        The exit code.
    """
    screen_output()  # it goes to the experiment's log
    experiment = Experiment(folder)
    try:
        return _carry_out(experiment)
    except (OSError, RecipeError, RunError) as error:  # the last line of the log says why there is no result
        print(error, file=sys.stderr)
        return 1


def _carry_out(experiment: Experiment) -> int:
    launcher = make_launcher(parse_target(experiment.facts.get("on", "local")))
    with Interruption(launcher) as interruption:
        if experiment.is_sweep:
            from ftapp.search.runner import run_sweep  # here, since only a sweep needs Optuna

            code = run_sweep(experiment, launcher, interruption, debug=False)
        else:
            code = run_experiment(experiment, launcher, interruption, debug=False)
        if experiment.list_members():
            from ftapp.report.experiment import write_result  # here, so that the runs have the memory that it takes

            with interruption.excuse_full_disk("the result"):
                write_result(experiment)
    return code


if __name__ == "__main__":
    confinement.enter()
    sys.exit(main(Path(sys.argv[1])))
