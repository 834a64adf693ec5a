"""The terminal interface: how soon it shows itself, how it opens a long run, and what following one costs.

paint   from the start of the process `ftapp` in a pseudo-terminal to the frame with the list of recipes, which is the
        first one. What the interface asks of the terminal is answered at once, as terminals do.
open    from opening the screen of a run that has ended after --steps steps to its curves being drawn.
follow  the share of a core that the interface takes while such a run goes on and takes ten steps a second.

`open` and `follow` run the app without a terminal, at 120 x 40. Times of `paint` and `open` are also told in processor
time, that of all processes that have a part in it, since other work on the machine hardly lengthens that.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import json
import math
import os
import pty
import random
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
from common import Figures, Rounds
from ftapp.common.processes import make_module_command
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Event
from ftapp.runs.events import DataLoaded, ModelBuilt, RunEnded, RunStarted
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.app import FtApp
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.widgets.chart import Chart

ARMS = ("paint", "open", "follow")
_SIZE = (120, 40)
_FOLLOWED = 20.0  # seconds
_PACE = 10.0  # steps a second
_LISTED = (b"vgg16-two-phase", b"bert-full", b"gpt2-full")
_QUESTION, _ANSWER = b"\x1b[c", b"\x1b[?62;22c"  # for the terminal's attributes: a VT220 with colours
_RECIPE = """
title = "long"
summary = "So many steps."
task = "text-classification"
[model]
preset = "assets:gpt2_mini"
sequence_length = 16
[data]
source = "tfds:imdb_reviews"
[[phase]]
name = "finetune"
steps = {steps}
"""


def written(folder: Path, steps: int, *, ended: bool) -> RunFolder:
    """A run's folder with the events of so many steps."""
    run = RunFolder(folder / f"20260101-000000-long-{steps}-{'ended' if ended else 'live'}")
    run.folder.mkdir(parents=True, exist_ok=True)
    run.recipe_file.write_text(_RECIPE.format(steps=2 * steps), encoding="utf-8")
    (run.folder / "environment.json").write_text(json.dumps({"recipe": "long"}), encoding="utf-8")
    run.events_file.unlink(missing_ok=True)
    log = EventLog(run.events_file)
    for event in events(steps):
        log.write(event)
    if ended:
        log.write(RunEnded(time=time.time(), status="done", steps=steps, seconds=float(steps)))
    return run


def events(steps: int) -> Iterator[Event]:
    """What a run of so many steps tells, with an evaluation at each hundredth of it."""
    begun, draw = time.time() - steps, random.Random(0)
    yield RunStarted(
        time=begun, recipe="long", seed=0, backend="tensorflow", device="cpu", precision="float32", reason="a benchmark"
    )
    yield DataLoaded(time=begun, train=1000, validation=100, test=100, classes=["a", "b"], duplicates=0)
    yield ModelBuilt(time=begun, parameters=1000, layers=10)
    yield PhaseStarted(
        time=begun,
        phase="finetune",
        first_step=1,
        steps=2 * steps,
        epochs=2.0,
        trainable=500,
        parameters=1000,
        trainable_layers=["a", "b"],
    )
    for number in range(1, steps + 1):
        yield step(number, begun + number, steps, draw)
        if number % max(1, steps // 100) == 0:
            yield Evaluated(
                time=begun + number,
                step=number,
                split="test",
                examples=100,
                loss=1.0,
                metrics={"accuracy": 0.5},
                seconds=1.0,
            )


def step(number: int, moment: float, steps: int, draw: random.Random) -> Stepped:
    """One step of a loss that falls."""
    return Stepped(
        time=moment,
        step=number,
        epoch=1,
        loss=2 * math.exp(-3 * number / steps) + 0.2 * draw.random(),
        metrics={"accuracy": draw.random()},
        rate=1e-3,
        seconds=0.1 + 0.01 * draw.random(),
        memory=2**30,
    )


def measure_paint(args: argparse.Namespace) -> Figures:
    """seconds and processor seconds until the first frame."""
    environment = os.environ | {"TERM": "xterm-256color", "FTAPP_RUNS": str(args.scratch / "none")}
    begun = time.perf_counter()
    process, terminal = pty.fork()
    if not process:
        os.execvpe(sys.executable, make_module_command("ftapp"), environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _SIZE[1], _SIZE[0], 0, 0))
    shown, answered = b"", False
    while not all(name in shown for name in _LISTED) and select.select([terminal], [], [], 30)[0]:
        shown += os.read(terminal, 65536)
        if _QUESTION in shown and not answered:
            os.write(terminal, _ANSWER)
            answered = True
    seconds = time.perf_counter() - begun
    os.kill(process, 9)
    usage = os.wait4(process, 0)[2]
    return {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime}


