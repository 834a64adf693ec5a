"""How soon a command answers, and how soon a run has its model.

list        `ftapp runs` with --count runs of --steps steps each that have been listed before.
list-first  the same where none of them has been listed before.
run         `ftapp run` to the first line of its narration, and to the model with its weights: by default of a small
            GPT-2 that comes with ftapp, on a text of 300 sentences; --recipe has it run the quick profile of another.

Times are wall time and processor time, that of all processes that have a part in it, since other work on the machine
hardly lengthens that.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

import common
from common import Figures, Rounds
from ftapp.common.processes import make_module_command
from ftapp.runs.event_reader import read
from ftapp.runs.events import ModelBuilt
from interface import written

ARMS = ("list", "list-first", "run")
_SETTLED = 2.5  # seconds after which a list keeps what it has read of a run
_RECIPE = """
title = "small"
summary = "A small GPT-2 on a small text."
task = "causal-lm"
[model]
preset = "assets:gpt2_mini"
sequence_length = 64
[data]
source = "text:{text}"
[[phase]]
name = "finetune"
steps = 1000
"""


def prepare(args: argparse.Namespace) -> Figures:
    """Make the runs, list them once, and write the recipe with its text."""
    first = written(args.scratch / "listed", args.steps, ended=True)
    for number in range(1, args.count):
        shutil.copytree(first.folder, first.folder.with_name(f"20260101-{number:06}-long-{number:04x}"))
    time.sleep(_SETTLED)
    measure_list(args, args.scratch / "cache")
    text = args.scratch / "text.txt"
    text.write_text("".join(f"There are {number} words on page {number}.\n" for number in range(300)), "utf-8")
    (args.scratch / "small.toml").write_text(_RECIPE.format(text=text), "utf-8")
    return {}


def measure_list(args: argparse.Namespace, cache: Path) -> Figures:
    """seconds and processor seconds of `ftapp runs`."""
    command = make_module_command("ftapp", "runs", "--runs-dir", str(args.scratch / "listed"))
    begun, before = time.perf_counter(), _count_processor_seconds()
    environment = os.environ | {"FTAPP_CACHE": str(cache)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return {"seconds": time.perf_counter() - begun, "processor": _count_processor_seconds() - before}


def _count_processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_run(args: argparse.Namespace) -> Figures:
    """Seconds and processor seconds to the first line, and to the model."""
    recipe = [args.recipe, "--profile", "quick"] if args.recipe else [str(args.scratch / "small.toml")]
    runs = Path(tempfile.mkdtemp(prefix="runs-", dir=args.scratch))
    begun = time.time()
    process = subprocess.Popen(
        make_module_command("ftapp", "run", *recipe, "--runs-dir", str(runs)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    command = psutil.Process(process.pid)
    try:
        assert process.stderr is not None
        process.stderr.readline()
        figures = {"line": time.time() - begun, "line-processor": sum(command.cpu_times()[:2])}
        built: list[ModelBuilt] = []
        while not built and process.poll() is None:
            time.sleep(0.02)
            built = [event for file in runs.glob("*/events.jsonl") for event in common.of_kind(read(file), ModelBuilt)]
        processes = [command, *command.children()]
        figures["model"] = built[0].time - begun if built else math.nan
        figures["model-processor"] = sum(sum(each.cpu_times()[:2]) for each in processes)
    finally:
        process.send_signal(signal.SIGINT)  # as Ctrl-C: the run ends after its step
        process.communicate()
    return figures


def report(rounds: Rounds) -> None:
    """Print the table."""
    rows = [
        [arm, f"{rounds.median(arm, 'seconds'):.2f} s", f"{rounds.median(arm, 'processor'):.2f} s"]
        for arm in ("list", "list-first")
    ]
    rows += [
        [
            f"run to its {what}",
            f"{rounds.median('run', end):.2f} s",
            f"{rounds.median('run', f'{end}-processor'):.2f} s",
        ]
        for what, end in (("first line", "line"), ("model", "model"))
    ]
    common.table(["what", "wall time", "processor time"], rows)


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=5)
    parser.add_argument("--count", type=int, default=1000, help="runs in the list (default 1000)")
    parser.add_argument("--steps", type=int, default=100, help="of each of them (default 100)")
    parser.add_argument("--recipe", help="the recipe to run, in its quick profile")
    args = parser.parse_args()
    if args.quick:
        args.count, args.steps, args.rounds = 10, 10, 1

    def measure(arm: str) -> Figures:
        if arm == common.PREPARE:
            return prepare(args)
        if arm == "run":
            return measure_run(args)
        cache = args.scratch / "cache" if arm == "list" else Path(tempfile.mkdtemp(prefix="cache-", dir=args.scratch))
        return measure_list(args, cache)

    common.main(args, ARMS, measure, report)


if __name__ == "__main__":
    main()
