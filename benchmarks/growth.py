"""How time and memory grow with the size of data, of the list of runs, and of a run's log.

images  `ftapp plan` and `ftapp run` to the first step, of a head on a tiny frozen network, with so many images of
        16 x 16 pixels in 100 class folders. `run again` finds the checks that the first run has kept.
runs    `ftapp runs` with so many runs of 100 steps, first and again; the interface's screen of all runs to its first
        full list, and a tick of its refresh.
steps   the log of one run with so many steps: `ftapp runs` where nothing is kept, `ftapp report`, the run's screen, and
        `ftapp compare` and the screen Compare with another such run.

Times are wall time and processor time of all processes that have a part in it. Memory is the largest sum of their
resident bytes. The figures are added to a file of JSON, and `--draw` draws them as the pictures of docs/growth.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil

import common
from ftapp.common.processes import make_module_command
from ftapp.experiments.listing import Summaries
from ftapp.report import svg
from ftapp.report.page import embed_picture
from ftapp.report.svg import Line
from ftapp.runs.event_reader import EventReader
from ftapp.runs.events import RunEnded
from ftapp.runs.phase_events import Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_lookup import list_runs
from ftapp.tui.app import FtApp
from ftapp.tui.screens.compare import CompareScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.widgets.run_table import RunTable
from ftapp.tui.widgets.scatter import Scatter
from interface import events, opened, written
from many_images import make_folder
from scaling import make_preset

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "growth.json"
PICTURES = ROOT / "docs" / "pictures"
SIZES = {
    "images": [10**3, 10**4, 10**5, 10**6],
    "runs": [10, 10**2, 10**3, 10**4],
    "steps": [10**4, 10**5, 10**6, 10**7],
}
_STEPS = 100  # of each run of a list
_PACE = 0.05  # seconds between two looks at the memory
_AT_ONCE = 10_000  # events that are written at once
_SETTLED = 2.5  # seconds after which what was read of a file is kept
_RECIPE = """
title = "growth"
summary = "A head on a tiny frozen network."
task = "image-classification"
precision = "float32"
[model]
preset = "{scratch}/vgg-tiny"
image_size = [16, 16]
[data]
source = "folder:{scratch}/images-{count}"
validation = 0.0
test = 100
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
steps = 1
batch_size = 32
[evaluate]
every = 1000000
split = "test"
"""


@dataclass(frozen=True)
class Point:
    """What was measured at one size.

    Attributes:
        of: What there were so many of.
        what: What was measured.
        size: How many there were.
        seconds: Wall time.
        processor: Processor time, in seconds.
        memory: The largest sum of the resident bytes of all processes.
    """

    of: str
    what: str
    size: int
    seconds: float
    processor: float
    memory: int


class Watch:
    """Measures the processes that a command starts until the context ends."""

    def __init__(self) -> None:
        self.seconds = self.processor = math.nan
        self.memory = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._began, self._before = time.perf_counter(), _count_processor_seconds()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.processor = _count_processor_seconds() - self._before
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(_PACE):
            total = 0
            for process in own.children(recursive=True):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.memory = max(self.memory, total)


def _count_processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_command(of: str, what: str, size: int, cache: Path, *arguments: str) -> Point:
    """Measure a command of ftapp."""
    environment = os.environ | {"FTAPP_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with Watch() as watch:
        done = subprocess.run(
            make_module_command("ftapp.cli.app", *arguments), env=environment, stdout=subprocess.DEVNULL, check=False
        )
    if done.returncode:
        sys.exit(f"ftapp {' '.join(arguments)} failed with exit code {done.returncode}")
    return Point(of, what, size, watch.seconds, watch.processor, watch.memory)


def measure_images(size: int, scratch: Path) -> Iterator[Point]:
    """Measure plans and runs with so many images."""
    make_folder(scratch / f"images-{size}", size)
    if not (scratch / "vgg-tiny").exists():
        make_preset(scratch / "vgg-tiny", tiny=True)
    recipe = scratch / f"growth-{size}.toml"
    recipe.write_text(_RECIPE.format(scratch=scratch, count=size), encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=scratch) as cache, tempfile.TemporaryDirectory(dir=scratch) as runs:
        for what, command in (("run", "run"), ("run again", "run"), ("plan", "plan")):
            folder = Path(runs) / what.replace(" ", "-")
            options = ["--runs-dir", str(folder)] if command == "run" else []
            began = time.time()
            point = measure_command("images", what, size, Path(cache), command, str(recipe), *options)
            if command == "run":
                step = next(event for file in folder.glob("*/events.jsonl") for event in _read_steps(file))
                point = Point(**{**asdict(point), "what": f"{what}, to the first step", "seconds": step.time - began})
            yield point


def _read_steps(file: Path) -> Iterator[Stepped]:
    for piece in EventReader(file).pieces():
        yield from (event for event in piece if isinstance(event, Stepped))


def measure_runs(size: int, scratch: Path) -> Iterator[Point]:
    """Measure lists of so many runs."""
    folder = scratch / f"runs-{size}"
    if not folder.exists():
        first = written(folder, _STEPS, ended=True)
        for number in range(1, size):
            shutil.copytree(first.folder, folder / f"20260101-{number:06}-long-{number:04x}")
        time.sleep(_SETTLED)
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        options = ["runs", "--runs-dir", str(folder)]
        yield measure_command("runs", "ftapp runs, the first time", size, Path(cache), *options)
        yield measure_command("runs", "ftapp runs", size, Path(cache), *options)
        yield measure_command("runs", "ftapp runs --where", size, Path(cache), *options, "--where", "loss<2")
        yield from measure_apart("runs", size, folder, Path(cache))


def measure_steps(size: int, scratch: Path) -> Iterator[Point]:
    """Measure a run of so many steps."""
    run = scratch / f"steps-{size}" / "20260101-000000-long-0001"
    if not run.exists():
        write_run(RunFolder(run), size)
        time.sleep(_SETTLED)
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        runs = ["--runs-dir", str(run.parent)]
        yield measure_command("steps", "ftapp runs, the first time", size, Path(cache), "runs", *runs)
        page = str(Path(cache) / "report.html")
        yield measure_command("steps", "ftapp report", size, Path(cache), "report", run.name, *runs, "--output", page)
        yield from measure_apart("steps", size, run, Path(cache))
        other = run.with_name("20260101-000001-long-0002")
        if not other.exists():
            shutil.copytree(run, other, copy_function=os.link)
        yield measure_command("steps", "ftapp compare", size, Path(cache), "compare", run.name, other.name, *runs)
        yield from measure_apart("steps", size, run, Path(cache), screen="compare")
        shutil.rmtree(other)  # a list of one run is measured


def write_run(run: RunFolder, size: int) -> None:
    """Write the folder of a run with so many steps, many events at once."""
    small = written(run.folder.parent.parent / "small", 10, ended=True)
    shutil.copytree(small.folder, run.folder)
    encoder, lines = msgspec.json.Encoder(), bytearray()
    with run.events_file.open("wb") as file:
        for event in events(size):
            lines += encoder.encode(event) + b"\n"
            if len(lines) > _AT_ONCE * 200:
                file.write(lines)
                lines.clear()
        ended = RunEnded(time=time.time(), status="done", steps=size, seconds=float(size))
        file.write(lines + encoder.encode(ended) + b"\n")


def measure_apart(of: str, size: int, folder: Path, cache: Path, screen: str = "") -> Iterator[Point]:
    """Measure a screen in a process of its own, which prints a line for each measurement."""
    environment = os.environ | {"FTAPP_CACHE": str(cache), "FTAPP_CONFIG": str(cache / "config")}
    command = [sys.executable, __file__, "--screen", screen or of, "--sizes", str(size), "--scratch", str(folder)]
    with Watch() as watch:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        what, seconds, processor = json.loads(line)
        yield Point(of, what, size, seconds, processor, watch.memory)


async def measure_screen(of: str, size: int, folder: Path) -> None:
    """Measure a screen in this process: of all runs, of a run of so many steps, or the comparison of two."""
    app = FtApp(folder if of == "runs" else folder.parent.parent / "none")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(1)
        if of == "steps":
            print(json.dumps(["the screen of the run", *await opened(app, RunFolder(folder), size)]))
            return
        seconds, processor = time.perf_counter(), time.process_time()
        if of == "compare":
            app.push_screen(compared := CompareScreen(list_runs(folder.parent)))
            while not (compared.is_mounted and f"{size:,}" in str(compared.query_one(Scatter).border_subtitle)):
                await asyncio.sleep(0.02)
            print(json.dumps(["Compare", time.perf_counter() - seconds, time.process_time() - processor]))
            return
        app.push_screen(RunsScreen())
        while not (isinstance(app.screen, RunsScreen) and app.screen.is_mounted and _count_rows(app.screen) >= size):
            await asyncio.sleep(0.02)
        took = time.perf_counter() - seconds, time.process_time() - processor
        print(json.dumps(["the screen of all runs", *took]))
        app.pop_screen()
        await pilot.pause(0.5)
    summaries = Summaries(folder)
    list(summaries.read())
    seconds, processor = time.perf_counter(), time.process_time()
    list(summaries.read())
    print(json.dumps(["a tick of its refresh", time.perf_counter() - seconds, time.process_time() - processor]))


def _count_rows(screen: RunsScreen) -> int:
    """How many runs the list shows; none before it is there."""
    return sum(len(table.rows) for table in screen.query(RunTable))


MEASURES = {"images": measure_images, "runs": measure_runs, "steps": measure_steps}


def load_points(file: Path) -> list[Point]:
    """Load what was measured before."""
    return [Point(**each) for each in json.loads(file.read_text("utf-8"))] if file.exists() else []


def keep(points: Sequence[Point], file: Path) -> None:
    """Keep points, which take the place of those of the same measurement and size."""
    known = {(each.of, each.what, each.size): each for each in (*load_points(file), *points)}
    order = sorted(known.values(), key=lambda each: (each.of, each.what, each.size))
    file.write_text(json.dumps([asdict(each) for each in order], indent=1) + "\n", encoding="utf-8")


def draw(points: Sequence[Point], folder: Path) -> None:
    """Draw time and memory of each kind of size, on logarithmic axes."""
    for of in MEASURES:
        some = [each for each in points if each.of == of]
        for name, label in (("processor", "seconds of processor time"), ("memory", "MiB of memory")):
            lines = []
            for tone, what in enumerate(dict.fromkeys(each.what for each in some)):
                own = [each for each in some if each.what == what]
                values = [getattr(each, name) / (2**20 if name == "memory" else 1) for each in own]
                sizes = np.array([each.size for each in own], np.float64)
                lines.append(Line(what, sizes, np.array(values, np.float64), tone, "marks"))
            if lines:
                plot = svg.draw_lines(lines, f"{label} over {of}", log=True, log_x=True)
                picture = embed_picture(plot, [(line.name, line.tone) for line in lines])
                (folder / f"growth-{of}-{name}.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MEASURES, help="measure one kind of size")
    parser.add_argument("--sizes", type=int, nargs="+", help="how many (default: all of the plots)")
    parser.add_argument("--scratch", type=lambda text: Path(text).absolute(), help="keep data and runs in this folder")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of figures (default growth.json)")
    parser.add_argument("--draw", action="store_true", help="draw the pictures, and measure nothing")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: shows that it works, measures nothing")
    parser.add_argument("--screen", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.draw:
        draw(load_points(args.results), PICTURES)
        return
    if args.screen:
        asyncio.run(measure_screen(args.screen, args.sizes[0], args.scratch))
        return
    with tempfile.TemporaryDirectory(prefix="ftapp-growth-") as temporary:
        scratch = args.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        points: list[Point] = []
        for of in [args.only] if args.only else MEASURES:
            for size in args.sizes or (SIZES[of][:1] if args.quick else SIZES[of]):
                for point in MEASURES[of](size, scratch):
                    points.append(point)
                    common.say(f"{point.size:,} {of}: {point.what}: {point.seconds:.2f} s")
                    if not args.quick:
                        keep([point], args.results)
    common.table(
        ["of", "number", "what", "wall time", "processor time", "memory"],
        [
            [
                *(each.of, f"{each.size:,}", each.what, f"{each.seconds:.2f} s"),
                *(f"{each.processor:.2f} s", f"{each.memory / 2**20:.0f} MiB"),
            ]
            for each in points
        ],
    )


if __name__ == "__main__":
    main()
