"""ftapp's own cost a step, against Keras alone: the same model, batches, optimizer and precision.

Blocks of steps are interleaved in one process, on a tiny BERT (2 layers, 128 wide) and on MiniLM (6 layers, 384 wide),
16 reviews of 128 tokens a batch, everything training.

ftapp           a whole run, as its process does it, with its event log in a scratch folder: batches made ahead on
                another thread, the learning rate of the schedule, an event for each step written to disk. A step's time
                is that between its event and the last one's, so nothing that happens between steps is left out; the
                first steps, which compile, are.
fit             `model.fit` on a `tf.data.Dataset` that holds the ready batches, compiled before the block. Its
                autotuning is off, since that can hold up an epoch's end: the fastest `fit` there is.
train_on_batch  a bare loop over the ready batches.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

import common
from common import Figures
from ftapp import recipe as recipes
from ftapp.recipe import Recipe, bundled
from ftapp.runs import run_creation
from ftapp.runs.event_reader import read
from ftapp.runs.launcher import STOP_SIGNALS
from ftapp.runs.phase_events import Stepped

ARMS = ("ftapp", "fit", "train_on_batch")
MODELS = ("tiny", "minilm")
BATCH = 16
LENGTH = 128
_ROWS = 40 * BATCH
_WARM = 5  # steps at the start of a run that do not count


def recipe(preset: str, reviews: Path, steps: int, precision: str) -> str:
    """One phase of so many steps, evaluated before and after on a few reviews."""
    return f"""
title = "overhead"
summary = "Everything trains."
task = "text-classification"
precision = "{precision}"
[model]
preset = "{preset}"
sequence_length = {LENGTH}
[data]
source = "csv:{reviews}"
validation = 0.0
test = {BATCH}
[[phase]]
name = "all"
steps = {steps}
batch_size = {BATCH}
learning_rate = 1e-5
[evaluate]
every = 1000000
split = "test"
"""


def make_preset(folder: Path, layers: int) -> None:
    """A BERT with random weights and a vocabulary of a thousand words."""
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(1000))]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary), num_layers=layers, num_heads=2, hidden_dim=128, intermediate_dim=512
    )
    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=LENGTH).save_to_preset(str(folder))


def make_reviews(file: Path) -> None:
    """Texts of LENGTH words, so that every batch has the same shape."""
    random = np.random.default_rng(0)
    rows = [
        f"{' '.join(f'w{number}' for number in random.integers(0, 1000, LENGTH))},{'good' if row % 2 else 'bad'}"
        for row in range(_ROWS + BATCH)
    ]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def measure_run(recipe: Recipe, folder: Path) -> Figures:
    """milliseconds: of a step, from event to event."""
    from ftapp.workers import run as run_worker

    run = run_creation.create(recipe, "overhead", None, folder)
    with _signals():
        code = run_worker.main(run.folder)
    if code:
        sys.exit(f"the run failed with exit code {code}: {run.folder}")
    times = [event.time for event in common.of_kind(read(run.events_file), Stepped)][_WARM - 1 :]
    return {"milliseconds": (times[-1] - times[0]) / (len(times) - 1) * 1000}


@contextmanager
def _signals() -> Iterator[None]:
    """A run takes Ctrl-C for itself; afterwards it is this script's again."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def bare(recipe: Recipe, steps: int) -> dict[str, Callable[[], Figures]]:
    """The measurements without ftapp's job: its model, compiled as it does it, and its batches."""
    import keras
    import tensorflow

    from ftapp.data.encoded_splits import load_encoded
    from ftapp.data.order import order_epoch
    from ftapp.models import backend, build
    from ftapp.training.optimizers import make_optimizer

    backend.choose_precision(recipe.precision)
    pretrained = build.load_pretrained(recipe)
    train = load_encoded(recipe, pretrained.preprocessor, lambda activity, done, total: None).train
    model = build.build(recipe, pretrained, 2)
    model.compile(
        optimizer=make_optimizer(recipe.phase[0]),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=backend.jit_compile(),
    )
    order = list(order_epoch(len(train), BATCH, (0, 0, 0)))
    chosen = [order[number % len(order)] for number in range(steps)]
    ready = [(train.make_inputs(members, None), train.get_targets(members)) for members in chosen]
    x = {name: np.stack([batch[name] for batch, _ in ready]) for name in ready[0][0]}
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    dataset = tensorflow.data.Dataset.from_tensor_slices((x, np.stack([y for _, y in ready]))).with_options(options)

    def fit() -> None:
        model.fit(dataset, shuffle=False, verbose=0)

    def loop() -> None:
        for batch, y in ready:
            model.train_on_batch(batch, y, return_dict=True)

    def timed(work: Callable[[], Any]) -> Callable[[], Figures]:
        work()  # compiles

        def measure() -> Figures:
            begun = time.perf_counter()
            work()
            return {"milliseconds": (time.perf_counter() - begun) / steps * 1000}

        return measure

    return {"fit": timed(fit), "train_on_batch": timed(loop)}


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=7)
    parser.add_argument("--steps", type=int, default=60, help="steps of a block (default 60)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="default: both")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.rounds, args.models = 10, 1, ["tiny"]
    with tempfile.TemporaryDirectory(prefix="ftapp-benchmark-") as scratch:
        rows = [row for model in args.models for row in measure_model(model, args, args.scratch or Path(scratch))]
    common.table(["model", "arm", "ms a step", "ftapp's more than this"], rows)
    print(common.footer(args.rounds))


def measure_model(model: str, args: argparse.Namespace, scratch: Path) -> list[list[str]]:
    """The table's rows for one model."""
    scratch.mkdir(parents=True, exist_ok=True)
    make_reviews(scratch / "reviews.csv")
    preset = recipes.load(bundled()["bert-freeze-attention"], "quick").model.preset
    if model == "tiny":
        preset = str(scratch / "bert")
        if not Path(preset).exists():
            make_preset(Path(preset), layers=1 if args.quick else 2)
    file = scratch / f"overhead_{model}.toml"
    file.write_text(recipe(preset, scratch / "reviews.csv", args.steps + _WARM, args.precision), encoding="utf-8")
    loaded = recipes.load(file)
    measures = {"ftapp": lambda: measure_run(loaded, scratch / "runs"), **bare(loaded, args.steps)}
    rounds = common.interleaved(ARMS, args.rounds, lambda arm: measures[arm]())
    return [
        [
            model,
            arm,
            f"{rounds.median(arm, 'milliseconds'):.2f}",
            "" if arm == "ftapp" else f"{rounds.ratio('ftapp', arm, 'milliseconds') - 1:+.1%}",
        ]
        for arm in ARMS
    ]


if __name__ == "__main__":
    main()
