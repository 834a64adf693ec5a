"""The same run again and again beside busy processes: is each of its numbers bitwise the same?

A tiny BERT trains part of its layers with dropout, is evaluated, and saves a checkpoint after each step. --runs of them
run in one process, beside --busy processes that compute in turns. Compared with the first are the losses of all steps,
the evaluations, the weights and the optimizer in each checkpoint, and each weight as it is hashed at the end. What
differs first is told for each run that differs; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from safetensors.numpy import load_file

import common
import soak
from ftapp import recipe as recipes
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.recipe import Recipe
from ftapp.runs import run_creation
from ftapp.runs.checkpoints import list_checkpoints
from ftapp.runs.event_reader import read
from ftapp.runs.events import ModelBuilt, ModelSaved, RunStarted
from ftapp.runs.phase_events import Evaluated, Stepped
from ftapp.runs.run_folder import RunFolder

_BUSY = """
import random, time
while True:
    end = time.monotonic() + random.random() / 20
    while time.monotonic() < end:
        pass
    time.sleep(random.random() / 50)
"""

Facts = dict[str, object]
"""What a run came to, by names in the order in which it came about."""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Have so many other processes compute while the context lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def do_run(recipe: Recipe, folder: Path) -> Facts:
    """Do a run in this process, as its own process does it, and collect what it came to."""
    from ftapp.freezing.proof import digest_weights
    from ftapp.training import job
    from ftapp.workers import run as run_worker

    hashed: list[dict[str, bytes]] = []

    def keep_hashes(plan: LayerPlan) -> dict[str, bytes]:
        hashed.append(digest_weights(plan))
        return hashed[-1]

    job.digest_weights = keep_hashes  # type: ignore[attr-defined]
    run = run_creation.create(recipe, "repeated", None, folder)
    if code := run_worker.main(run.folder):
        sys.exit(f"the run failed with exit code {code}: {run.folder}")
    return collect(run) | {f"hash at the end of {name}": each for name, each in hashed[-1].items()}


def collect(run: RunFolder) -> Facts:
    """Collect what the files of a run tell."""
    facts: Facts = {}
    for event in read(run.events_file):
        match event:
            case RunStarted():
                facts["precision"] = event.precision
            case ModelBuilt():
                facts["weights at the beginning"] = event.digest
            case Stepped():
                facts[f"loss of step {event.step}"] = event.loss
            case Evaluated():
                facts[f"evaluation after step {event.step}"] = event.loss
            case ModelSaved():
                facts["weights at the end"] = event.weights
    for step, checkpoint in reversed(list_checkpoints(run)):
        for file in ("weights", "optimizer"):
            for name, value in load_file(checkpoint / f"{file}.safetensors").items():
                if not name.startswith("random state"):  # of layers whose dropout is off too, which use none
                    facts[f"{file} after step {step}, {name}"] = value.tobytes()
    return facts


def main() -> None:
    """Print how many runs came to the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60, help="how many runs (default 60)")
    parser.add_argument("--busy", type=int, default=6, help="busy processes beside them (default 6)")
    parser.add_argument("--steps", type=int, default=12, help="steps of a run (default 12)")
    args = parser.parse_args()
    different = 0
    with tempfile.TemporaryDirectory(prefix="ftapp-benchmark-") as scratch, busy(args.busy):
        folder = Path(scratch)
        soak.make_preset(folder / "bert")
        soak.make_reviews(folder / "reviews.csv")
        file = folder / "repeated.toml"
        file.write_text(soak.recipe(folder, args.steps), encoding="utf-8")
        often = ["checkpoint.every_steps=1", "checkpoint.keep=1000", "evaluate.every=4", "precision=auto"]
        recipe = recipes.load(file, None, [*often, 'phase.all.layers=["freeze embeddings", "freeze attention"]'])
        first = do_run(recipe, folder / "runs")
        for number in range(2, args.runs + 1):
            facts = do_run(recipe, folder / "runs")
            if names := [name for name in first.keys() | facts.keys() if facts.get(name) != first.get(name)]:
                different += 1
                order = list(first)
                names.sort(key=lambda name: order.index(name) if name in order else len(order))
                common.say(f"run {number} of {args.runs} differs in {len(names)} numbers, first in {names[0]}")
            else:
                common.say(f"run {number} of {args.runs} is the same")
    print(f"{args.runs - different} of {args.runs} runs came to the same {len(first)} numbers")
    print(common.footer(1))
    if different:
        sys.exit(1)


if __name__ == "__main__":
    main()
