"""Runs that go on: from any checkpoint to the weights and events of the run that was never interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ftapp import recipe as recipes
from ftapp.common.locks import hold_lock
from ftapp.recipe.schedule import lengthen
from ftapp.runs import run_creation
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.commands import Freeze, Unfreeze
from ftapp.runs.environment import make_environment
from ftapp.runs.event_reader import read
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.history import History
from ftapp.runs.replay import ReplayedCommand, write_commands
from ftapp.runs.resuming import find_same
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs
from tests.conftest import Do, Finished
from tests.support.backends import BACKENDS, QUICK_XLA
from tests.support.checkpoints import cut_back
from tests.support.histories import without_clocks
from tests.support.presets import Tiny
from tests.support.processes import Start
from tests.support.recipes import EVERY_STEP

FINETUNE = """
[[phase]]
name = "finetune"
layers = ["freeze all", "train last:1", "train head"]
steps = 5
batch_size = 8
learning_rate = { backbone = 0.001, head = 0.01 }
"""

TWO_PHASES = (
    """
[augment]
flip = "horizontal"
rotation = 10
views = 2
"""
    + FINETUNE
)


def go_on(run: RunFolder) -> tuple[int, History]:
    """Go on with a run, as its own process would: (exit code, history)."""
    from ftapp.workers import run as run_worker

    code = run_worker.main(run.folder)
    return code, History.of(read(run.events_file))


def check_goes_on(run: RunFolder, whole: History, steps: Sequence[int]) -> None:
    """Go on with a run from checkpoints to the weights and events that it has at its end."""
    assert whole.saved is not None
    for step in steps:
        code, again = go_on(cut_back(run, step))
        assert code == 0
        assert again.saved is not None
        assert again.saved.weights == whole.saved.weights, step
        assert [(each.step, each.inexact) for each in again.resumed] == [(step, [])]
        assert without_clocks(again) == without_clocks(whole)


def start_resume(run: RunFolder) -> subprocess.Popen[str]:
    """Start `ftapp resume` of a run."""
    command = [sys.executable, "-m", "ftapp.cli", "resume", str(run.folder), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


RECIPES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "text": ("text_recipe", "", ("phase.finetune.schedule=linear", "model.label_smoothing=0.1")),
    "two-phases": ("image_recipe", TWO_PHASES, ("model.dropout=0.2",)),
    "uncached": (
        "image_recipe",
        TWO_PHASES,
        ("frozen.cache=false", "phase.finetune.layer_decay=0.9", "balance.sampling=balanced", "balance.focal_gamma=1"),
    ),
    "mixed": (
        "image_recipe",
        TWO_PHASES,
        ("augment.rand_augment=0.3", "augment.mixup=0.4", "augment.cutmix=1", "balance.focal_gamma=1"),
    ),
    "language-model": ("lm_recipe", "", ("samples.every=3", "phase.finetune.ema=0.8")),
    "completions": ("completion_recipe", "", ("samples.every=5",)),
    "accumulated": (
        "text_recipe",
        "",
        ("phase.finetune.accumulate=3", "phase.finetune.weight_decay=0.1", "phase.finetune.weight_decay_on=kernels"),
    ),
    "averaged": ("image_recipe", TWO_PHASES, ("phase.head.ema=0.9", "phase.finetune.swa=0.25", "keep.best=loss")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_run_goes_on_from_any_step_to_the_same_weights(name: str, do: Do, request: pytest.FixtureRequest) -> None:
    base, more, overrides = RECIPES[name]
    code, whole, run = do(request.getfixturevalue(base) + more, *overrides, *EVERY_STEP)
    assert code == 0
    assert whole.saved is not None
    steps = [step for step, _ in list_checkpoints(run)]
    assert steps == list(range(len(whole.steps), 0, -1))
    check_goes_on(run, whole, steps[:: max(1, len(steps) // 3)][:3])


def test_a_job_that_is_called_again_and_again_ends_with_the_same_weights(
    do: Do, image_recipe: str, start: Start, tmp_path: Path
) -> None:
    short = "phase.head.steps=2"
    _, whole, other = do(image_recipe, short)
    folder = tmp_path / "jobs"
    recipe = tmp_path / "mine.toml"
    recipe.write_text(image_recipe.replace("tiny images", "my images"), encoding="utf-8")
    results: list[dict[str, Any]] = []
    says: list[str] = []
    while not results or results[-1]["status"] == "unfinished":
        assert len(results) < 4, says
        # Less than a process needs to start: each makes one step, and the last finds none left.
        process = start(
            "mine.toml", "--set", short, "--resume", "auto", "--max-time", "0.1s", "--json", runs_dir=folder
        )
        out, err = process.communicate()
        results.append(json.loads(out))
        says.append(err)
        assert process.returncode == EXIT_CODES[results[-1]["status"]], err
    assert [(each["status"], each["steps"]) for each in results] == [("unfinished", 1), ("unfinished", 2), ("done", 2)]
    assert whole.saved is not None
    assert results[-1]["weights"] == whole.saved.weights
    assert results[-1]["metrics"] == whole.summary()["metrics"]
    assert {each["run"] for each in results} == {str(run.folder) for run in list_runs(folder)}
    assert "a new one starts" in says[0]
    assert "and is unfinished: it goes on" in says[1]
    assert "the run is unfinished after step 1\n" in says[0]
    assert "goes on with it" in says[0]

    # What counts as the same run, now that one is done.
    resolved = recipes.load(recipe, None, [short])
    assert find_same(folder, resolved) is None
    [run] = list_runs(folder)
    run.events_file.write_bytes(b"")
    assert find_same(folder, resolved) == run, "a crashed one goes on"
    assert find_same(folder, recipes.load(recipe, None, ["phase.head.steps=3"])) is None
    assert find_same(folder, recipes.load(recipe, None, [short, "seed=1"])) is None
    with hold_lock(run.lock_file, fcntl.LOCK_EX):
        assert find_same(folder, resolved) is None
    assert find_same(other.folder.parent, resolved) is None, "it is done"


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_a_steered_run_goes_on_exactly_on_other_backends(
    backend: str, image_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the process that began it, and in another one, as users resume it."""
    monkeypatch.setenv("XLA_FLAGS", QUICK_XLA)
    file = tmp_path / "mine.toml"
    file.write_text(image_recipe + TWO_PHASES, encoding="utf-8")
    resolved = recipes.load(file, None, [f"backend={backend}", "model.dropout=0.2", *EVERY_STEP])
    run = run_creation.create(resolved, "mine", None, tmp_path / "runs")
    planned = [
        ReplayedCommand(phase_index=0, step=2, command=Unfreeze(layers="last:1")),
        ReplayedCommand(phase_index=1, step=11, command=Freeze(layers="block2_conv1")),
    ]
    write_commands(run, planned)
    environment = os.environ | make_environment(resolved.backend, offline=True)
    subprocess.run([sys.executable, "-c", GO_ON_AT_12, str(run.folder)], env=environment, check=True)
    whole = run.history().summary()
    (copy,) = (each for each in list_runs(tmp_path / "runs") if each.folder != run.folder)
    resumed = [copy.history().summary()]
    assert resumed[0]["resumed"] == [{"step": 12, "inexact": []}]
    copy = cut_back(run, 5)
    copy.replay_file.unlink(missing_ok=True)
    out, err = start_resume(copy).communicate()
    resumed.append(json.loads(out))
    assert resumed[1]["resumed"] == [{"step": 5, "inexact": []}], err
    for again in resumed:
        assert again["weights"] == whole["weights"]
        assert again["weights_step"] == whole["weights_step"]
        assert again["history"] == whole["history"]
    assert [len(phase["layer_changes"]) for phase in whole["phases"]] == [1, 1]


