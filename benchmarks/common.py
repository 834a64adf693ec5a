"""What the benchmarks share: arms in processes of their own, interleaved rounds, runs of ftapp read as events, tables.

A benchmark is a script whose arms do the same work in different ways. Each arm of each round is measured in a new
process, which is this same script with `--arm NAME` behind its other arguments, so that no arm finds the threads, the
memory or the compiled functions of another. Rounds are interleaved and each begins with another arm, so that a machine
that grows slower or faster treats all alike. What is printed are medians over the rounds, and medians of the ratios
that each round gave.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ftapp.common import user_folders
from ftapp.common.processes import make_module_command
from ftapp.freezing import feature_cache
from ftapp.models import backend
from ftapp.runs.event_reader import read
from ftapp.runs.events import AnyEvent
from ftapp.runs.phase_events import PhaseEnded

Figures = dict[str, float]
"""What one measurement of one arm gave, by name.

`wall`: seconds of its whole process, imports and all; `cpu`: seconds of processor time of that and of all that it has
started, which other work on the machine changes less.
"""

PREPARE = "prepare"
"""The arm that is run once before the rounds: downloads, conversions, data. It is not timed."""

_PACKAGES = ("ftapp", "keras", "keras-hub", "tensorflow", "torch", "transformers", "numpy")
_Kind = TypeVar("_Kind")


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes. rounds: how many are measured by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds to take the medians of (default {rounds})")
    parser.add_argument("--quick", action="store_true", help="a minute or so: shows that it works, measures nothing")
    parser.add_argument(
        "--scratch",
        type=lambda text: Path(text).absolute(),
        help="keep data and runs in this folder (default: a temporary one)",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of ftapp's runs (default auto: bfloat16 where the hardware says that it has it)",
    )
    parser.add_argument("--arm", help=argparse.SUPPRESS)  # measure this arm in this process, and print its figures
    return parser


class Rounds:
    """The figures of all rounds, by arm."""

    def __init__(self, figures: dict[str, list[Figures]]) -> None:
        self._figures = figures

    def values(self, arm: str, name: str) -> list[float]:
        """One figure of an arm in each round."""
        return [figures[name] for figures in self._figures[arm]]

    def names(self, arm: str, end: str) -> list[str]:
        """The names of an arm's figures that end in these words, without them."""
        return [name.removesuffix(end) for name in self._figures[arm][0] if name.endswith(end)]

    def median(self, arm: str, name: str) -> float:
        """The median of a figure over the rounds."""
        return statistics.median(self.values(arm, name))

    def ratio(self, arm: str, other: str, name: str, other_name: str | None = None) -> float:
        """The median over the rounds of an arm's figure divided by another's in the same round."""
        pairs = zip(self.values(arm, name), self.values(other, other_name or name), strict=True)
        return statistics.median(value / base for value, base in pairs)


def main(
    args: argparse.Namespace,
    arms: Sequence[str],
    measure: Callable[[str], Figures],
    report: Callable[[Rounds], None],
) -> None:
    """Measure the arms, interleaved, and report; in a child process, measure the one arm that it is for.

    measure: does the work of an arm, or of PREPARE, in `args.scratch` and returns its figures.
    """
    if args.arm is not None:
        figures = measure(args.arm)
        if args.arm == PREPARE:
            backend.choose_precision(args.precision)  # may probe the processor; the answer is kept for the arms
        print(json.dumps(figures))
        return
    with ExitStack() as stack:
        scratch: Path = args.scratch or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ftapp-benchmark-"))
        )
        scratch.mkdir(parents=True, exist_ok=True)
        say("preparing")
        _in_child(PREPARE, scratch)
        report(interleaved(arms, args.rounds, lambda arm: _in_child(arm, scratch)))
    print(footer(args.rounds))


