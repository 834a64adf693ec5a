"""What commands print, for the pages of the documentation.

A page writes `<!-- output -->` below a block of commands. The last command of the block is then carried out, and what
it prints is shown. `ftapp run` itself would take minutes: a run and an experiment are told from the folders that real
ones have left in docs/recorded/.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import tempfile
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.cli.app import app
from ftapp.cli.run_result import print_result
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs import outcome
from ftapp.runs.events import read
from ftapp.runs.history import History
from ftapp.runs.narrator import Narrator
from ftapp.runs.run_folder import Run, list_runs

RECORDED = Path(__file__).parents[1] / "recorded"
RUNS_SHOWN = Path("~/.local/share/ftapp/runs")
WIDTH = 100
_ASKED = re.compile(r"^```sh\n(?P<commands>[^`]+?)\n```\n\n<!-- output -->$", re.MULTILINE)


def shown(markdown: str) -> str:
    """A page with the output of the commands that it asks for."""
    return _ASKED.sub(_with_output, markdown)


def output(command: str) -> str:
    """What a command of ftapp prints, with the recorded runs as the runs that there are.

    Args:
        command: A line such as "ftapp compare A B".

    Returns:
        Standard output and, of `ftapp run`, the narration too.
    """
    words = shlex.split(command)[1:]
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        folder = Path(scratch) / "runs"
        shutil.copytree(RECORDED, folder)
        variables = {"FTAPP_RUNS": str(folder), "FTAPP_CACHE": f"{scratch}/cache", "COLUMNS": str(WIDTH)}
        with patch.dict(os.environ, variables):
            if words[0] != "run":
                text = _invoke(words)
            elif found := _experiment(folder, words[1]):
                text = _invoke(["report", found.folder.name])
            else:
                text = _told(single_run(folder, words[1]))
        return text.replace(str(folder), str(RUNS_SHOWN)).rstrip()


def narrate(run: Run, console: Console, shown_as: Path) -> None:
    """Print what `ftapp run` told of a run that has ended: its narration and its result.

    Args:
        run: The folder of the run.
        console: Where it is printed.
        shown_as: The folder that is named in its place.
    """
    facts, shown_run, history = run.environment(), Run(shown_as), History()
    narrator = Narrator(shown_run, console)
    for event in read(run.events_file):
        history.apply(event)
        narrator.tell(event, history)
    result = {"recipe": facts["recipe"], "run": str(shown_as), "status": run.status(history)}
    result |= history.summary() | outcome.table(history, recipe.load(run.recipe_file))
    result["model"] = str(shown_run.model_folder) if history.saved else None
    print_result(result, console)


def _with_output(asked: re.Match[str]) -> str:
    commands = asked["commands"]
    return f"```sh\n{commands}\n```\n\n```text\n{output(commands.splitlines()[-1])}\n```"


def _experiment(folder: Path, recipe_name: str) -> Experiment | None:
    found = experiment_folder.list_experiments(folder)
    return next((each for each in found if each.facts["recipe"] == recipe_name), None)


def single_run(runs_dir: Path, recipe_name: str) -> Run:
    """The recorded run of a recipe that belongs to no experiment.

    Raises:
        LookupError: If there is none.
    """
    for run in list_runs(runs_dir):
        facts = run.environment()
        if facts["recipe"] == recipe_name and "experiment" not in facts:
            return run
    raise LookupError(f"docs/recorded/ has no run of {recipe_name}; docs/make/record.py adds one")


def _invoke(words: list[str]) -> str:
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def _told(run: Run) -> str:
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, record=True)
    narrate(run, console, RUNS_SHOWN / run.folder.name)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())
