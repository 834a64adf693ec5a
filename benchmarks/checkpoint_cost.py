"""What checkpoints cost of a run's time: the training stands still while it copies the state, and may be slower while
another thread checks, hashes and writes it.

The arms are runs of a recipe, in its quick profile, that differ in how often they save their state. Each phase's end
saves it too, except in `none`.

none     no checkpoint at all, which no recipe can ask for.
default  as often as the recipe says: every 300 seconds.
30, 5, 1 every so many seconds.

Stands still is the time of the copies, `seconds` of the events `state-saved`. Writing is the processor time of the
other thread: what it takes from the training at most, where all cores train. Both are shares of the run's time. The
steps and the run are compared with those of the arm `none` in each round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import common
from common import Figures, Rounds
from ftapp import recipe as recipes
from ftapp.recipe import Recipe
from ftapp.runs import run_creation
from ftapp.runs.event_reader import read
from ftapp.runs.events import RunEnded, StateSaved
from ftapp.runs.phase_events import Stepped

ARMS = ("none", "default", "30", "5", "1")
RECIPES = ("gpt2-targeted", "vgg16-two-phase")


def load(name: str, arm: str, overrides: list[str]) -> Recipe:
    """A recipe in its quick profile, with the checkpoints of an arm."""
    often = [] if arm in ("none", "default") else [f"checkpoint.every_seconds={arm}"]
    return recipes.load(recipes.find(name), "quick", [*often, *overrides])


def do_run(recipe: Recipe, name: str, folder: Path, *, with_checkpoints: bool) -> Figures:
    """Do a run in this process, as its own process does it."""
    from ftapp.training import job
    from ftapp.training.callbacks.checkpointer import Checkpointer
    from ftapp.training.checkpoint import TrainingCheckpoint
    from ftapp.training.state import TrainState
    from ftapp.workers import run as run_worker

    spent: list[float] = []

    class Without(Checkpointer):
        def save(self, state: TrainState) -> None:
            """Save nothing."""

    class Timed(Checkpointer):
        def _write(self, checkpoint: TrainingCheckpoint, folder: Path) -> None:
            begun = time.thread_time()
            super()._write(checkpoint, folder)
            spent.append(time.thread_time() - begun)

    job.Checkpointer = Timed if with_checkpoints else Without  # type: ignore[attr-defined]
    run = run_creation.create(recipe, name, "quick", folder)
    if code := run_worker.main(run.folder):
        sys.exit(f"the run failed with exit code {code}: {run.folder}")
    events = read(run.events_file)
    saved, [ended] = common.of_kind(events, StateSaved), common.of_kind(events, RunEnded)
    return {
        "run": ended.seconds,
        "step": statistics.median(event.seconds for event in common.of_kind(events, Stepped)),
        "saved": len(saved),
        "size": max((event.size for event in saved), default=0),
        "standing": sum(event.seconds for event in saved) / ended.seconds,
        "writing": sum(spent) / ended.seconds,
    }


def measure(arm: str, name: str, args: argparse.Namespace) -> Figures:
    """Do the run of an arm; no run finds the features that another has kept."""
    if arm == common.PREPARE:
        return {}
    os.environ["FTAPP_CACHE"] = str(common.without_features(args.scratch))
    recipe = load(name, arm, args.overrides)
    return do_run(recipe, name, args.scratch / "runs", with_checkpoints=arm != "none")


def report(rounds: Rounds, name: str, arms: list[str]) -> None:
    """Print the table of a recipe."""
    rows = [
        [
            name,
            arm,
            f"{rounds.median(arm, 'run'):.1f}",
            f"{rounds.median(arm, 'saved'):g}",
            f"{rounds.median(arm, 'size') / 1e6:.1f}",
            f"{rounds.median(arm, 'standing'):.2%}",
            f"{rounds.median(arm, 'writing'):.2%}",
            f"{rounds.ratio(arm, 'none', 'step'):.3f}",
            f"{rounds.ratio(arm, 'none', 'run'):.3f}",
        ]
        for arm in arms
    ]
    header = ["recipe", "arm", "run, s", "checkpoints", "MB each", "stands still", "writing", "step", "run"]
    common.table(header, rows)


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=5)
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: all; `none` is always one"
    )
    parser.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help=f"default {RECIPES[0]}")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.arms = 1, ["1"]
        args.overrides = ["phase.finetune.steps=4", *args.overrides]
    arms = list(dict.fromkeys(["none", *args.arms]))
    common.main(
        args, arms, lambda arm: measure(arm, args.recipe, args), lambda rounds: report(rounds, args.recipe, arms)
    )


if __name__ == "__main__":
    main()
