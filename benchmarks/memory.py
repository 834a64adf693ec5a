"""Peak memory of a run in which only the head trains, against that of a forward pass over the same images.

A VGG16 convolution base with random weights, images of 224 x 224 pixels, batches of 32: the activations of a batch are
what takes memory, and a backward pass through the base would keep all of them. Both arms read the data, build the
model and compute in a process of their own; the peak is the most resident bytes of it.

forward  the whole model, head included, over all images, 32 at once.
ftapp    a whole run: features of the frozen base kept on disk, the head trained on them, evaluated and saved.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

import common
from common import Figures, Rounds
from ftapp import recipe as recipes
from ftapp.recipe import Recipe
from ftapp.runs import run_creation

ARMS = ("forward", "ftapp")
BATCH = 32


def recipe(preset: Path, images: int, side: int, precision: str) -> str:
    """A recipe with a head on the frozen base."""
    return f"""
title = "memory"
summary = "The head trains."
task = "image-classification"
precision = "{precision}"
[model]
preset = "{preset}"
image_size = [{side}, {side}]
[data]
source = "sklearn:digits"
limit = {images}
validation = 0.0
test = {BATCH}
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = 3
batch_size = {BATCH}
[evaluate]
batch_size = {BATCH}
split = "test"
"""


def make_preset(folder: Path, *, tiny: bool) -> None:
    """VGG16's convolutions with random weights; a narrow form of them if tiny."""
    import keras_hub

    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 1] if tiny else [2, 2, 3, 3, 3],
        stackwise_num_filters=[4, 8] if tiny else [64, 128, 256, 512, 512],
        image_shape=(None, None, 3),
    )
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.VGGImageConverter(image_size=(224, 224), scale=1 / 255)
    keras_hub.models.VGGImageClassifierPreprocessor(converter).save_to_preset(str(folder))


def forward(loaded: Recipe) -> None:
    """Score every image of the recipe."""
    from ftapp.data.encoded_splits import load_encoded
    from ftapp.data.order import order_evaluation
    from ftapp.models import backend, build

    backend.choose_precision(loaded.precision)
    pretrained = build.load_pretrained(loaded)
    splits = load_encoded(loaded, pretrained.preprocessor, lambda activity, done, total: None)
    model = build.build(loaded, pretrained, len(splits.classes))
    model.compile(jit_compile=backend.jit_compile())
    for dataset in (splits.train, splits.test):
        for members in order_evaluation(len(dataset), BATCH, None, 0, None):
            model.predict_on_batch(dataset.make_inputs(np.asarray(members), None))


def whole_run(loaded: Recipe, folder: Path) -> None:
    """Run the recipe in this process, as a run's own process does it."""
    from ftapp.workers import run as run_worker

    run = run_creation.create(loaded, "memory", None, folder)
    if code := run_worker.main(run.folder):
        sys.exit(f"the run failed with exit code {code}: {run.folder}")


def measure(arm: str, args: argparse.Namespace) -> Figures:
    """peak: resident bytes."""
    scratch: Path = args.scratch
    if arm == common.PREPARE:
        if not (scratch / "vgg").exists():
            make_preset(scratch / "vgg", tiny=args.quick)
        return {}
    os.environ["FTAPP_CACHE"] = str(scratch / f"cache-{os.getpid()}")  # no features of the round before
    file = scratch / "memory.toml"
    file.write_text(recipe(scratch / "vgg", args.images, args.side, args.precision), encoding="utf-8")
    loaded = recipes.load(file)
    if arm == "forward":
        forward(loaded)
    else:
        whole_run(loaded, scratch / "runs")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def report(rounds: Rounds) -> None:
    """Print the table."""
    rows = [
        [arm, f"{rounds.median(arm, 'peak') / 2**30:.2f}", f"{rounds.ratio(arm, 'forward', 'peak'):.2f}"]
        for arm in ARMS
    ]
    common.table(["arm", "peak GiB", "of the forward pass"], rows)


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=3)
    parser.add_argument("--images", type=int, default=128, help="how many images (default 128)")
    parser.add_argument("--side", type=int, default=224, help="their pixels a side (default 224)")
    args = parser.parse_args()
    if args.quick:
        args.images, args.side, args.rounds = 64, 64, 1
    common.main(args, ARMS, lambda arm: measure(arm, args), report)


if __name__ == "__main__":
    main()
