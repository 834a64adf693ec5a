"""What ftapp leaves behind: many short runs one after another, and one run of very many steps.

runs  --runs runs of a few steps, started and followed to their ends by one process, which stands for the interface and
      for the process of an experiment. Every other run is started as the interface does it, by a launcher that is then
      forgotten. After each run it is counted what the process holds and what lies in the folders.
long  one run of --steps steps of a tiny model, with a checkpoint every five seconds, of which two are kept. Its process
      is looked at every second.

Counted are resident memory, processes, threads, open file handles, checkpoints beyond those that are kept, and files in
the folder for temporary files, in the cache and, checkpoints aside, in a run's folder. The first tenth counts as a
warm-up. Something leaks if there is more of it at the end than after the warm-up, or if memory grows through the second
half; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import psutil

import common
from common import Figures, Rounds
from ftapp import recipe as recipes
from ftapp.cli.follow_run import follow_run
from ftapp.recipe import Recipe
from ftapp.runs import following, run_creation
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.environment import make_environment
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import RunStart

# The share of the samples at the beginning that say nothing of a leak.
_WARM = 0.1
# The growth of memory through the second half that is no leak, as a share of it.
_GROWTH = 0.03
# Fewer samples say nothing of a leak.
_ENOUGH = 20
_SAMPLE_SECONDS = 1.0
_SHORT_STEPS = 3
ARMS = ("runs", "long")
_WORDS = 20
_KEPT = 2  # checkpoints
_MIB = 2**20

MEMORY = "resident memory, MiB"


@dataclass(frozen=True)
class Sample:
    """What there is at a moment.

    Attributes:
        place: The runs or the steps that are done.
        amounts: How much there is of each thing, by its name; `MEMORY` among them.
    """

    place: int
    amounts: dict[str, float]


@dataclass(frozen=True)
class Course:
    """How much there is of a thing from the warm-up to the end.

    Attributes:
        start: The most in the tenth of the samples after the warm-up.
        middle: The median of the tenth in the middle.
        end: The least in the last tenth.
        slope: The growth through the second half, by a line fitted to it, for each run or step.
        leaks: Whether it grows on and on; no where there are too few samples to say.
    """

    start: float
    middle: float
    end: float
    slope: float
    leaks: bool


def trace_course(places: Sequence[float], amounts: Sequence[float], *, is_memory: bool) -> Course:
    """Trace how much there is of a thing.

    Args:
        places: The runs or steps that were done at each sample.
        amounts: How much there was.
        is_memory: Whether it leaks only where it grows through the second half; otherwise it leaks where there is
            always more in the last tenth than ever in the one after the warm-up.
    """
    x, y = np.asarray(places, float), np.asarray(amounts, float)
    size = len(y)
    warm, half = int(size * _WARM), size // 2
    tenth = max(1, warm)
    start, end = y[warm : warm + tenth].max(), y[-tenth:].min()
    slope, leaks = 0.0, False
    if size >= _ENOUGH:
        slope = float(np.polyfit(x[half:], y[half:], 1)[0])
        leaks = slope * (x[-1] - x[half]) > _GROWTH * y[half] if is_memory else end > start
    return Course(float(start), float(np.median(y[half : half + tenth])), float(end), slope, bool(leaks))


def recipe(folder: Path, steps: int) -> str:
    """A recipe that trains all of a tiny BERT, and evaluates a hundred times at most."""
    return f"""
