"""Runs summed up from their newest events."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp.cli.app import app
from ftapp.experiments.listing import Summaries, summarize
from ftapp.runs import run_lookup
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Event
from ftapp.runs.events import Controlled, Progressed, RunEnded, RunStarted
from ftapp.runs.phase_events import Evaluated, PhaseEnded, PhaseStarted, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs
from ftapp.runs.run_names import parse_name
from ftapp.runs.status import StatusLog
from tests.support.recorded_runs import record_run

STARTED = RunStarted(
    time=100.0, recipe="small", profile="quick", seed=0, backend="jax", device="cpu", precision="float32", reason="so"
)


def phase(name: str, first: int, steps: int, trainable: int) -> PhaseStarted:
    return PhaseStarted(
        time=101.0,
        phase=name,
        first_step=first,
        steps=steps,
        epochs=1.0,
        trainable=trainable,
        parameters=1000,
        trainable_layers=[],
    )


def step(number: int, loss: float = 1.0) -> Stepped:
    return Stepped(time=102.0 + number, step=number, epoch=1, loss=loss, rate=0.1, seconds=0.5, memory=1)


def evaluated(number: int, loss: float, *, final: bool = False) -> Evaluated:
    return Evaluated(
        time=102.0 + number,
        step=number,
        split="test",
        examples=9,
        loss=loss,
        metrics={"accuracy": 0.9},
        seconds=1.0,
        final=final,
    )


def ended(number: int) -> RunEnded:
    return RunEnded(time=500.0, status="done", steps=number, seconds=400.0)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "runs" / "20260102-030405-small-quick-00ff")
    made.folder.mkdir(parents=True)
    made.recipe_file.write_text("")
    (made.folder / "environment.json").write_text(json.dumps({"recipe": "named", "profile": "quick", "created": 90.0}))
    return made


def answer(command: str, *, applied: bool = True) -> Controlled:
    return Controlled(time=300.0, id="x", command=command, applied=applied, step=1)


def write(run: RunFolder, *events: Event) -> None:
    log = EventLog(run.events_file)
    for event in events:
        log.write(event)


def test_an_ended_run(run: RunFolder) -> None:
    write(run, STARTED, phase("head", 1, 2, 10), step(1), step(2), evaluated(2, 0.25, final=True), ended(2))
    found = summarize(run)
    assert (found.status, found.recipe, found.profile, found.steps) == ("done", "named", "quick", 2)
    assert (found.created, found.seconds, found.metrics, found.final) == (
        90.0,
        400.0,
        {"loss": 0.25, "accuracy": 0.9},
        True,
    )
    assert (found.share, found.progress) == (0.01, 1.0)


def test_a_live_run_tells_its_progress_and_its_last_loss(run: RunFolder) -> None:
    write(run, STARTED, phase("head", 1, 2, 10), step(1), step(2), phase("all", 3, 10, 1000), step(3), step(4, 0.4))
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = summarize(run)
        assert (found.status, found.phase, found.progress, found.metrics["loss"]) == ("running", "all", 0.2, 0.4)
        assert not found.final
        assert found.seconds == pytest.approx(106.0 - 90.0)
    assert summarize(run).status == "crashed"


def test_a_live_run_tells_its_activity(run: RunFolder) -> None:
    write(run, STARTED, Progressed(time=101.0, activity="downloading"))
    assert summarize(run).activity == "downloading"


def test_a_refused_run_says_why(run: RunFolder) -> None:
    problems = [("recipe.toml", "model.preset", "unknown preset")]
    write(run, RunEnded(time=101.0, status="refused", steps=0, seconds=1.0, problems=problems))
    assert summarize(run).error == "recipe.toml: model.preset: unknown preset"


def long_run(run: RunFolder, log: EventLog, steps: Sequence[int] = (40, 3000, 5000)) -> None:
    """Write the log of a run of three phases, of some 1.5 MB."""
    first = 1
    log.write(STARTED)
    for index, count in enumerate(steps):
        for number in range(400):
            log.write(Progressed(time=101.0, activity="keeping features", done=number, total=400))
        log.write(phase(f"p{index}", first, count, 100 * (index + 1)))
        log.write(evaluated(first, 5.0))
        for number in range(first, first + count):
            log.write(step(number))
        first += count


def test_a_long_run_is_not_read_as_a_whole(run: RunFolder) -> None:
    long_run(run, StatusLog(run.events_file, run.status_file))
    size = run.events_file.stat().st_size
    with run.events_file.open("r+b") as file:
        file.write(b"x" * (size - 2**18))  # what is not looked at
    found = summarize(run)
    assert (found.status, found.phase, found.steps, found.progress) == ("crashed", "p2", 8040, 1.0)
    assert found.share == pytest.approx(0.3)
    assert found.metrics["loss"] == 5.0  # of the last evaluation


def test_without_a_status_file_the_log_is_read(run: RunFolder) -> None:
    long_run(run, EventLog(run.events_file))
    found = summarize(run)
    assert (found.status, found.recipe, found.steps, found.metrics["loss"]) == ("crashed", "named", 8040, 5.0)
    assert (found.phase, found.progress) == ("p2", 1.0)
    assert found.share == pytest.approx(0.3)


def test_a_very_long_run_without_a_status_file_claims_no_phase_that_it_has_left(run: RunFolder) -> None:
    write(run, STARTED, phase("head", 1, 2, 10), evaluated(1, 5.0), step(1))
    write(run, *(Progressed(time=101.0, activity="a" * 2**17) for _ in range(80)))
    assert (summarize(run).phase, summarize(run).steps, summarize(run).metrics["loss"]) == ("head", 1, 1.0)
    write(run, phase("all", 2, 900, 500), *(step(number) for number in range(2, 902)))
    found = summarize(run)
    assert (found.status, found.recipe, found.steps, found.metrics["loss"]) == ("crashed", "named", 901, 1.0)
    assert (found.phase, found.progress, found.share) == (None, None, None)


@pytest.mark.parametrize("steps", [2, 3000])
def test_what_the_log_holds_behind_the_status_file_counts(run: RunFolder, steps: int) -> None:
    log = StatusLog(run.events_file, run.status_file)
    for event in (STARTED, phase("head", 1, 2, 10), step(1), step(2), evaluated(2, 0.5)):
        log.write(event)
    write(run, phase("all", 3, steps, 500))  # the process is killed before it replaces the file
    assert (summarize(run).phase, summarize(run).metrics["loss"]) == ("all", 0.5)
    write(run, *(step(number) for number in range(3, 3 + steps)), evaluated(2 + steps, 0.25, final=True))
    found = summarize(run)
    assert (found.phase, found.share, found.steps, found.metrics["loss"], found.final) == (
        "all",
        0.5,
        2 + steps,
        0.25,
        True,
    )
    write(run, ended(2 + steps))
    assert (summarize(run).status, summarize(run).seconds) == ("done", 400.0)


def test_a_run_is_paused_while_its_process_lives(run: RunFolder) -> None:
    log = StatusLog(run.events_file, run.status_file)
    for event in (STARTED, phase("head", 1, 9, 10), step(1), answer("pause"), answer("checkpoint"), answer("rate")):
        log.write(event)
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert summarize(run).paused
        log.write(answer("resume"))
        assert not summarize(run).paused
        log.write(answer("pause", applied=False))
        assert not summarize(run).paused
        log.write(answer("pause"))
    assert (summarize(run).paused, summarize(run).status) == (False, "crashed")


@pytest.mark.parametrize("damage", ["junk", "other", "beyond", "folder", "pipe", "none"])
def test_a_damaged_status_file_is_passed_over(run: RunFolder, damage: str) -> None:
    log = StatusLog(run.events_file, run.status_file)
    for event in (STARTED, phase("head", 1, 2, 10), step(1), step(2), evaluated(2, 0.5, final=True), ended(2)):
        log.write(event)
    whole = summarize(run)
    content = run.status_file.read_bytes()
    run.status_file.unlink()
    match damage:
        case "junk":
            run.status_file.write_bytes(os.urandom(500))
        case "other":
            run.status_file.write_text('{"status": "done"}')
        case "beyond":
            run.status_file.write_bytes(content.replace(b'"offset":', b'"offset":9'))
        case "folder":
            run.status_file.mkdir()
        case "pipe":
            os.mkfifo(run.status_file)
    assert summarize(run) == whole
    assert whole.status == "done"


def test_a_folder_that_is_removed_ends_no_run(run: RunFolder) -> None:
    log = StatusLog(run.events_file, run.status_file)
    log.write(STARTED)
    run.folder.rename(run.folder.with_name("elsewhere"))
    for event in (phase("head", 1, 2, 10), step(1), ended(1)):
        log.write(event)
    assert summarize(RunFolder(run.folder.with_name("elsewhere"))).status == "done"


def test_a_status_file_that_cannot_be_replaced_ends_no_run(run: RunFolder) -> None:
    run.status_file.mkdir()
    log = StatusLog(run.events_file, run.status_file)
    for event in (STARTED, phase("head", 1, 2, 10), step(1), ended(1)):
        log.write(event)
    assert summarize(run).status == "done"
    assert {path.name for path in run.folder.iterdir()} >= {"status.json", "events.jsonl"}
    assert not list(run.folder.glob(".*"))


def test_a_long_run_of_one_phase_with_its_end(run: RunFolder) -> None:
    steps = [step(number) for number in range(1, 4001)]
    proof = PhaseEnded(
        time=400.0,
        phase="head",
        steps=4000,
        seconds=1.0,
        preparing=0.0,
        training=1.0,
        evaluating=0.0,
        memory=1,
        frozen=1,
        digest="",
        moved=1,
    )
    write(run, STARTED, phase("head", 1, 4000, 10), *steps, proof, evaluated(4000, 0.1, final=True), ended(4000))
    found = summarize(run)
    assert (found.status, found.steps, found.metrics["loss"], found.phase, found.share) == (
        "done",
        4000,
        0.1,
        "head",
        0.01,
    )


def test_a_half_written_line_and_damaged_ones_are_passed_over(run: RunFolder) -> None:
    write(run, STARTED, phase("head", 1, 2, 10), step(1))
    with run.events_file.open("ab") as file:
        file.write(b'\xff\xfe\n{"event":"step"}\n{"event":"step","step":2')
    assert summarize(run).steps == 1


@pytest.mark.parametrize(
    "damage", ["no folder", "no recipe", "no events", "bad events", "folder of events", "bad environment"]
)
def test_damaged_folders_say_so(run: RunFolder, damage: str) -> None:
    expected = {
        "no folder": ("damaged", "its folder is gone"),
        "no recipe": ("damaged", "recipe.toml is missing"),
        "no events": ("crashed", None),
        "bad events": ("damaged", "no event that can be read"),
        "folder of events": ("damaged", "cannot be read"),
        "bad environment": ("damaged", "its environment.json cannot be read"),
    }[damage]
    match damage:
        case "no folder":
            for path in run.folder.iterdir():
                path.unlink()
            run.folder.rmdir()
        case "no recipe":
            run.recipe_file.unlink()
        case "bad events":
            run.events_file.write_bytes(os.urandom(3000) + b"\n")
        case "folder of events":
            run.events_file.mkdir()
        case "bad environment":
            (run.folder / "environment.json").write_text("{")
    found = summarize(run)
    assert found.status == expected[0]
    assert (expected[1] is None) == (found.error is None)
    assert expected[1] is None or expected[1] in str(found.error)
    assert found.recipe in ("named", "small-quick")
    assert found.created is not None


def test_ended_runs_are_read_once_and_changed_ones_again(run: RunFolder) -> None:
    summaries = Summaries(run.folder.parent)
    write(run, STARTED, phase("head", 1, 2, 10), step(1))
    before = list(summaries.read())
    write(run, ended(1))
    after = list(summaries.read())
    assert [one.status for one in before + after] == ["crashed", "done"]
    assert next(iter(summaries.read())) is after[0]


def test_runs_come_newest_first_and_other_folders_not_at_all(tmp_path: Path) -> None:
    for name in ("20250101-000000-a-0000", "20260101-000000-b-0001", "notes", "by-hand"):
        (tmp_path / name).mkdir()
    (tmp_path / "by-hand" / "recipe.toml").write_text("")
    (tmp_path / "20270101-000000-file-0002").write_text("")
    assert [one.run.folder.name for one in Summaries(tmp_path).read()] == [
        "20260101-000000-b-0001",
        "20250101-000000-a-0000",
        "by-hand",
    ]
    assert list(Summaries(tmp_path / "no such").read()) == []


def test_a_folder_that_is_deleted_is_forgotten(run: RunFolder) -> None:
    summaries = Summaries(run.folder.parent)
    write(run, STARTED, ended(1))
    assert len(list(summaries.read())) == 1
    run.folder.rename(run.folder.parent.parent / "elsewhere")
    assert list(summaries.read()) == []


def test_the_name_of_a_folder_tells_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "20260102-030405-my-recipe-quick-00ff"
    folder.mkdir()
    found = summarize(RunFolder(folder))
    assert found.recipe == "my-recipe-quick"
    assert found.created == time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))


def test_a_run_that_is_done_with_a_bad_result_is_doubtful(tmp_path: Path) -> None:
    good, bad = record_run(tmp_path, losses=[1.0, 0.5]), record_run(tmp_path, losses=[1.0, 1e8])
    assert not summarize(good).doubtful
    assert summarize(bad).doubtful
    listed = CliRunner().invoke(app, ["runs", "--runs-dir", str(tmp_path)]).stdout.splitlines()
    assert [line.split()[1:3] for line in listed if bad.folder.name in line] == [["done", "!"]]
    assert [line.split()[1:3] for line in listed if good.folder.name in line] == [["done", "2"]]
    assert listed[-1] == "!  the result has warnings: ftapp report RUN shows them"


def test_a_run_that_its_user_has_renamed_stays_at_its_place_in_time(tmp_path: Path) -> None:
    older, newer = record_run(tmp_path), record_run(tmp_path)
    created = parse_name(older.folder.name)[1]
    older.environment_file.write_text(json.dumps({"created": created}), encoding="utf-8")
    older.folder.rename(tmp_path / "mine")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "recipe.toml").touch()  # nothing tells when it was made
    assert [run.folder.name for run in list_runs(tmp_path)] == [newer.folder.name, "mine", "copy"]
    assert [each.run.folder.name for each in Summaries(tmp_path).read()] == [newer.folder.name, "mine", "copy"]
    assert run_lookup.find("last", tmp_path).folder == newer.folder
