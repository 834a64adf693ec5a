"""GPT-2 with targeted freezing: what freezing saves of the training's time, in ftapp and in plain Keras.

A model of GPT-2's base size (12 blocks, 768 wide, 50,257 tokens) with random weights, which cost what trained ones do.
Arm A trains everything; arm B freezes all but the attention of the last 4 blocks. Both see the same 4 x 128 tokens a
batch in the same number of steps. The result is the saving r = (T_A - T_B) / T_A.

ftapp-A, ftapp-B  `ftapp run`; T is the time of its phase with everything in it: compiling, computing what the frozen
                  layers give (nothing is kept from earlier runs), the steps, and the proof of what was frozen. Left
                  out are the start of the process, evaluation and saving.
keras-A, keras-B  `fit` of the same model on the same sequences in the same precision, everything in `fit` included. It
                  is fed by a `keras.utils.PyDataset`: with NumPy arrays an epoch's end may wait for the autotuning
                  thread of TensorFlow's data pipeline, the longer the longer the epoch was, which would hide r.

The text is made up of random words and its tokens are bytes; neither matters to the time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

import common
from common import Figures, Rounds
from ftapp import recipe as recipes
from ftapp.runs.phase_events import PhaseStarted, Stepped

ARMS = ("ftapp-A", "ftapp-B", "keras-A", "keras-B")
RULES = {"A": ["train all"], "B": ["freeze all", "train attention & last:4"]}
BATCH = 4
LENGTH = 128
LAST = 4  # blocks whose attention trains in arm B
RATE = 5e-5
BASE = {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "intermediate_dim": 3072, "vocabulary_size": 50257}
TINY = {"num_layers": 6, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64, "vocabulary_size": 512}
_TEST_BYTES = 4 * LENGTH


def recipe(preset: Path, text: Path, rules: list[str], epochs: int) -> str:
    """One phase on the whole text but its end, evaluated before and after."""
    return f"""
title = "GPT-2, targeted freezing"
summary = "What freezing saves."
task = "causal-lm"
[model]
preset = "{preset}"
sequence_length = {LENGTH}
[data]
source = "text:{text}"
validation = 0.0
test = {_TEST_BYTES / text.stat().st_size}
[[phase]]
name = "finetune"
layers = {rules}
epochs = {epochs}
batch_size = {BATCH}
learning_rate = {RATE}
[evaluate]
every = 1000000
split = "test"
"""


def make_preset(folder: Path, sizes: dict[str, int]) -> None:
    """A GPT-2 with random weights and a tokenizer whose tokens are bytes."""
    import keras
    import keras_hub

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    # GPT-2's own spelling of bytes: those without a printable sign are moved behind 255 (Radford et al. 2019,
    # encoder.py).
    signs = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary={sign: index for index, sign in enumerate([*signs, "th", "<|endoftext|>"])}, merges=["t h"]
    )
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.GPT2Backbone(**sizes, max_sequence_length=1024)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=LENGTH)
    keras_hub.models.GPT2CausalLM(backbone, preprocessor).save_to_preset(str(folder))


def make_text(file: Path, size: int) -> None:
    """Lines of random words, `size` bytes in all, the same each time."""
    random = np.random.default_rng(0)
    letters = "abdefgiklmnoprsu"  # without "th", so that a token is a byte
    words = ["".join(random.choice(list(letters), random.integers(2, 8))) for _ in range(500)]
    lines: list[str] = []
    while sum(map(len, lines)) + len(lines) < size:
        lines.append(" ".join(random.choice(words, 10)))
    file.write_text("\n".join(lines)[:size], encoding="utf-8")


def measure_ftapp(arm: str, args: argparse.Namespace) -> Figures:
    """training: T in seconds; step: the median of a step; steps: how many there were."""
    file = write_recipe(arm, args)
    events = common.ftapp_run(file, args.scratch, "--precision", args.precision)
    steps = common.of_kind(events, Stepped)
    return {
        "training": common.training_seconds(events),
        "step": statistics.median(each.seconds for each in steps),
        "steps": len(steps),
        "trainable": common.of_kind(events, PhaseStarted)[0].trainable,
    }


def measure_keras(arm: str, args: argparse.Namespace) -> Figures:
    """training: seconds of `fit`; step: its share for one step from the second epoch on."""
    import keras
    import keras_hub

    from ftapp.data.encoded_splits import load_encoded
    from ftapp.models import backend

    loaded = recipes.load(write_recipe(arm, args))
    backend.choose_precision(args.precision)
    causal_lm = keras_hub.models.CausalLM.from_preset(loaded.model.preset, dtype=keras.config.dtype_policy())
    preprocessor = causal_lm.preprocessor
    preprocessor.sequence_length = LENGTH
    train = load_encoded(loaded, preprocessor, lambda activity, done, total: None).train
    everything = np.arange(len(train))
    x, y = train.make_inputs(everything, None), train.get_targets(everything)

    backbone = causal_lm.backbone
    if arm == "B":
        for layer in backbone.layers:
            layer.trainable = False
        for block in backbone.transformer_layers[-LAST:]:
            block.trainable = True
            for layer in block._layers:
                layer.trainable = layer is block._self_attention_layer
    model = keras.Model(causal_lm.input, causal_lm.output)  # without the task's tokenizing of what it is fed
    model.compile(
        optimizer=keras.optimizers.Adam(RATE), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    ends: list[float] = []
    stamp = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    begun = time.perf_counter()
    model.fit(common.feed(x, y, BATCH, shuffle=True), epochs=args.epochs, verbose=0, callbacks=[stamp])
    training = time.perf_counter() - begun
    per_epoch = -(-len(y) // BATCH)
    return {
        "training": training,
        "step": statistics.median(np.diff(ends).tolist() or [training]) / per_epoch,
        "steps": args.epochs * per_epoch,
        "trainable": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
    }


def write_recipe(arm: str, args: argparse.Namespace) -> Path:
    """The file of an arm's recipe."""
    file: Path = args.scratch / f"gpt2_{arm}.toml"
    file.write_text(recipe(preset_of(args), text_of(args), RULES[arm], args.epochs), encoding="utf-8")
    return file


