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
from ftapp.experiments import experiment_lookup
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs import outcome
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.narrator import Narrator
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs

RECORDED = Path(__file__).parents[1] / "recorded"
RUNS_SHOWN = Path("~/.local/share/ftapp/runs")
WIDTH = 100
_ASKED = re.compile(r"^```sh\n(?P<commands>[^`]+?)\n```\n\n<!-- output -->$", re.MULTILINE)


def insert_outputs(markdown: str) -> str:
    """Insert the output of the commands for which a page asks."""
    return _ASKED.sub(_insert_output, markdown)


def run_command(command: str) -> str:
    """Run a command of ftapp, with the recorded runs as the runs that there are.

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
            elif found := _find_experiment(folder, words[1]):
                text = _invoke(["report", found.folder.name])
            else:
                text = _narrate(find_single_run(folder, words[1]))
        return text.replace(str(folder), str(RUNS_SHOWN)).rstrip()


def find_single_run(runs_dir: Path, recipe_name: str) -> RunFolder:
    """Find the recorded run of a recipe that belongs to no experiment.

    Raises:
        LookupError: If there is none.
    """
    for run in list_runs(runs_dir):
        facts = run.environment()
        if facts["recipe"] == recipe_name and "experiment" not in facts:
            return run
    raise LookupError(f"docs/recorded/ has no run of {recipe_name}; docs/make/record.py adds one")


def _insert_output(asked: re.Match[str]) -> str:
    commands = asked["commands"]
    return f"```sh\n{commands}\n```\n\n```text\n{run_command(commands.splitlines()[-1])}\n```"


def _find_experiment(runs_dir: Path, recipe_name: str) -> Experiment | None:
    found = experiment_lookup.list_experiments(runs_dir)
    return next((each for each in found if each.facts["recipe"] == recipe_name), None)


def _invoke(words: list[str]) -> str:
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def _narrate(run: RunFolder) -> str:
    """What `ftapp run` printed of a run that has ended: its narration and its result, from its events."""
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, record=True)
    facts, shown, history = run.environment(), RunFolder(RUNS_SHOWN / run.folder.name), History()
    narrator = Narrator(shown, console)
    for event in read(run.events_file):
        history.apply(event)
        narrator.tell(event, history)
    result = {"recipe": facts["recipe"], "run": str(shown.folder), "status": run.status(history)}
    result |= history.summary() | outcome.summarize_outcome(history, recipe.load(run.recipe_file))
    result["model"] = str(shown.model_folder) if history.saved else None
    print_result(result, console)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())
