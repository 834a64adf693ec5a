"""Runs that are moved, linked to, locked by others, or resumed by two processes at once."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from ftapp.common.errors import RunError
from ftapp.common.locks import hold_lock, is_locked
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs
from tests.conftest import Finished
from tests.faults.conftest import Make, Train
from tests.support.checkpoints import cut_back
from tests.support.processes import Start, wait_for
from tests.support.quick_starts import make_command

LONGER = ("phase.head.steps=600", "evaluate.every=5000", "checkpoint.every_steps=5")


def start_resume(run: RunFolder) -> subprocess.Popen[str]:
    """Start `ftapp resume` of a run."""
    command = make_command("ftapp.cli", "resume", str(run.folder), "--json")
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(run: RunFolder, step: int) -> None:
    """Kill a run's process when it has made so many steps."""
    wait_for(lambda: len(run.history().steps) >= step)
    found = psutil.process_iter(["cmdline"])
    next(each for each in found if str(run.folder) in " ".join((each.info["cmdline"] or [])[-1:])).kill()


@pytest.mark.slow
def test_a_killed_run_is_moved_and_resumed_by_two_at_once_and_by_the_job_itself(
    make: Make, train: Train, start: Start, image_recipe: str, tmp_path: Path
) -> None:
    whole = train(make(image_recipe, *LONGER))[1]
    options = [part for each in LONGER for part in ("--set", each)]
    process = start("tiny.toml", *options, runs_dir=tmp_path / "killed", is_real=True)
    [run] = wait_for(lambda: list_runs(tmp_path / "killed"), process)
    kill(run, 13)
    assert process.wait() == EXIT_CODES["crashed"]
    assert run.status() == "crashed"

    # To another folder, with the lock file of its killed process.
    shutil.copytree(tmp_path / "killed", tmp_path / "moved", symlinks=True)
    shutil.rmtree(tmp_path / "killed")
    run = RunFolder(tmp_path / "moved" / run.folder.name)
    assert run.lock_file.exists()
    assert not run.alive()
    both = [start_resume(run), start_resume(run)]
    wait_for(lambda: any(each.poll() is not None for each in both))
    both.sort(key=lambda each: each.poll() is None)
    out, err = both[0].communicate()
    assert both[0].returncode == 2
    assert out == ""
    assert "goes on already, in another process" in err
    kill(run, 264)
    both[1].communicate()
    assert both[1].returncode == EXIT_CODES["crashed"]

    resumed = start("tiny.toml", *options, "--resume", "auto", "--json", runs_dir=tmp_path / "moved")
    out, err = resumed.communicate()
    outcome = json.loads(out)
    assert "and is crashed: it goes on" in err
    assert outcome["run"] == str(run.folder)
    assert outcome["status"] == "done"
    assert whole.saved
    assert outcome["weights"] == whole.saved.weights
    assert outcome["steps"] == 600


def test_a_run_goes_on_behind_a_link_and_after_a_move(ended: Finished, train: Train, tmp_path: Path) -> None:
    whole, run = ended
    link = tmp_path / "link"
    link.symlink_to(cut_back(run, 5).folder, target_is_directory=True)
    moved = RunFolder(cut_back(run, 6).folder.rename(tmp_path / "elsewhere"))
    for copy, step in ((RunFolder(link), 5), (moved, 6)):
        code, again = train(copy)
        assert code == 0
        assert [each.step for each in again.resumed] == [step]
        assert again.saved
        assert whole.saved
        assert again.saved.weights == whole.saved.weights
        assert list_checkpoints(copy)[0][0] == 9


def test_a_process_that_looks_at_a_lock_is_waited_for_and_one_that_holds_it_is_not(tmp_path: Path) -> None:
    """Lists of runs look at locks at any moment, also at that of a resume."""
    run, launcher = RunFolder(tmp_path), LocalLauncher()
    run.recipe_file.write_text("no recipe", encoding="utf-8")
    with hold_lock(run.lock_file, fcntl.LOCK_EX), pytest.raises(RunError, match="goes on already"):
        launcher.start(run, {}, lambda: run.recipe_file.unlink())
    assert run.recipe_file.exists()
    looks = threading.Event()

    def look() -> None:
        with hold_lock(run.lock_file, fcntl.LOCK_SH):
            looks.set()
            time.sleep(0.2)

    looking = threading.Thread(target=look)
    looking.start()
    looks.wait()
    launcher.start(run, {})
    assert is_locked(run.lock_file)
    looking.join()
    assert launcher.wait(run) == EXIT_CODES["refused"]
    assert not run.alive()
