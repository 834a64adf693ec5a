"""The process of an experiment that outlives who started it: from its folder to its result.

Started by `ftapp.experiments.experiment_folder.launch`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ftapp.common.safe_output import screen_output
from ftapp.experiments import runner
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.interruption import Interruption


def main(folder: Path) -> int:
    """Run the arms of the experiment in `folder`, compare them, and return the exit code."""
    screen_output()  # it goes to the experiment's log
    experiment = Experiment(folder)
    with Interruption() as interruption:
        code = runner.conduct(experiment, interruption, debug=False)
        if experiment.members():
            from ftapp.report.experiment import conclude  # here, so that the runs have the memory that it takes

            conclude(experiment)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
