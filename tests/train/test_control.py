"""Commands to real runs: pause, resume, checkpoint, learning rate, stop, and signals to a paused run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.cli.app import app
from ftapp.common.errors import RunError
from ftapp.models import saved_model
from ftapp.runs import commands, run_creation
from ftapp.runs.commands import AnyCommand, Checkpoint, Pause, Rate, Resume, Stop
from ftapp.runs.environment import make_environment
from ftapp.runs.history import Follower, History
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from tests.conftest import Do
from tests.support.quick_starts import make_command

Start = Callable[[str], RunFolder]


@pytest.fixture
def launcher() -> LocalLauncher:
    return LocalLauncher()


def process_of(run: RunFolder) -> psutil.Process:
    """The process of a run that this one has started."""
    return next(each for each in psutil.Process().children() if str(run.folder) in each.cmdline())


@pytest.fixture
def start(tmp_path: Path, launcher: LocalLauncher) -> Iterator[Start]:
    """Start a recipe's text as a run of so many steps that it is still going on when the test is through."""

    def start(text: str) -> RunFolder:
        file = tmp_path / "long.toml"
        file.write_text(text, encoding="utf-8")
        phase = recipe.parse(text).phase[0].name
        loaded = recipe.load(file, None, [f"phase.{phase}.steps=1000000", "evaluate.every=1000000"])
        run = run_creation.create(loaded, "long", None, tmp_path / "runs")
        launcher.start(run, make_environment(loaded.backend, offline=True))
        return run

    yield start
    for process in psutil.Process().children():
        if "ftapp.workers.run" in process.cmdline():
            process.kill()
            process.wait()


def wait(run: RunFolder, ready: Callable[[History], bool]) -> History:
    """The run's history once it is ready."""
    follower = Follower(run.events_file)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        while follower.advance():
            pass
        if ready(follower.history):
            return follower.history
        time.sleep(0.05)
    raise AssertionError(f"{run.folder} did not come to this: {follower.history.summary()}")


def answered(run: RunFolder, command: AnyCommand) -> History:
    """Send a command, and the run's history once it has answered."""
    commands.send(run, command)
    return wait(run, lambda history: any(each.id == command.id for each in history.controlled))


@pytest.mark.slow
def test_a_run_obeys(text_recipe: str, start: Start, launcher: LocalLauncher) -> None:
    run = start(text_recipe)
    wait(run, lambda history: len(history.steps) >= 3)
    history = answered(run, Pause())
    assert history.paused
    assert run.status() == "running"
    step = history.controlled[0].step
    assert history.steps[-1].step == step
    living = process_of(run)
    busy = living.cpu_times()
    time.sleep(2)
    idle = living.cpu_times()
    # Two threads of two cores would have done 4 s of work.
    assert idle.user + idle.system - busy.user - busy.system < 1
    assert len(History.of_file(run.events_file).steps) == step

    answered(run, Checkpoint())
    history = answered(run, Checkpoint())
    assert [each.applied for each in history.controlled] == [True, True, False]
    assert "is saved already" in str(history.controlled[-1].reason)
    assert [saved.step for saved in history.checkpoints] == [step]
    folder = run.folder / history.checkpoints[0].folder
    assert folder == run.snapshot_folder(step)
    assert not list(run.folder.glob("checkpoints/*.tmp"))
    answered(run, Rate(base=0.0625))
    answered(run, Resume())
    history = wait(run, lambda history: len(history.steps) >= step + 3)
    assert not history.paused
    assert history.steps.step[step] == step + 1  # none is lost or done twice
    assert set(history.steps.rate[:step]) == {0.003}
    assert set(history.steps.rate[step:]) == {0.0625}
    # The pause is no step's time.
    assert history.steps[step].seconds < history.steps[step].time - history.controlled[0].time - 2

    answered(run, Stop())
    assert launcher.wait(run) == 130
    history = History.of_file(run.events_file)
    assert history.ended is not None
    assert history.ended.status == "interrupted"
    assert history.ended.seconds < history.ended.time - run.environment()["created"] - 2
    assert history.ended_phases[0].seconds < history.ended.seconds
    assert not history.ended_phases[0].changed
    with pytest.raises(RunError, match=r"the run has ended \(status: interrupted\)"):
        commands.send(run, Pause())
    kept, last = saved_model.load(folder), saved_model.load(run.model_folder)
    assert kept.classes == last.classes
    assert {path.name for path in folder.iterdir()} == {path.name for path in run.model_folder.iterdir()}
    texts = ["good great film", "bad awful film"]
    assert not np.array_equal(kept.predict(texts), last.predict(texts))
    rates = [
        [layer.rate for layer in trained.model._flatten_layers() if hasattr(layer, "rate")] for trained in (kept, last)
    ]
    # Dropout that is off in frozen layers while the phase goes on is in the model as it was built.
    assert rates[0] == rates[1]
    assert all(rates[0])