def preset_of(args: argparse.Namespace) -> Path:
    """The folder of the model."""
    return Path(args.scratch / ("gpt2-tiny" if args.quick else "gpt2-base"))


def text_of(args: argparse.Namespace) -> Path:
    """The file of the text."""
    return Path(args.scratch / "text.txt")


def prepare(args: argparse.Namespace) -> Figures:
    """Make the preset and the text."""
    # Half a sequence more, since the cut for the test is at the end of a line nearby; what is left over goes.
    make_text(text_of(args), args.batches * BATCH * LENGTH + LENGTH // 2 + _TEST_BYTES)
    if not preset_of(args).exists():
        make_preset(preset_of(args), TINY if args.quick else BASE)
    return {}


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=3)
    parser.add_argument("--epochs", type=int, default=3, help="default 3")
    parser.add_argument("--batches", type=int, default=16, help="of an epoch (default 16)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="which to measure (default all)")
    args = parser.parse_args()
    if args.quick:
        args.batches, args.rounds = 4, 1

    def measure(arm: str) -> Figures:
        if arm == common.PREPARE:
            return prepare(args)
        tool, _, letter = arm.partition("-")
        return measure_ftapp(letter, args) if tool == "ftapp" else measure_keras(letter, args)

    common.main(args, args.arms, measure, lambda rounds: report(rounds, args.arms))


def report(rounds: Rounds, arms: list[str]) -> None:
    """Print the table and r."""
    rows = []
    for arm in arms:
        other = arm.replace("-B", "-A")
        saved = arm != other and other in arms
        rows.append(
            [
                arm,
                f"{rounds.median(arm, 'trainable'):,.0f}",
                f"{rounds.median(arm, 'steps'):.0f}",
                common.seconds(rounds.median(arm, "training")),
                common.seconds(rounds.median(arm, "step")),
                f"{1 - rounds.ratio(arm, other, 'training'):.0%}" if saved else "",
            ]
        )
    common.table(["arm", "trainable parameters", "steps", "T, seconds", "seconds a step", "r"], rows)


if __name__ == "__main__":
    main()
