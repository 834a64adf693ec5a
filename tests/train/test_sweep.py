"""`ftapp sweep` with real runs: a win that is real, none where there is none, and a sweep that goes on."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs.run_folder import RunFolder
from tests.support.processes import Start, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(image_recipe: str, start: Start, tmp_path: Path) -> Start:
    """Starts `ftapp sweep`, as the fixture `start` starts `ftapp run`."""
    (tmp_path / "mine.toml").write_text(image_recipe, encoding="utf-8")
    return functools.partial(start, "--json", command="sweep")


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[dict[str, Any], str]:
    """The result and the narration of a sweep that ends."""
    stdout, stderr = process.communicate()
    assert process.returncode == code, stderr
    result: dict[str, Any] = json.loads(stdout)
    return result, stderr


def find_sweep(folder: Path) -> Experiment:
    (found,) = (folder / "runs" / "experiments").iterdir()
    return Experiment(found)


def test_a_better_rate_than_a_bad_one_wins_and_a_poor_trial_is_pruned(sweep: Start, tmp_path: Path) -> None:
    result, stderr = finish(
        sweep(
            *("mine.toml", "--set", "phase.head.learning_rate=1e-6", "--set", "phase.head.epochs=15"),
            *("--over", "phase.head.learning_rate=[1e-6, 2e-6, 0.01, 0.02, 0.03, 0.04]", "--metric", "loss"),
            *("--finalists", "1", "--repeats", "3", "--seed", "3"),  # by which the poor trial comes late
        )
    )
    found = result["sweep"]
    assert found["status"] == "done"
    assert found["winner"] is not None
    (finalist,) = found["finalists"]
    assert (finalist["arm"], finalist["beats"], finalist["seeds"]) == (found["winner"], True, 3)
    assert finalist["difference"]["high"] < 0
    assert found["changes"][0].startswith("phase.head.learning_rate=0.0")
    own, *others = found["trials"]
    assert own["arm"] == "recipe"
    assert own["values"] == {"phase.head.learning_rate": 1e-6}
    assert len({each["values"]["phase.head.learning_rate"] for each in found["trials"]}) == 6
    assert "all 6 settings were tried" in stderr
    (pruned,) = (each for each in others if each["status"] == "pruned")
    assert pruned["values"] == {"phase.head.learning_rate": 2e-6}
    assert pruned["why"].startswith("pruned: the best validation loss so far")
    run = RunFolder(tmp_path / "runs" / pruned["run"])
    assert run.status() == "pruned"
    assert 2 <= len(run.history().evaluations) < 16
    assert pruned["why"] in stderr
    experiment = find_sweep(tmp_path)
    members = experiment.list_members()
    assert (len(members), experiment.planned, experiment.status([])) == (12, 12, "done")
    saved = [member.run.history().ended_phases[0].seconds_saved > 0 for member in members if member.round.repeat == 1]
    assert saved == [False, True, True, True, True, True], "the features of the first trial serve the others"
    assert Path(result["report"]).is_file()
    again, stderr = finish(sweep("--resume", "last"))
    assert again["sweep"]["winner"] == found["winner"]
    assert "nothing is left to run" in stderr
    assert "are run with" not in stderr


def test_no_win_is_claimed_where_the_best_trial_was_lucky(sweep: Start) -> None:
    result, _ = finish(
        sweep(
            *("mine.toml", "--set", "model.hidden=[8]", "--set", "phase.head.epochs=1"),
            *("--over", "model.hidden=[[6], [7]]", "--metric", "loss", "--finalists", "1", "--repeats", "3"),
        )
    )
    found = result["sweep"]
    assert len(found["finalists"]) == 1, "a trial was better than the recipe's own values in the search"
    assert found["winner"] is None
    assert found["changes"] == []
    assert "No setting can be told to be better than the recipe's own values." in found["sentences"]


def test_a_sweep_goes_on_after_ctrl_c_and_after_it_was_killed(sweep: Start, tmp_path: Path) -> None:
    process = sweep(
        *("mine.toml", "--over", "phase.head.learning_rate=[0.01, 0.02, 0.03]", "--repeats", "3", "--finalists", "1"),
        *("--set", "phase.head.epochs=600", "--set", "evaluate.every=1800", "--metric", "loss", "--trials", "3"),
        *("--set", "phase.head.learning_rate=0.03"),  # the best, so that nothing is compared
    )
    wait_for(lambda: (tmp_path / "runs" / "experiments").is_dir() and len(list_steps(find_sweep(tmp_path))) == 1)
    second = sweep("--resume", "last")
    assert "goes on already, in another process" in second.communicate()[1]
    assert second.returncode == 2
    process.send_signal(signal.SIGINT)
    result, _ = finish(process, 130)
    assert result["sweep"]["status"] == "interrupted"
    assert "'ftapp sweep --resume" in result["sweep"]["sentences"][0]
    experiment = find_sweep(tmp_path)
    assert experiment.status([]) == "interrupted"

    process = sweep("--resume", "last")
    wait_for(lambda: len(list_steps(experiment)) == 2)
    process.kill()  # its run goes on
    process.communicate()
    assert experiment.status([]) == "crashed"
    result, _ = finish(sweep("--resume", "last"))
    found = result["sweep"]
    assert (found["status"], found["finalists"]) == ("done", [])
    assert [each["arm"] for each in found["trials"]] == ["recipe", "trial 1", "trial 2"]
    assert {each["status"] for each in found["trials"]} == {"done"}
    assert len({each["values"]["phase.head.learning_rate"] for each in found["trials"]}) == 3
    first, killed, _ = (RunFolder(tmp_path / "runs" / each["run"]).history() for each in found["trials"])
    assert len(first.resumed) == 1
    assert not killed.resumed, "it was followed to its end"


def list_steps(experiment: Experiment) -> list[int]:
    """The steps of the runs that have made some."""
    if not experiment.facts_file.is_file():
        return []
    return [count for member in experiment.list_members() if (count := len(member.run.history().steps))]
