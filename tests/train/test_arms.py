"""`ftapp run` of a recipe with arms: real processes from the same weights on the same batches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.find_same import is_unfinished
from ftapp.runs import run_lookup
from ftapp.runs.example_results import read_example_results
from ftapp.runs.history import History
from tests.conftest import Do
from tests.support.processes import wait_for
from tests.support.quick_starts import make_command

ARMS = """
[[arm]]
name = "A full"
phase.finetune.layers = []
[[arm]]
name = "B targeted"
"""


@pytest.fixture
def recipe_with_arms(lm_recipe: str, tmp_path: Path) -> Path:
    file = tmp_path / "arms.toml"
    file.write_text(lm_recipe.partition("[samples]")[0] + ARMS, encoding="utf-8")
    return file


def start(file: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        make_command("ftapp.cli", "run", str(file), "--runs-dir", str(folder), *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )


def interrupt(process: subprocess.Popen[str], folder: Path) -> str:
    """Send Ctrl-C once a run of the folder trains, and return what the process has told at its end."""
    wait_for(lambda: any(len(History.of_file(run.events_file).steps) for run in run_lookup.list_runs(folder)))
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=240)[1]


def test_arms_begin_alike_and_see_the_same(recipe_with_arms: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    stdout, stderr = (process := start(recipe_with_arms, folder, "--control", "--jobs", "3", "--json")).communicate()
    assert process.returncode == 0, stderr
    result = json.loads(stdout)
    (weights,), (batches,) = result["hashes"]["weights"], result["hashes"]["batches"]
    assert list(weights) == ["A full", "A full again", "B targeted"]
    assert (len(set(weights.values())), len(set(batches.values()))) == (1, 1)
    assert len(batches["A full"]) == 32
    control, targeted = result["comparisons"]
    assert (control["b"], targeted["b"]) == ("A full again", "B targeted")
    # On a CPU the control is the same run again, number for number.
    assert (control["loss"]["low"], control["loss"]["high"]) == (0, 0)
    assert targeted["loss"]["low"] > 0
    assert targeted["under"]["estimate"] > 0.5
    assert targeted["saved"] is None
    assert Path(result["report"]).is_file()
    found = run_lookup.list_runs(folder)
    assert sorted(run.environment()["arm"] for run in found) == ["A full", "A full again", "B targeted"]


def test_folds_test_on_each_example_once_and_share_features(image_recipe: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.toml", tmp_path / "runs"
    file.write_text(image_recipe, encoding="utf-8")
    stdout, stderr = (process := start(file, folder, "--folds", "2", "--json")).communicate()
    assert process.returncode == 0, stderr
    (found,) = json.loads(stdout)["folds"]
    runs = sorted(run_lookup.list_runs(folder), key=lambda run: run.environment()["fold"])
    kept = [read_example_results(run, run.history().result) for run in runs]
    tested = [each.file for results in kept if results for each in results.found]
    assert len(tested) == len(set(tested)) == found["examples"]
    data = runs[0].history().data
    assert data is not None
    assert found["examples"] == data.train + data.validation + data.test
    accuracy, right = (
        found["metrics"]["accuracy"],
        [each.right for results in kept if results for each in results.found],
    )
    assert accuracy["pooled"] == pytest.approx(sum(map(bool, right)) / len(right))
    assert runs[1].history().ended_phases[0].seconds_saved > 0, "the features of fold 1 serve fold 2"


def test_hashes_tell_what_a_run_began_from_and_has_seen(image_recipe: str, do: Do) -> None:
    plain, other, short = (do(image_recipe, override)[1] for override in ("seed=0", "seed=1", "phase.head.steps=2"))
    assert plain.model
    assert other.model
    assert plain.model.pretrained == other.model.pretrained
    assert plain.model.digest != other.model.digest
    seen = [each.ended_phases[0].batches for each in (plain, other, short)]
    assert {len(each) for each in seen} == {32}
    assert len(set(seen)) == 3


def test_ctrl_c_ends_the_run_that_goes_on_and_starts_no_other(recipe_with_arms: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    process = start(recipe_with_arms, folder, "--set", "phase.finetune.epochs=10000", "--set", "evaluate.every=100000")
    stderr = interrupt(process, folder)
    assert process.returncode == 130
    assert "ending after this step" in stderr
    assert "the arms are not compared" in stderr
    (run,) = run_lookup.list_runs(folder)
    assert run.status() == "interrupted"
    (experiment,) = (Experiment(path) for path in (folder / "experiments").iterdir())
    assert [member.arm for member in experiment.list_members()] == ["A full"]


@pytest.mark.slow
def test_an_experiment_that_was_ended_goes_on_with_its_runs(recipe_with_arms: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    process = start(recipe_with_arms, folder, "--set", "phase.finetune.steps=400", "--set", "evaluate.every=400")
    stderr = interrupt(process, folder)
    (experiment,) = (Experiment(path) for path in (folder / "experiments").iterdir())
    name = experiment.folder.name
    assert f"'ftapp resume {name}' goes on with the experiment" in stderr
    command = make_command("ftapp.cli", "resume", name, "--runs-dir", str(folder), "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)["runs"]] == ["A full", "B targeted"]
    members = experiment.list_members()
    assert [(member.arm, member.run.status()) for member in members] == [("A full", "done"), ("B targeted", "done")]
    assert [len(member.run.history().resumed) for member in members] == [1, 0]
    assert [len(member.run.history().steps) for member in members] == [400, 400]


@pytest.mark.slow
def test_an_experiment_that_is_called_again_and_again_comes_to_its_end(recipe_with_arms: Path, tmp_path: Path) -> None:
    folder, codes, says = tmp_path / "runs", list[int](), list[str]()
    while not codes or codes[-1] == 75:
        assert len(codes) < 10, says
        # Less than a run needs to start: each process makes one step.
        process = start(
            recipe_with_arms,
            folder,
            "--set",
            "phase.finetune.steps=2",
            "--resume",
            "auto",
            "--max-time",
            "1s",
            "--json",
        )
        out, err = process.communicate()
        codes.append(process.returncode)
        says.append(err)
    assert codes[-1] == 0, says
    assert len(codes) >= 3, "each of two runs is cut off, or the second has to wait"
    assert "a new one starts" in says[0]
    assert "the time that --max-time gives is over" in says[0]
    (experiment,) = (Experiment(path) for path in (folder / "experiments").iterdir())
    assert f"'ftapp resume {experiment.folder.name}' goes on with the experiment" in says[0]
    assert all(f"{experiment.folder.name} has this recipe and has not come to its end" in each for each in says[1:])
    assert [each["name"] for each in json.loads(out)["runs"]] == ["A full", "B targeted"]
    members = experiment.list_members()
    assert [(member.arm, member.run.status()) for member in members] == [("A full", "done"), ("B targeted", "done")]
    assert [len(member.run.history().steps) for member in members] == [2, 2]
    assert not is_unfinished(experiment)


_STARTS = """
import sys
from pathlib import Path
from ftapp.experiments.options import Options
from ftapp.tui.editor.draft import Draft
draft = Draft(Path(sys.argv[1]), None, {"phase.finetune.epochs": 10000}, Options(repeats=2))
print(draft.start(Path(sys.argv[2]), offline=True).folder)
"""


def test_a_detached_experiment_outlives_who_started_it_and_stops_when_asked(
    recipe_with_arms: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _STARTS, str(recipe_with_arms), str(tmp_path / "runs")]
    experiment = Experiment(Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()))
    assert experiment.alive()
    wait_for(lambda: any(len(History.of_file(each.run.events_file).steps) for each in experiment.list_members()))
    assert experiment.status(["running"]) == "running"
    experiment.stop()
    wait_for(lambda: not experiment.alive())
    [member] = experiment.list_members()
    assert (member.arm, member.round.repeat, member.run.status()) == ("A full", 1, "interrupted")
    assert experiment.status(["interrupted"]) == "interrupted"
    assert json.loads(experiment.result_file.read_text("utf-8"))["report"] is None


def test_a_refused_arm_starts_nothing(recipe_with_arms: Path, tmp_path: Path) -> None:
    process = start(recipe_with_arms, tmp_path / "runs", "--set", 'arm.B targeted.model.preset="nowhere"')
    stdout, stderr = process.communicate()
    assert process.returncode == 2
    assert stdout == ""
    assert "nowhere" in stderr
    assert not (tmp_path / "runs").exists()