def interleaved(arms: Sequence[str], rounds: int, measure: Callable[[str], Figures]) -> Rounds:
    """Measure each arm once a round; round after round another one goes first."""
    figures: dict[str, list[Figures]] = {arm: [] for arm in arms}
    for number in range(rounds):
        first = number % len(arms)
        for arm in [*arms[first:], *arms[:first]]:
            figures[arm].append(measure(arm))
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures[arm][-1].items())
            say(f"round {number + 1} of {rounds}: {arm}: {shown}")
    return Rounds(figures)


def _in_child(arm: str, scratch: Path) -> Figures:
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *sys.argv, "--scratch", str(scratch), "--arm", arm]
    begun, spent = time.perf_counter(), _processor_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    wall = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"the arm '{arm}' failed with exit code {done.returncode}")
    return {"wall": wall, "cpu": _processor_seconds() - spent, **json.loads(done.stdout.splitlines()[-1])}


def _processor_seconds() -> float:
    """Processor time of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ftapp_run(recipe: Path | str, scratch: Path, *options: str) -> list[AnyEvent]:
    """The events of `ftapp run RECIPE OPTIONS`, in a process of its own as always. Ends the program when it fails.

    ftapp keeps what frozen layers give on disk, for later runs too. Here no run finds what another has kept.
    """
    environment = os.environ | {"FTAPP_CACHE": str(without_features(scratch))}
    command = make_module_command("ftapp.cli.app", "run", str(recipe), "--json", "--runs-dir", str(scratch / "runs"))
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"ftapp failed with exit code {done.returncode}")
    return read(Path(json.loads(done.stdout)["run"]) / "events.jsonl")


def without_features(scratch: Path) -> Path:
    """A new cache folder that has the downloads of the usual one, and no features."""
    folder, usual = Path(tempfile.mkdtemp(prefix="cache-", dir=scratch)), user_folders.cache()
    for entry in usual.iterdir() if usual.is_dir() else ():
        if entry.name != feature_cache.folder().name:
            (folder / entry.name).symlink_to(entry)
    return folder


def of_kind(events: Sequence[AnyEvent], kind: type[_Kind]) -> list[_Kind]:
    """The events of one kind, in their order."""
    return [event for event in events if isinstance(event, kind)]


def training_seconds(events: Sequence[AnyEvent]) -> float:
    """Seconds of a run's phases with all that belongs to them: compiling, computing what frozen layers give, steps,
    the proof of what was frozen. Evaluation alone is left out.
    """
    return sum(phase.seconds - phase.evaluating for phase in of_kind(events, PhaseEnded))


def feed(x: Any, y: NDArray[Any], batch_size: int, *, shuffle: bool) -> Any:
    """Arrays as a `keras.utils.PyDataset` of batches, in a new random order each epoch if wanted.

    x: an array or a dictionary of arrays, examples first. With NumPy arrays `fit` goes through TensorFlow's data
    pipeline, whose autotuning thread can hold up an epoch's end for as long as the epoch took; with this it does not.
    """
    import keras

    random = np.random.default_rng(0)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._order = np.arange(len(y))
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(y) // batch_size)

        def __getitem__(self, index: int) -> tuple[Any, NDArray[Any]]:
            members = self._order[index * batch_size : (index + 1) * batch_size]
            chosen = {name: part[members] for name, part in x.items()} if isinstance(x, dict) else x[members]
            return chosen, y[members]

        def on_epoch_end(self) -> None:
            if shuffle:
                random.shuffle(self._order)

    return Batches()


def say(text: str) -> None:
    """Narration: stdout is for the result."""
    print(text, file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")


def seconds(value: float) -> str:
    """Three digits or whole seconds, whichever is more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def footer(rounds: int) -> str:
    """What goes below the tables."""
    return f"\n{_machine()}  \nRounds: {rounds}, interleaved; medians."


def _machine() -> str:
    """The processor, how many of its cores this process may use, and the versions of the libraries, in a line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {name: _version(name) for name in _PACKAGES}
    versions = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    return f"{_processor()}, {cores} cores; Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
