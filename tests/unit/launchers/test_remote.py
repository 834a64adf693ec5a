"""Runs that wait for a machine, and attempts that find that they are not wanted."""

from __future__ import annotations

import dataclasses
import fcntl
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp import recipe as recipes
from ftapp.cli.app import app
from ftapp.common.errors import RunError
from ftapp.common.locks import hold_lock
from ftapp.experiments import experiment_creation
from ftapp.experiments.listing import summarize
from ftapp.experiments.options import Options
from ftapp.experiments.runner import run_experiment
from ftapp.experiments.trash import delete_run
from ftapp.launchers.attempt import Attempt
from ftapp.launchers.remote import RemoteLauncher
from ftapp.launchers.slurm import SlurmJob
from ftapp.launchers.stop import cancel, write_end
from ftapp.launchers.target import parse_target
from ftapp.runs import run_creation
from ftapp.runs.commands import Pause, send
from ftapp.runs.interruption import Interruption
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import make_resume
from tests.support.recipe_files import HUB_TEXTS


class FullCluster:
    """An engine whose machines are all taken."""

    def __init__(self, refusal: str | BaseException = "") -> None:
        self.launch, self._refusal = "", refusal

    def submit(self, folder: Path, launch: str, environment: Mapping[str, str]) -> str:
        if self._refusal:
            raise RunError(self._refusal) if isinstance(self._refusal, str) else self._refusal
        self.launch = launch
        return "12"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    recipe = recipes.load(recipes.find("bert-full"))
    return run_creation.create(recipe, "mine", None, tmp_path / "runs")


def test_a_run_that_waits_counts_as_alive_and_takes_no_command_but_stop(run: RunFolder) -> None:
    engine = FullCluster()
    launcher = RemoteLauncher(parse_target("ray:head:1"), engine)
    launcher.start(run, {})
    assert launcher.alive(run)
    assert summarize(run).status == "waiting"
    entry = run.find_lease()
    assert entry
    assert entry.lease.describe() == "waits in Ray's queue (job 12)"
    with pytest.raises(RunError, match=r"goes on already: it waits in Ray's queue \(job 12\)"):
        RemoteLauncher(parse_target("slurm"), FullCluster()).start(run, {})
    with pytest.raises(RunError):
        delete_run(run)
    with pytest.raises(RunError, match="takes no command but stop"):
        send(run, Pause())
    said = CliRunner().invoke(app, ["ctl", str(run.folder), "stop"])
    assert said.stdout == "stop: cancelled while it waited for a machine\n"
    assert launcher.wait(run) == 130
    assert summarize(run).status == "interrupted"
    assert not Attempt(run.folder, engine.launch, {}, "12").start(), "its job starts all the same, and does nothing"
    assert not run.log_file.exists()


def test_ctrl_c_cancels_a_run_that_waits(run: RunFolder) -> None:
    launcher = RemoteLauncher(parse_target("ray:head:1"), FullCluster())
    launcher.start(run, {})
    launcher.interrupt(run)
    launcher.interrupt(run)
    assert launcher.wait(run) == 130


