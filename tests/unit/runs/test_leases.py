"""Leases without waiting: clocks are set back, and files are given the age that they would have."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from ftapp.common.errors import RunError
from ftapp.runs import leases, slurm_queue
from ftapp.runs.held_lease import HeldLease
from ftapp.runs.leases import Lease, LeaseEntry, LeaseFolder
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.slurm_queue import JobState


@pytest.fixture(autouse=True)
def unknown_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_skews", {})
    monkeypatch.setattr(slurm_queue, "_jobs", {})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def make(state: str = "working", engine: str = "ray", launch: str = "one", job: str = "") -> Lease:
    return msgspec.convert({"launch": launch, "engine": engine, "state": state, "host": "a", "job": job}, Lease)


def grow_old(run: RunFolder, number: int, seconds: float) -> None:
    """Have a lease look as if nobody had renewed it for so long."""
    then = time.time() - seconds
    os.utime(run.leases.folder / f"{number:04}.json", (then, then))


def get(run: RunFolder) -> LeaseEntry:
    found = run.leases.find_newest()
    assert found
    return found


def test_a_run_without_leases_is_not_alive_and_gets_no_folder(run: RunFolder) -> None:
    assert run.find_lease() is None
    assert not run.alive()
    run.leases.fence()
    assert not run.leases.folder.exists()


def test_a_lease_keeps_a_run_alive_until_it_expires_or_ends(run: RunFolder) -> None:
    number = run.leases.take_over(make("waiting"))
    assert run.alive()
    assert run.waits_for_machine()
    assert run.status() == "waiting"
    run.leases.replace(number, make("working"))
    assert run.status() == "running"
    grow_old(run, number, 29)
    assert run.alive()
    grow_old(run, number, 31)
    assert not run.alive()
    assert run.status() == "crashed"
    run.leases.replace(number, make("working"))
    assert run.alive(), "it was renewed"
    run.leases.replace(number, make("ended"))
    assert not run.alive()


def test_a_living_lease_is_not_taken_over_and_an_expired_one_by_one_process_alone(run: RunFolder) -> None:
    number = run.leases.take_over(make())
    with pytest.raises(RunError, match=r"goes on already: it works on a \(Ray, no job yet\)"):
        run.leases.take_over(make(launch="two"))
    with pytest.raises(RunError, match="goes on already"):
        run.leases.fence()
    grow_old(run, number, 60)
    assert run.leases.take_over(make(launch="two")) == number + 1
    with pytest.raises(RunError, match="another process has taken it over"):
        run.leases.claim(make(launch="three"), number)
    assert get(run).lease.launch == "two"


def test_a_holder_that_was_fenced_cannot_undo_it(run: RunFolder) -> None:
    said: list[str] = []
    number = run.leases.take_over(make())
    held = HeldLease(run, number, clock=lambda: 0.0, end=said.append)
    assert not said
    assert get(run).lease.pid == os.getpid()
    grow_old(run, number, 60)
    run.leases.fence()
    held.renew()
    assert len(said) == 1
    assert "the run was taken over" in said[0]
    assert get(run).lease.state == "ended", "its renewal did not touch the newer lease"
    assert not run.alive()


def test_a_process_that_stood_still_looks_before_it_writes(run: RunFolder) -> None:
    said: list[str] = []
    now = [0.0]
    number = run.leases.take_over(make())
    held = HeldLease(run, number, clock=lambda: now[0], end=said.append)
    run.leases.claim(make("ended", launch="two"), number)
    now[0] = 9.9
    held.confirm()
    assert not said, "it has looked less than two renewals ago"
    now[0] = 3600.0  # SIGSTOP, or a machine that slept
    held.confirm()
    assert said


def test_a_process_whose_lease_is_not_the_newest_never_begins(run: RunFolder) -> None:
    said: list[str] = []
    number = run.leases.take_over(make("waiting"))
    run.leases.claim(make(launch="two"), number)
    HeldLease(run, number, end=said.append)
    assert said == ["this process ends: the run was taken over (it works on a (Ray, no job yet))"]


@pytest.mark.parametrize("ahead", [3600.0, 20.0, -3600.0])
def test_a_wrong_clock_of_the_reader_does_not_matter(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    number = run.leases.take_over(make())
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + ahead)
    assert run.alive()
    old = true() - 120
    os.utime(run.leases.folder / f"{number:04}.json", (old, old))
    assert not run.alive()


@pytest.mark.parametrize(
    ("state", "says", "status"),
    [
        ("waiting", "waiting", "waiting"),
        ("waiting", "working", "waiting"),  # its machine is starting it
        ("waiting", "gone", "crashed"),
        ("waiting", "unknown", "waiting"),
        ("working", "waiting", "waiting"),  # its machine was lost
        ("working", "working", "running"),
        ("working", "gone", "crashed"),
        ("working", "unknown", "crashed"),
    ],
)
def test_slurm_is_asked_about_a_lease_that_nobody_renews(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, state: str, says: JobState, status: str
) -> None:
    asked: list[str] = []

    def find(job: str) -> JobState:
        asked.append(job)
        return says

    monkeypatch.setattr(slurm_queue, "find_job_state", find)
    number = run.leases.take_over(make(state, "slurm", job="12"))
    assert run.alive()
    assert not asked, "it is young"
    grow_old(run, number, 60)
    assert run.status() == status
    assert set(asked) == {"12"}


def test_slurm_is_asked_once_for_all_jobs_and_not_more_often_than_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = [100.0]
    monkeypatch.setattr("ftapp.runs.slurm_queue.time.monotonic", lambda: clock[0])
    squeue = tmp_path / "squeue"
    squeue.write_text(
        f'#!/bin/sh\necho "$3" >> {tmp_path}/log\necho 7 PENDING QOSMaxJobsPerUserLimit\necho 8 RUNNING None\n'
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def find_asked() -> list[str]:
        return (tmp_path / "log").read_text().splitlines()

    assert {slurm_queue.find_job_state("7") for _ in range(5)} == {"waiting"}
    assert slurm_queue.find_reason("7") == "QOSMaxJobsPerUserLimit"
    assert find_asked() == ["7"]
    assert [slurm_queue.find_job_state(job) for job in ("8", "9", "7")] == ["working", "gone", "waiting"]
    assert slurm_queue.find_reason("8") == ""
    assert find_asked() == ["7", "7,8", "7,8,9"]
    clock[0] += 6
    assert [slurm_queue.find_job_state(job) for job in ("7", "8", "9")] == ["waiting", "working", "gone"]
    assert find_asked()[3:] == ["7,8,9"]
    clock[0] += 61
    assert slurm_queue.find_job_state("8") == "working"
    assert find_asked()[4:] == ["8"]


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1", "gone"),
        ("echo 'Unable to contact slurm controller' >&2\nexit 1", "unknown"),
        ("echo 12 CANCELLED None", "gone"),
        ("", "gone"),
    ],
)
def test_a_job_that_slurm_does_not_know_is_gone_and_without_an_answer_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, state: str
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\n{script}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert slurm_queue.find_job_state("12") == state


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("12 PENDING Resources", "waits in Slurm's queue (job 12: Resources)"),
        (
            "12 PENDING Nodes required for job are DOWN",
            "waits in Slurm's queue (job 12: Nodes required for job are DOWN)",
        ),
        ("12 PENDING None", "waits in Slurm's queue (job 12)"),
        ("", "waits in Slurm's queue (job 12)"),
    ],
)
def test_a_run_that_waits_tells_the_reason_that_slurm_gives(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, message: str
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\necho '{says}'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    number = run.leases.take_over(make("waiting", "slurm", job="12"))
    assert run.leases.describe_queue() == message
    run.leases.replace(number, make("working", "slurm", job="12"))
    assert not run.leases.describe_queue()


def test_a_lease_is_renewed_on_a_full_disk(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    number = run.leases.take_over(make())
    grow_old(run, number, 60)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LeaseFolder, "_write_scratch", fail)
    run.leases.replace(number, make())
    assert run.alive()


def test_damaged_leases_are_none(run: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "leases"
    folder.write_text("a file")
    assert not run.alive()
    folder.unlink()
    folder.mkdir()
    (folder / "0001.json").write_text("{")
    os.mkfifo(folder / "0002.json")
    assert not run.alive()
    assert run.leases.take_over(make()) == 3


def test_signals_are_left_for_the_holder(run: RunFolder) -> None:
    number = run.leases.take_over(make())
    assert run.leases.take_signal(number) is None
    run.leases.send_signal(number, 2)
    assert run.leases.take_signal(number) == 2
    assert run.leases.take_signal(number) is None