# Most of the time of these processes goes into importing a backend.
GO_ON_AT_12 = """
import sys
from pathlib import Path
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run import main
from tests.support.checkpoints import cut_back
run = RunFolder(Path(sys.argv[1]))
assert main(run.folder) == 0
copy = cut_back(run, 12)
copy.replay_file.unlink(missing_ok=True)
assert main(copy.folder) == 0
"""


def test_the_time_of_a_phase_leaves_out_the_start_of_another_process(ended: Finished) -> None:
    whole, run = ended
    assert whole.model is not None
    _, again = go_on(cut_back(run, 4))
    before = whole.steps[4].time - whole.model.time
    after = again.ended_phases[0].time - again.resumed[0].time
    assert again.ended_phases[0].seconds < before + after


def test_a_run_without_a_checkpoint_begins_again(ended: Finished) -> None:
    whole, run = ended
    shutil.rmtree(run.checkpoints_folder)
    code, again = go_on(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [0]
    assert again.saved
    assert whole.saved
    assert again.saved.weights == whole.saved.weights
    assert without_clocks(again) == without_clocks(whole)


def test_a_run_that_has_ended_goes_on_as_a_longer_one_would_have(do: Do, image_recipe: str) -> None:
    _, longer, _ = do(image_recipe, "phase.head.steps=15")
    _, _, run = do(image_recipe, "phase.head.steps=12")
    recipe = recipes.load(run.recipe_file)
    run.recipe_file.write_text(lengthen(recipe, 15).to_toml(), encoding="utf-8")
    code, again = go_on(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [12]
    assert again.phases[0].steps == 15
    assert again.saved
    assert longer.saved
    assert again.saved.weights == longer.saved.weights


def test_a_changed_recipe_is_refused_unless_asked_for(
    ended: Finished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = ended
    run = cut_back(run, 4)
    text = run.recipe_file.read_text("utf-8")
    run.recipe_file.write_text(text.replace("learning_rate = 0.01", "learning_rate = 0.02"), encoding="utf-8")
    before = run.events_file.read_bytes()
    code, history = go_on(run)
    assert code == 2
    assert "recipe.toml was changed" in capsys.readouterr().err
    assert run.events_file.read_bytes().startswith(before)
    assert "recipe.toml was changed" in history.notes[-1].message
    assert len(history.steps) == 9  # as before
    monkeypatch.setenv("FTAPP_RESUME_ANYWAY", "1")
    code, history = go_on(run)
    assert code == 0
    assert history.resumed[0].inexact == ["recipe.toml was changed"]


@pytest.mark.slow
def test_changed_examples_are_noticed(do: Do, text_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_bytes(tiny.reviews.read_bytes())
    _, whole, run = do(text_recipe, f"data.source=csv:{mine}", *EVERY_STEP)
    mine.write_bytes(mine.read_bytes().replace(b"good", b"fine"))
    code, history = go_on(cut_back(run, 9))
    assert code == 1
    assert "the training examples are not those that the run has seen" in history.notes[-1].message
    assert history.saved == whole.saved  # the log is as it was
    process = start_resume(cut_back(run, 5))
    out, err = process.communicate()
    assert (process.returncode, json.loads(out)["status"]) == (1, "crashed"), "as before"
    assert err.count("the training examples are not those that the run has seen") == 1
    assert "without an error message" not in err