def test_a_cancelled_run_has_its_end_before_nobody_holds_it(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    RemoteLauncher(parse_target("slurm"), FullCluster()).start(run, {})
    entry = run.find_lease()
    assert entry
    seen = []

    def look(*arguments: object) -> None:
        seen.append(run.alive())
        write_end(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("ftapp.launchers.stop.write_end", look)
    assert cancel(run, entry, "interrupted")
    assert seen == [True], "a command that follows it would say that it has crashed"
    assert (run.alive(), run.status()) == (False, "interrupted")


def test_a_refused_run_says_why_and_can_be_resumed_here(run: RunFolder) -> None:
    with pytest.raises(RunError, match="too many jobs"):
        RemoteLauncher(parse_target("slurm"), FullCluster("too many jobs")).start(run, {})
    ended = run.history().ended
    assert ended
    assert (run.status(), ended.error) == ("failed", "it was not sent to slurm: too many jobs")
    make_resume(run).prepare()
    entry = run.leases.find_newest()
    assert entry
    assert (entry.number, entry.lease.engine, entry.lease.state) == (2, "local", "ended"), "others are fenced out"


def test_ctrl_c_while_a_run_is_sent_interrupts_it(run: RunFolder) -> None:
    with pytest.raises(KeyboardInterrupt):
        RemoteLauncher(parse_target("slurm"), FullCluster(KeyboardInterrupt())).start(run, {})
    ended = run.history().ended
    assert ended
    assert (run.status(), ended.error) == ("interrupted", "interrupted before it was sent to slurm")


def test_a_run_of_this_machine_is_not_sent_elsewhere(run: RunFolder) -> None:
    launcher = RemoteLauncher(parse_target("slurm"), FullCluster())
    with hold_lock(run.lock_file, fcntl.LOCK_EX), pytest.raises(RunError, match="goes on already"):
        launcher.start(run, {})
    assert not run.leases.folder.exists()


def test_an_experiment_goes_on_where_the_engine_refuses_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    phase = '[[phase]]\nname = "finetune"\nsteps = 10\n'
    file.write_text(f'{HUB_TEXTS}{phase}[[arm]]\nname = "A"\n[[arm]]\nname = "B"\n', encoding="utf-8")
    experiment = experiment_creation.prepare(file, None, (), Options(), tmp_path / "runs", command=[], on="slurm")
    launcher = RemoteLauncher(parse_target("slurm"), FullCluster("too many jobs"))
    with Interruption(launcher) as interruption:
        assert run_experiment(experiment, launcher, interruption, debug=False) == 1
    assert [member.run.status() for member in experiment.list_members()] == ["failed", "failed"]
    said = capsys.readouterr().err
    assert said.count("too many jobs") == 2
    assert "A, seed 0: too many jobs" in said
    assert "B, seed 0: too many jobs" in said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130), (signal.SIGQUIT, -signal.SIGQUIT)]
)
def test_a_run_that_its_user_has_ended_is_not_started_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    pytest.importorskip("submitit")
    engine = FullCluster()
    launcher = RemoteLauncher(parse_target("slurm"), engine)
    launcher.start(run, {})
    script = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(75)); signal.signal(2, lambda *_: sys.exit(130))"
    )

    def wait(job: object, environment: object, log: object) -> subprocess.Popen[bytes]:
        waiting = f"{script}; print(flush=True); signal.pause()"
        process = subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()  # its handlers are set
        return process

    monkeypatch.setattr("ftapp.launchers.attempt.start_process", wait)
    attempt = Attempt(run.folder, engine.launch, {}, "12")
    assert attempt.start()
    launcher.interrupt(run, number)
    assert attempt.wait() == code
    job = SlurmJob(run.folder, engine.launch, {}, retries=100, _attempts=[attempt])
    assert job.checkpoint() is None
    assert not attempt.was_lost(code), "Ray starts it again otherwise"
    assert not run.alive()


def test_a_job_that_makes_no_step_is_not_queued_for_ever(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    engine = FullCluster()
    RemoteLauncher(parse_target("slurm"), engine).start(run, {})

    def end_at_once(job: object, environment: object, log: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", "exit 75"])

    monkeypatch.setattr("ftapp.launchers.attempt.start_process", end_at_once)
    job = SlurmJob(run.folder, engine.launch, {}, retries=100)
    for left in (2, 1, 0):
        attempt = Attempt(run.folder, engine.launch, {}, "12")
        assert attempt.start()
        attempt.wait()
        again = dataclasses.replace(job, _attempts=[attempt]).checkpoint()
        assert (again is not None) == bool(left)
        job = again.function if again else job
        assert run.status() == ("waiting" if left else "failed")
    ended = run.history().ended
    assert ended
    assert ended.error == (
        "3 jobs in a row have ended without a new step; its time is too short to begin: give it more, such as --on "
        "'slurm?time=4h'"
    )