def ctl(run: RunFolder, *words: str) -> tuple[int, str]:
    """Send a command to a run as a user does: (exit code, what the command prints)."""
    command = make_command("ftapp.cli", "ctl", str(run.folder), *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("quickly_started")
def test_ctl_steers_a_run_that_can_be_repeated(text_recipe: str, start: Start, launcher: LocalLauncher) -> None:
    run = start(text_recipe)
    wait(run, lambda history: len(history.steps) >= 3)
    assert ctl(run, "pause")[0] == 0
    step = len(run.history().steps)
    assert ctl(run, "pause") == (1, f"{run.folder.name} refused: it is paused already\n")
    assert ctl(run, "lr", "5e-4") == (0, f"lr 5e-4: done after step {step}\n")
    assert ctl(run, "freeze", "embeddings", "first:1") == (0, f"freeze embeddings first:1: done after step {step}\n")
    code, report = ctl(run, "unfreeze", "head")
    assert code == 1
    assert "'head' trains already" in report
    assert ctl(run, "checkpoint")[0] == 0
    assert ctl(run, "resume")[0] == 0
    history = wait(run, lambda history: len(history.steps) >= step + 3)
    assert [each.rules for each in history.layer_changes] == [["freeze embeddings, first:1"]]
    code, report = ctl(run, "unfreeze", "all", "--json")
    assert json.loads(report)["applied"]
    history = wait(run, lambda history: len(history.layer_changes) == 2 and len(history.steps) >= step + 8)
    assert ctl(run, "stop")[0] == 0
    assert launcher.wait(run) == 130
    assert ctl(run, "pause") == (2, "the run has ended (status: interrupted), so it takes no commands\n")

    command = make_command(
        "ftapp.cli", "run", "--replay", str(run.folder), "--json", "--runs-dir", str(run.folder.parent)
    )
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)
    assert outcome["replays"] == {"run": run.folder.name, "equal": True}
    assert outcome["steps"] == len(History.of_file(run.events_file).steps)
    assert [each["step"] for each in outcome["phases"][0]["layer_changes"]] == [
        each.step for each in run.history().layer_changes
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lr"], "lr needs one learning rate and got 0"),
        (["lr", "fast"], "'fast' is not a learning rate"),
        (["lr", "-1"], "'-1' is not a learning rate"),
        (["freeze"], "freeze needs layers"),
        (["freeze", "lastt:2"], "'lastt:2' in 'lastt:2' is no range; a range is first:N, last:N or blocks[A:B]"),
        (["pause", "now"], "pause takes no value; got 'now'"),
        (["jump"], "jump"),
    ],
)
def test_ctl_refuses_wrong_words(words: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["ctl", str(tmp_path), "--", *words] if "-1" in words else ["ctl", "last", *words])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.usefixtures("quickly_started")
def test_a_signal_ends_a_paused_run(image_recipe: str, start: Start, launcher: LocalLauncher) -> None:
    run = start(image_recipe)
    commands.send(run, Pause())  # before the first step
    history = wait(run, lambda history: history.paused)
    assert not history.steps
    process_of(run).send_signal(signal.SIGTERM)
    assert launcher.wait(run) == 75
    history = History.of_file(run.events_file)
    assert history.ended is not None
    assert history.ended.status == "unfinished"
    assert not history.paused
    assert (run.model_folder / "model.keras").is_file()


def test_a_signal_that_comes_before_a_run_can_answer_it_ends_it(
    image_recipe: str, start: Start, launcher: LocalLauncher
) -> None:
    run = start(image_recipe)
    launcher.interrupt(run)
    assert launcher.wait(run) == 130
    history = History.of_file(run.events_file)
    assert history.ended is not None
    assert history.ended.status == "interrupted"
    assert not run.model_folder.exists()


def test_a_checkpoint_changes_nothing(do: Do, image_recipe: str) -> None:
    sets = ("model.dropout=0.3", "model.hidden=[6]")
    plain, (_, saved, run) = do(image_recipe, *sets)[1], do(image_recipe, *sets, commands=[Checkpoint()])
    assert [step.loss for step in saved.steps] == [step.loss for step in plain.steps]
    assert [one.loss for one in saved.evaluations] == [one.loss for one in plain.evaluations]
    assert saved.summary()["checkpoints"] == [{"step": 0, "folder": "checkpoints/step-000000"}]
    start = keras.saving.load_model(run.snapshot_folder(0) / "model.keras", compile=False)
    end = keras.saving.load_model(run.model_folder / "model.keras", compile=False)
    moved = [not np.array_equal(*pair) for pair in zip(start.get_weights(), end.get_weights(), strict=True)]
    assert any(moved)
    assert not all(moved)


def test_a_rate_follows_the_schedule_to_the_end_of_its_phase(do: Do, image_recipe: str) -> None:
    second = '[[phase]]\nname = "again"\nlayers = ["freeze all", "train head"]\nsteps = 2\nlearning_rate = 0.5\n'
    sets = ("phase.head.steps=4", "phase.head.schedule=linear")
    rates = do(image_recipe + second, *sets, commands=[Rate(base=0.08)])[1].steps.rate
    assert list(rates) == pytest.approx([0.08, 0.06, 0.04, 0.02, 0.5, 0.5])


def test_an_absurd_rate_is_refused(do: Do, image_recipe: str) -> None:
    code, history, _ = do(image_recipe, commands=[Rate(base=1.5), Rate(base=1.0)])
    assert code == 0
    assert [each.applied for each in history.controlled] == [False, True]
    assert history.controlled[0].reason == (
        "a rate of 1.5 is 150 times the phase's own, 0.01; a run takes at most 1, since weights diverge at such rates"
    )
    assert set(history.steps.rate) == {1.0}


def test_a_stop_before_the_first_step_saves_the_model(do: Do, image_recipe: str) -> None:
    code, history, run = do(image_recipe, commands=[Stop()])
    assert code == 130
    assert len(history.steps) == 0
    assert history.ended is not None
    assert history.ended.status == "interrupted"
    assert not run.model_folder.exists()  # it had not begun to train
