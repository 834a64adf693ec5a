"""Processes that tests start, and waiting for what these do."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from ftapp.runs.event_reader import read
from ftapp.runs.run_folder import RunFolder

Start = Callable[..., subprocess.Popen[str]]
"""Starts `ftapp run` with these arguments; see the fixture `start` of the tests with real runs."""

_Found = TypeVar("_Found")
SHARED: set[int] = set()
"""The numbers of processes that several tests share. What they start is found by its command alone."""
_PATIENCE = 240.0  # seconds, of a machine that is busy


def none_left(folder: Path) -> None:
    """Fail if a process goes on that this one has started or whose command names the folder, and end it."""
    named = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]
    shared = {daemon for daemon in psutil.Process().children() if daemon.pid in SHARED}
    shared |= {each for daemon in shared for each in daemon.children(recursive=True)}
    found = {*named, *({*psutil.Process().children(recursive=True)} - shared)} - {psutil.Process()}
    _, alive = psutil.wait_procs(list(found), timeout=60)
    reports = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it ends while it is looked at
            if process.status() != psutil.STATUS_ZOMBIE:
                reports.append(" ".join(process.cmdline()))
            process.kill()
    assert not reports


def wait_for(find: Callable[[], _Found], process: subprocess.Popen[str] | None = None) -> _Found:
    """What is found once it is true. Fails where that takes too long, or where the process ends before."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        has_ended = process is not None and process.poll() is not None  # before it is looked for the last time
        if found := find():
            return found
        if has_ended:
            assert process is not None
            raise AssertionError(f"the process has ended before: {process.communicate()}")
        time.sleep(0.02)
    raise AssertionError("it has not come about")


def start_daemon(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a daemon of a cluster. log: takes its output."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    SHARED.add(process.pid)
    return process


def end_daemons(daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask daemons to end, all at the same time, and wait until they have."""
    for daemon in daemons:
        daemon.terminate()
    for daemon in daemons:
        daemon.wait()
        SHARED.discard(daemon.pid)


def find_run(folder: Path, is_wanted: Callable[[Any], bool]) -> RunFolder | None:
    """A run of the folder one of whose events is wanted."""
    for file in folder.glob("*/events.jsonl"):
        if any(map(is_wanted, read(file))):
            return RunFolder(file.parent)
    return None


def find_worker(run: RunFolder) -> psutil.Process:
    """The process of a run, which holds its lock."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(run.lock_file) in {file.path for file in process.open_files()}:
                return process
    raise AssertionError("the run has no process")


def find_ports(count: int) -> list[int]:
    """Find ports of this machine that are free."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def is_open(port: int) -> bool:
    """Tell whether a server listens at a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
