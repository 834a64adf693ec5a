"""A process that is stuck is told from one that computes, stands still on purpose, or waits for another."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import cast

import pytest

from ftapp.common import downloads
from ftapp.common.locks import hold_lock
from ftapp.common.watchdog import Watchdog
from ftapp.runs.event_reader import read
from ftapp.runs.events import RunEnded
from ftapp.runs.run_folder import RunFolder


def test_a_process_that_computes_nothing_is_stuck() -> None:
    report: Queue[str] = Queue()
    # Looks so far apart that what looking takes is nothing beside it.
    Watchdog(lambda: False, report.put, seconds=0.6, interval=0.3)
    assert "has computed nothing" in report.get(timeout=60)
    assert report.empty()


def test_one_that_computes_is_not() -> None:
    reports: list[str] = []
    # A look of half a second, in which a loaded machine gives this process some of its time too.
    watchdog = Watchdog(lambda: False, reports.append, seconds=1.0, interval=0.5)
    begun = time.process_time()
    while time.process_time() - begun < 1.6:
        pass
    watchdog.stop()
    assert not reports


def test_one_that_stands_still_on_purpose_is_not() -> None:
    reports: list[str] = []
    watchdog = Watchdog(lambda: True, reports.append, seconds=0.3, interval=0.3)
    time.sleep(1)
    watchdog.stop()
    assert not reports


@pytest.mark.parametrize(
    ("module", "is_stuck"),
    [(downloads.__name__, False), ("requests.sessions", False), ("urllib3", False), ("requested", True)],
)
def test_one_that_waits_in_code_for_networks_is_not(module: str, is_stuck: bool) -> None:
    reports: list[str] = []
    namespace = {"__name__": module, "sleep": time.sleep}
    exec("def wait():\n    sleep(1.5)", namespace)
    watchdog = Watchdog(lambda: False, reports.append, seconds=0.3, interval=0.3)
    cast(Callable[[], None], namespace["wait"])()
    watchdog.stop()
    assert bool(reports) == is_stuck


def test_one_that_waits_for_another_process_is_not(tmp_path: Path) -> None:
    reports: list[str] = []
    holds = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'ab'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(1)"
    )
    with subprocess.Popen([sys.executable, "-c", holds, tmp_path / "lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        watchdog = Watchdog(lambda: False, reports.append, seconds=0.3, interval=0.3)
        with hold_lock(tmp_path / "lock", fcntl.LOCK_EX):
            watchdog.stop()
    assert not reports


def test_a_stuck_run_ends_as_failed_and_its_log_says_where_it_stood(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom ftapp.workers import run as worker\n"
        "from ftapp.runs.control import Control\n"
        "from ftapp.runs.event_log import EventLog\nfrom ftapp.runs.run_folder import RunFolder\n"
        "run = RunFolder(Path(sys.argv[1]))\n"
        "log = EventLog(run.events_file)\ncontrol = Control(run, log)\n"
        "worker._end_stuck(log, control)('it is stuck')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    [event] = read(RunFolder(tmp_path).events_file)
    assert isinstance(event, RunEnded)
    assert (event.status, event.error) == ("failed", "it is stuck")
    assert "thread 0x" in ended.stderr
