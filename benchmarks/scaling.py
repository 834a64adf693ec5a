"""How ftapp's time grows: each of images, pixels, epochs and tokens doubled in turn.

images  a feature extractor: VGG16 with random weights, frozen, on random images of 64x64 pixels; only the head trains.
text    a language model: ftapp's bundled small GPT-2 on random words, the attention of the last two blocks trains.

Each row is a run of `ftapp run` of its own. Its time is that from the data's being loaded to the result, so the start
of the process and saving are left out. Where frozen layers are computed once, doubling the epochs costs far less than
doubling the examples.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import common
from common import Figures, Rounds
from ftapp.runs.events import DataLoaded
from ftapp.runs.phase_events import Evaluated

BASE, TINY = "vgg16", "vgg-tiny"  # presets
_TEST_SHARE = 0.1


@dataclass(frozen=True)
class Images:
    """A run on images. preset: folder in the scratch folder; count: of images; side: in pixels."""

    preset: str
    count: int
    side: int
    epochs: int

    @property
    def label(self) -> str:
        return f"{self.count} images of {self.side}x{self.side}, {_epochs(self.epochs)}"

    def recipe(self, scratch: Path) -> str:
        return f"""
title = "{self.label}"
summary = "Only the head trains."
task = "image-classification"
[model]
preset = "{scratch / self.preset}"
image_size = [{self.side}, {self.side}]
normalize = true
[data]
source = "folder:{scratch / f"images-{self.count}"}"
validation = 0.0
test = {_TEST_SHARE}
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = {self.epochs}
batch_size = 32
[evaluate]
every = 1000000
split = "test"
"""


@dataclass(frozen=True)
class Text:
    """A run on text. length: tokens of a sequence."""

    characters: int
    length: int
    epochs: int

    @property
    def label(self) -> str:
        return f"{self.characters:,} characters, sequences of {self.length} tokens, {_epochs(self.epochs)}"

    def recipe(self, scratch: Path) -> str:
        return f"""
title = "{self.label}"
summary = "The attention of the last two blocks trains."
task = "causal-lm"
[model]
preset = "assets:gpt2_mini"
sequence_length = {self.length}
[data]
source = "text:{scratch / f"text-{self.characters}.txt"}"
validation = 0.0
test = {_TEST_SHARE}
[[phase]]
name = "finetune"
layers = ["freeze all", "train attention & last:2"]
epochs = {self.epochs}
batch_size = 8
[evaluate]
every = 1000000
split = "test"
"""


Case = Images | Text


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def doublings(images: Images, text: Text) -> dict[str, tuple[Case, str]]:
    """The runs by name, each with what is doubled in it, the two base cases first of their kind."""
    return {
        "images": (images, ""),
        "images-images": (replace(images, count=2 * images.count), "images"),
        "images-pixels": (replace(images, side=2 * images.side), "both sides, so four times the pixels"),
        "images-epochs": (replace(images, epochs=2 * images.epochs), "epochs"),
        "text": (text, ""),
        "text-tokens": (replace(text, characters=2 * text.characters), "tokens of the text"),
        "text-length": (replace(text, length=2 * text.length), "tokens of a sequence, half as many sequences"),
        "text-epochs": (replace(text, epochs=2 * text.epochs), "epochs"),
    }


def prepare(cases: dict[str, tuple[Case, str]], scratch: Path) -> Figures:
    """Make the presets, the images and the texts that the cases need."""
    random = np.random.default_rng(0)
    for case, _ in cases.values():
        if isinstance(case, Text):
            words = ["the", "film", "was", "a", "good", "story", "with", "great", "actors", "and", "music", "\n\n"]
            text = " ".join(random.choice(words, case.characters // 4))[: case.characters]
            (scratch / f"text-{case.characters}.txt").write_text(text, encoding="utf-8")
            continue
        if not (scratch / case.preset).exists():
            make_preset(scratch / case.preset, tiny=case.preset == TINY)
        if not (scratch / f"images-{case.count}").exists():
            make_images(scratch / f"images-{case.count}", case.count, random)
    return {}


def make_preset(folder: Path, *, tiny: bool) -> None:
    """VGG16's convolutions with random weights; a narrow form of them if tiny."""
    import keras_hub

    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 1] if tiny else [2, 2, 3, 3, 3],
        stackwise_num_filters=[4, 8] if tiny else [64, 128, 256, 512, 512],
    )
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.VGGImageConverter(image_size=(64, 64), scale=1 / 255)
    keras_hub.models.VGGImageClassifierPreprocessor(converter).save_to_preset(str(folder))


def make_images(folder: Path, count: int, random: np.random.Generator) -> None:
    """JPEG files of noise in two classes, a dark and a light one, 64x64 pixels."""
    from PIL import Image

    for index in range(count):
        name = ("dark", "light")[index % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 128, (64, 64, 3)) + (index % 2) * 100
        Image.fromarray(noise.astype(np.uint8)).save(folder / name / f"{index}.jpg")


def measure(case: Case, args: argparse.Namespace) -> Figures:
    """job: seconds from the data's being loaded to the result."""
    file = args.scratch / "scaling.toml"
    file.write_text(case.recipe(args.scratch), encoding="utf-8")
    events = common.ftapp_run(file, args.scratch, "--precision", args.precision)
    result = common.of_kind(events, Evaluated)[-1]
    assert result.final
    return {"job": result.time - common.of_kind(events, DataLoaded)[0].time}


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=3)
    parser.add_argument("--images", type=int, default=512, help="images of the first run (default 512)")
    parser.add_argument("--characters", type=int, default=60_000, help="characters of the first text (default 60,000)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the first runs (default 4)")
    parser.add_argument("--only", choices=("images", "text"), help="half of the table")
    args = parser.parse_args()
    images, text = Images(BASE, args.images, 64, args.epochs), Text(args.characters, 64, args.epochs)
    if args.quick:
        args.rounds, images, text = 1, Images(TINY, 40, 16, 1), Text(4000, 16, 1)
    cases = {
        name: case for name, case in doublings(images, text).items() if not args.only or name.startswith(args.only)
    }
    if args.quick:
        cases = {name: case for name, case in cases.items() if case[1] in ("", "epochs")}

    def measure_arm(arm: str) -> Figures:
        if arm == common.PREPARE:
            return prepare(cases, args.scratch)
        return measure(cases[arm][0], args)

    common.main(args, list(cases), measure_arm, lambda rounds: report(rounds, cases))


def report(rounds: Rounds, cases: dict[str, tuple[Case, str]]) -> None:
    """Print the table."""
    rows = []
    for name, (case, doubled) in cases.items():
        first = name.partition("-")[0]
        rows.append(
            [
                case.label,
                doubled,
                common.seconds(rounds.median(name, "job")),
                f"{rounds.ratio(name, first, 'job'):.2f}",
            ]
        )
    common.table(["run", "doubled", "seconds", "times the first"], rows)


if __name__ == "__main__":
    main()