async def opened(app: FtApp, run: RunFolder, steps: int) -> tuple[float, float]:
    """Open a run's screen; (wall seconds, processor seconds) until its curves hold so many steps."""
    wall, processor = time.perf_counter(), processor_seconds()
    app.open_run(run)
    while not (isinstance(app.screen, RunScreen) and app.screen.is_mounted and drawn(app.screen) >= steps):
        await asyncio.sleep(0.02)
    return time.perf_counter() - wall, processor_seconds() - processor


def processor_seconds() -> float:
    """What this process and those that it has waited for have taken."""
    return sum(os.times()[:4])


def drawn(screen: RunScreen) -> int:
    """The last step of the curve of the loss."""
    curves = screen.query_one("#loss", Chart).curves
    return int(curves[0].x[-1]) if curves and len(curves[0].x) else 0


async def measure_open(args: argparse.Namespace) -> Figures:
    """seconds and processor seconds until a run that has ended is drawn."""
    run = written(args.scratch, args.steps, ended=True)
    gc.disable()  # as the program begins
    app = FtApp(args.scratch / "none")
    async with app.run_test(size=_SIZE) as pilot:
        await pilot.pause(1)
        seconds, processor = await opened(app, run, args.steps)
    return {"seconds": seconds, "processor": processor}


async def measure_follow(args: argparse.Namespace) -> Figures:
    """processor: the share of a core while a run of so many steps goes on."""
    run = written(args.scratch, args.steps, ended=False)
    app = FtApp(args.scratch / "none")
    with living(run):
        async with app.run_test(size=_SIZE) as pilot:
            await pilot.pause(1)
            await opened(app, run, args.steps)
            log, draw = EventLog(run.events_file), random.Random(1)
            begun, before, number = time.perf_counter(), time.process_time(), args.steps
            while time.perf_counter() - begun < _FOLLOWED:
                number += 1
                log.write(step(number, time.time(), args.steps, draw))
                await asyncio.sleep(1 / _PACE)
            share = (time.process_time() - before) / (time.perf_counter() - begun)
    return {"seconds": math.nan, "processor": share}


@contextmanager
def living(run: RunFolder) -> Iterator[None]:
    """The run counts as alive, as if it had a process."""
    with run.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def report(rounds: Rounds) -> None:
    """Print the table."""
    rows = [
        ["paint", f"{rounds.median('paint', 'seconds'):.2f} s", f"{rounds.median('paint', 'processor'):.2f} s"],
        ["open", f"{rounds.median('open', 'seconds'):.2f} s", f"{rounds.median('open', 'processor'):.2f} s"],
        ["follow", "", f"{rounds.median('follow', 'processor'):.1%} of a core"],
    ]
    common.table(["what", "wall time", "processor time"], rows)


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=3)
    parser.add_argument("--steps", type=int, default=1_000_000, help="of the long run (default a million)")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.rounds = 2_000, 1

    def measure(arm: str) -> Figures:
        os.environ["FTAPP_CONFIG"] = str(args.scratch / "config")
        if arm == "paint":
            return measure_paint(args)
        if arm in ARMS:
            return asyncio.run(measure_open(args) if arm == "open" else measure_follow(args))
        return {}

    common.main(args, ARMS, measure, report)


if __name__ == "__main__":
    main()
