"""Starts of ftapp's processes that need not import Keras, which takes three seconds of processor time.

In the place of `python -m MODULE` a test starts `tests/support/quick_start.py`. That small process hands its arguments,
variables, folder, signal mask and open files to a server, which has imported Keras and computed nothing. The server
forks, and the fork runs the module. The process that was started stands for the fork: it passes on signals, takes the
fork with it when it is killed, and ends as the fork does. Whatever a fork starts is forked too.

Workers of pytest-xdist share the server of the process that starts them. A server imports Keras when it is first asked.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

from ftapp.rpc import service
from ftapp.runs import launcher
from tests.support.files import ROOT
from tests.support.processes import SHARED

_CLIENT = Path(__file__).with_name("quick_start.py")
_ADDRESS = "FTAPP_TEST_STARTS"  # the variable that names the socket of the server that workers share
_WORKER = "tests.support.xdist_worker"
_LONGEST_REQUEST = 1 << 17  # bytes
_MOST_FILES = 32
_FIRST_FREE = 100  # a file number above those that processes are given
_SIGNALS = (*launcher.STOP_SIGNALS, launcher.AT_ONCE)


def make_command(module: str, *arguments: str) -> list[str]:
    """The command of a process that runs a module, as `ftapp.common.processes.make_module_command`."""
    return _make_command(os.environ.get(_ADDRESS) or _start_server(), module, *arguments)


def make_script_command(script: str, *arguments: str) -> list[str]:
    """The command of a process that executes a script, as `ftapp.common.processes.make_script_command`."""
    return make_command("tests.support.execute_script", script, *arguments)


def share_server() -> None:
    """Have the processes that this one starts share its server."""
    os.environ[_ADDRESS] = _start_server()


def fork_workers(config: pytest.Config) -> None:
    """Have the workers of pytest-xdist be forks too, which takes ten seconds of a processor for each of them."""
    command = _make_command(os.environ[_ADDRESS], _WORKER)
    config.option.tx = [f"popen//python={shlex.join(command)}"] * len(config.option.tx)


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have launchers and helper processes of this process start quickly."""
    for module in (launcher, service):
        monkeypatch.setattr(module, "make_module_command", make_command)


@functools.cache
def _start_server() -> str:
    """Start the server of this process, which ends with it, and return the address of its socket."""
    address = str(Path(tempfile.mkdtemp(prefix="ftapp-starts-")) / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:  # who connects waits until Keras is imported
        server.bind(address)
        server.listen(16)
        number = server.fileno()
        command = [sys.executable, "-m", "tests.support.quick_starts", address, str(number)]
        SHARED.add(subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, pass_fds=[number]).pid)
    return address


def _make_command(address: str, module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(_CLIENT), address, module, *arguments]


def serve(address: str, server: socket.socket) -> None:
    """Import what processes need, once one is asked for, and fork as asked."""
    try:
        if not _has_ended(sys.stdin, server):  # whoever asks still waits
            _prepare()
        while not _has_ended(sys.stdin, server):
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                try:
                    _keep(connection, address)
                finally:
                    os._exit(1)
            connection.close()
    finally:
        shutil.rmtree(Path(address).parent)


def _prepare() -> None:
    """Import what processes need."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import gc

    from ftapp.cli import app
    from ftapp.data import reading
    from ftapp.training import job
    from ftapp.workers import model_requests, planner

    assert all((reading, app, job, model_requests, planner))
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    signal.signal(signal.SIGCHLD, _reap)


def _reap(*_: object) -> None:
    """Take note of the ends of those that wait for forks."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _has_ended(owner: IO[str], server: socket.socket) -> bool:
    """Wait until a process asks to be forked. Returns whether the tests have ended instead."""
    return owner.fileno() in select.select([owner.fileno(), server.fileno()], [], [])[0]


def _keep(connection: socket.socket, address: str) -> None:
    """Fork a process, and tie it to the one that stands for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, _MOST_FILES)
    request: dict[str, Any] = json.loads(message)
    pid = os.fork()
    if pid == 0:
        connection.close()
        code = 1
        try:
            code = _run(request, files, address)
        finally:
            os._exit(code)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(pid)
    while True:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        if ended in ready:
            break
        number = connection.recv(8)
        os.kill(pid, int(number) if number else signal.SIGKILL)
        if not number:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        connection.send(str(code).encode())
    os._exit(0)


def _run(request: dict[str, Any], files: list[int], address: str) -> int:
    """Become the process that was asked for, and return its exit code."""
    os.setsid()
    high = [fcntl.fcntl(file, fcntl.F_DUPFD, _FIRST_FREE) for file in files]
    os.closerange(3, _FIRST_FREE)
    for file, number in zip(high, request["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["module"] != _WORKER:  # whose tests say which of their processes start quickly
        for module in (launcher, service):
            module.make_module_command = lambda name, *given: _make_command(address, name, *given)  # type: ignore[attr-defined]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["mask"])
    sys.argv = [request["module"], *request["arguments"]]
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
