"""The interface in a real terminal: a recipe from the menu to its end, and a run that outlives the interface."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import psutil
import pyte
import pytest

from ftapp.common import user_folders
from ftapp.runs import commands, run_lookup
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder

COLUMNS, ROWS = 120, 40
_SECONDS = 240.0  # a run imports Keras, on a busy machine


class Terminal:
    """A process in a pseudo-terminal, and the screen that it draws."""

    def __init__(self) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self.process = pexpect.spawn(
            sys.executable, ["-m", "ftapp.cli", "--offline"], env=environment, dimensions=(ROWS, COLUMNS), timeout=None
        )
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def read(self) -> str:
        """What the screen shows now."""
        with suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                self._stream.feed(self.process.read_nonblocking(65536, timeout=0.05))
        return "\n".join(self._screen.display)

    def until(self, holds: Callable[[str], object]) -> str:
        """Wait until the screen shows what is wanted."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            shown = self.read()
            if holds(shown):
                return shown
        raise AssertionError(f"it has not come about; the screen shows:\n{self.read()}")

    def clear(self) -> None:
        """Show nothing, as a terminal does when another program takes it."""
        self._screen.reset()

    def leave(self) -> None:
        """Quit, and wait for the end."""
        self.process.send("q")
        self.until(lambda _: not self.process.isalive())
        assert self.process.exitstatus == 0


@pytest.fixture
def own_recipe(image_recipe: str) -> Path:
    """A recipe in the current folder, which is the test's own."""
    file = Path("mine.toml")
    file.write_text(image_recipe)
    return file


@pytest.fixture
def terminal() -> Iterator[Callable[[], Terminal]]:
    """Opens the interface; what is left of it is ended, and so are the runs that it started."""
    opened: list[Terminal] = []

    def open_interface() -> Terminal:
        opened.append(Terminal())
        return opened[-1]

    yield open_interface
    for each in opened:
        each.process.close(force=True)
    for run in run_lookup.list_runs(user_folders.runs()):
        if run.alive():
            commands.send(run, commands.Stop())
            _wait_for_end(run)


def test_a_recipe_is_chosen_run_and_left(own_recipe: Path, terminal: Callable[[], Terminal]) -> None:
    interface = terminal()
    interface.until(lambda screen: "tiny images" in screen and "In this folder" in screen)
    interface.process.send("\x1a")  # ctrl+z
    process = psutil.Process(interface.process.pid)
    interface.until(lambda _: process.status() == psutil.STATUS_STOPPED)
    assert interface.process.getecho()  # the terminal is as the shell had it
    interface.clear()
    process.send_signal(signal.SIGCONT)  # as fg does
    interface.until(lambda screen: "tiny images" in screen and "In this folder" in screen)
    interface.process.send("r")
    interface.until(lambda screen: "done" in screen and "9 steps" in screen)
    [run] = run_lookup.list_runs(user_folders.runs())
    history = History.of_file(run.events_file)
    assert run.status(history) == "done"
    assert len(history.steps) == 9
    assert (run.model_folder / "model.keras").is_file()
    # Nothing is running, so nothing is asked.
    interface.until(lambda screen: "is running" not in screen)
    interface.leave()


def test_a_run_outlives_an_interface_that_is_killed(own_recipe: Path, terminal: Callable[[], Terminal]) -> None:
    endless = own_recipe.read_text().replace("epochs = 3", "steps = 100_000")
    own_recipe.write_text(f"{endless}[evaluate]\nevery = 50_000\n")
    interface = terminal()
    interface.until(lambda screen: "tiny images" in screen)
    interface.process.send("r")
    _wait(lambda: any(_steps(run) for run in run_lookup.list_runs(user_folders.runs())))
    [run] = run_lookup.list_runs(user_folders.runs())
    psutil.Process(interface.process.pid).send_signal(signal.SIGKILL)
    interface.until(lambda _: not interface.process.isalive())
    before = _steps(run)
    assert run.alive()
    _wait(lambda: _steps(run) > before)

    again = terminal()
    again.until(lambda screen: "tiny images" in screen and "1 run is running" in screen)
    again.process.send("2")
    again.until(lambda screen: re.search(r"running \d+% +mine", screen))  # a row of the list
    again.process.send("\r")
    again.until(lambda screen: "of 100000" in screen.replace(",", ""))
    before = _steps(run)
    _wait(lambda: _steps(run) > before)
    commands.send(run, commands.Stop())
    again.until(lambda screen: "interrupted" in screen)
    again.until(lambda screen: "is running" not in screen)
    again.leave()
    assert run.status() == "interrupted"


def _wait_for_end(run: RunFolder) -> None:
    _wait(lambda: not run.alive())


def _steps(run: RunFolder) -> int:
    return len(History.of_file(run.events_file).steps)


def _wait(holds: Callable[[], object]) -> None:
    end = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.1)