title = "soak"
summary = "A tiny model trains."
task = "text-classification"
precision = "float32"
[model]
preset = "{folder / "bert"}"
sequence_length = 16
dropout = 0.1
[data]
source = "csv:{folder / "reviews.csv"}"
validation = 0.0
test = 8
[[phase]]
name = "all"
steps = {steps}
batch_size = 8
learning_rate = 1e-4
[evaluate]
every = {max(1, steps // 100)}
split = "test"
[checkpoint]
every_seconds = 5
keep = {_KEPT}
"""


def make_preset(folder: Path) -> None:
    """A BERT of one layer with random weights and a vocabulary of a few words."""
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(_WORDS))]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16
    )
    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16).save_to_preset(str(folder))


def make_reviews(file: Path) -> None:
    """Texts of several lengths in two classes."""
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in random.integers(0, _WORDS, 4 + row % 12)) for row in range(72)]
    rows = [f"{text} n{row},{'good' if row % 2 else 'bad'}" for row, text in enumerate(texts)]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


class Watched(LocalLauncher):
    """A launcher whose processes can be looked at."""

    def pid(self, run: RunFolder) -> int:
        """The id of a run's process."""
        return self._processes[run.folder].pid


def look(process: psutil.Process, place: int, folders: dict[str, Path], run: RunFolder) -> Sample:
    """Count what a process holds, and what lies in some folders, by their names in words, and in that of a run."""
    with process.oneshot():
        amounts: dict[str, float] = {
            MEMORY: process.memory_info().rss / _MIB,
            "processes below it": len(process.children(recursive=True)),
            "threads": process.num_threads(),
            "open file handles": process.num_fds(),
        }
    files = {f"files in {name}": count_files(path) for name, path in folders.items()}
    checkpoints = [folder for _, folder in list_checkpoints(run)]
    own = count_files(run.folder) - sum(map(count_files, checkpoints))
    surplus = max(0, len(checkpoints) - _KEPT)
    return Sample(place, amounts | files | {"files in the run's folder": own, "checkpoints too many": surplus})


def count_files(folder: Path) -> int:
    """Count the files in a folder and those below it."""
    return sum(len(names) for _, _, names in os.walk(folder))


def do_runs(
    recipe: Recipe, count: int, scratch: Path, environment: dict[str, str], folders: dict[str, Path]
) -> list[Sample]:
    """Do short runs one after another, and look at this process and at folders after each."""
    launcher, this = LocalLauncher(), psutil.Process()
    samples = []
    with Interruption(launcher) as interruption:
        for place in range(1, count + 1):
            run = run_creation.create(recipe, "short", None, scratch / "runs")
            if place % 2:
                LocalLauncher().start(run, environment)
                for _ in following.follow(run, run.alive):
                    pass
            else:
                follow_run(RunStart(run, "short", recipe, environment), launcher, interruption, debug=False)
                launcher.wait(run)
            require_done(run)
            samples.append(look(this, place, folders, run))
    return samples


def do_long_run(
    recipe: Recipe, scratch: Path, environment: dict[str, str], folders: dict[str, Path]
) -> tuple[list[Sample], int]:
    """Do a run, and look at its process and at folders every second. Returns the bytes of its events too."""
    launcher = Watched()
    run = run_creation.create(recipe, "long", None, scratch / "runs")
    samples: list[Sample] = []
    launcher.start(run, environment)
    process, due = psutil.Process(launcher.pid(run)), 0.0
    for event, history in following.follow(run, lambda: launcher.alive(run)):
        if history.result:
            break  # it saves its model
        if event is None and history.steps and time.monotonic() >= due:
            samples.append(look(process, len(history.steps), folders, run))
            due = time.monotonic() + _SAMPLE_SECONDS
    launcher.wait(run)
    require_done(run)
    return samples, run.events_file.stat().st_size


def require_done(run: RunFolder) -> None:
    """End the program if a run has failed."""
    if (status := run.status()) != "done":
        sys.exit(f"{run.folder}: {status}; {run.last_log_lines()}")


def measure(arm: str, args: argparse.Namespace) -> Figures:
    """For each thing its start, middle, end, slope, and whether it leaks; and the bytes of the long run's events."""
    scratch: Path = args.scratch
    if arm == common.PREPARE:
        if not (scratch / "bert").exists():
            make_preset(scratch / "bert")
        make_reviews(scratch / "reviews.csv")
        return {}
    temporary, cache = scratch / arm / "temporary", scratch / arm / "cache"
    temporary.mkdir(parents=True, exist_ok=True)
    folders = {"the temporary folder": temporary, "the cache": cache}
    file = scratch / f"{arm}.toml"
    file.write_text(recipe(scratch, _SHORT_STEPS if arm == "runs" else args.steps), encoding="utf-8")
    loaded = recipes.load(file)
    environment = make_environment(loaded.backend, offline=True)
    environment |= {"TMPDIR": str(temporary), "FTAPP_CACHE": str(cache)}
    if arm == "runs":
        samples, size = do_runs(loaded, args.runs, scratch / arm, environment, folders), 0
    else:
        samples, size = do_long_run(loaded, scratch / arm, environment, folders)
    places = [sample.place for sample in samples]
    figures: Figures = {}
    for name in samples[0].amounts:
        amounts = [sample.amounts[name] for sample in samples]
        course = trace_course(places, amounts, is_memory=name == MEMORY)
        figures |= {f"{name}: {each}": float(value) for each, value in asdict(course).items()}
    return figures | ({"events": size} if size else {})


def report(rounds: Rounds, args: argparse.Namespace, leaks: list[str]) -> None:
    """Print the table, and add what leaks."""
    rows = []
    for arm in args.arms:
        each = f"{args.runs:,} runs" if arm == "runs" else f"a run of {args.steps:,} steps"
        for name in rounds.names(arm, ": leaks"):
            start, middle, end, slope, is_leak = (
                rounds.median(arm, f"{name}: {part}") for part in ("start", "middle", "end", "slope", "leaks")
            )
            is_memory = name == MEMORY
            shown = [f"{value:.1f}" if is_memory else f"{value:g}" for value in (start, middle, end)]
            rows.append([each, name, *shown, _show_slope(arm, slope) if is_memory else "", "yes" if is_leak else "no"])
            if is_leak:
                leaks.append(f"{each}: {name} grew from {shown[0]} to {shown[2]}")
    common.table(["what ran", "what there is", "start", "middle", "end", "slope", "leaks"], rows)
    if "long" in args.arms:
        size = rounds.median("long", "events")
        print(f"\nEvents of the long run: {size / 1e6:.1f} MB, {size / args.steps:.0f} bytes a step.")


def _show_slope(arm: str, slope: float) -> str:
    """Show the growth of memory, from MiB for each run or step."""
    return f"{1024 * slope:+.1f} KiB a run" if arm == "runs" else f"{_MIB * slope:+.1f} bytes a step"


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=1)
    parser.add_argument("--runs", type=int, default=300, help="short runs (default 300)")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of the long run (default 100,000)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: both")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.steps = 2, 200
    leaks: list[str] = []
    common.main(args, args.arms, lambda arm: measure(arm, args), lambda rounds: report(rounds, args, leaks))
    if leaks:
        sys.exit("\n".join(leaks))


if __name__ == "__main__":
    main()
