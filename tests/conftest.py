"""Tiny real presets and data: two blocks, a few words, kilobytes. Each is built once a session."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import seed as seed_python
from typing import Any

# Before anything imports Keras: the tests' own process computes on TensorFlow, without its start-up notices.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import msgspec
import numpy as np
import psutil
import pytest

from ftapp import recipe
from ftapp.runs import run_folder
from ftapp.runs.commands import AnyCommand
from ftapp.runs.events import (
    Choice,
    Confused,
    DataLoaded,
    Drifted,
    Estimate,
    Evaluated,
    EventLog,
    ModelBuilt,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
    RunEnded,
    RunStarted,
    Status,
    Stepped,
    read,
)
from ftapp.runs.history import History
from ftapp.runs.run_folder import Run

# For tests in processes of their own, one on each backend.
BACKENDS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.backends,
            pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed"),
        ],
    )
    for name in ("tensorflow", "jax", "torch")
]

GOOD = ["good", "great", "fine", "lovely", "superb"]
BAD = ["bad", "awful", "poor", "dull", "dreadful"]
OTHER = ["the", "film", "was", "a", "plot", "with", "and", "very", "actor", "scene", "in", "it", "i", "found"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow tests first, so that at the end no worker waits for another's."""
    items.sort(key=lambda item: "slow" not in item.keywords)


@dataclass(frozen=True)
class Tiny:
    """Folders of tiny presets and files of tiny data."""

    vgg: Path
    bert: Path
    gpt2: Path
    reviews: Path
    book: Path
    photos: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("tiny")
    made = Tiny(*(folder / name for name in ("vgg", "bert", "gpt2", "reviews.csv", "book.txt", "photos")))
    _save_vgg(made.vgg)
    _save_bert(made.bert)
    _save_gpt2(made.gpt2)
    random = np.random.default_rng(0)
    _write_reviews(made.reviews, random)
    _write_book(made.book, random)
    _write_photos(made.photos, random)
    return made


def few_photos(tiny: Tiny, folder: Path) -> Path:
    """Make a folder of four of the tiny photos of each class."""
    for name in ("across", "down"):
        (folder / name).mkdir(parents=True)
        for index in range(4):
            (folder / name / f"{index}.png").write_bytes((tiny.photos / name / f"{index}.png").read_bytes())
    return folder


@pytest.fixture(autouse=True)
def no_features_of_others(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own for each test, but for those that need real downloads and keep these for the next time."""
    if "network" not in request.keywords:
        monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Processes of tests heed Ctrl-C, also where a shell has begun the tests in the background, and so deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Weights for which nobody gives a seed are the same each time: Keras draws their seeds from this generator."""
    seed_python(0)


def none_left(folder: Path) -> None:
    """Fail if a process goes on that this one has started or whose command names the folder, and end it."""
    named = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]
    found = {*named, *psutil.Process().children(recursive=True)} - {psutil.Process()}
    _, alive = psutil.wait_procs(found, timeout=60)
    told = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it ends while it is looked at
            if process.status() != psutil.STATUS_ZOMBIE:
                told.append(" ".join(process.cmdline()))
            process.kill()
    assert not told


@pytest.fixture
def image_recipe(tiny: Tiny) -> str:
    return f"""
title = "tiny images"
summary = "Two classes of stripes."
task = "image-classification"
[model]
preset = "{tiny.vgg}"
image_size = [16, 16]
[data]
source = "folder:{tiny.photos}"
validation = 0.2
test = 0.25
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = 3
batch_size = 8
learning_rate = 0.01
"""


@pytest.fixture
def text_recipe(tiny: Tiny) -> str:
    return f"""
title = "tiny reviews"
summary = "Good and bad words."
task = "text-classification"
[model]
preset = "{tiny.bert}"
sequence_length = 16
dropout = 0.1
[data]
source = "csv:{tiny.reviews}"
validation = 0.1
test = 0.25
[[phase]]
name = "finetune"
layers = ["freeze embeddings", "freeze attention"]
steps = 12
batch_size = 8
learning_rate = 0.003
[evaluate]
every = 4
split = "test"
"""


@pytest.fixture
def lm_recipe(tiny: Tiny) -> str:
    return f"""
title = "tiny book"
summary = "A sentence again and again."
task = "causal-lm"
[model]
preset = "{tiny.gpt2}"
sequence_length = 16
[data]
source = "text:{tiny.book}"
validation = 0.1
test = 0.2
[[phase]]
name = "finetune"
layers = ["freeze all", "train attention & last:1"]
epochs = 1
batch_size = 8
learning_rate = 0.003
[samples]
prompts = ["the cat"]
tokens = 6
"""


# What lets the tiny image recipe's loss overflow within its nine steps.
DIVERGES = (
    "phase.head.learning_rate=100",
    "phase.head.optimizer=sgd",
    "phase.head.weight_decay=1",
    "model.hidden=[8, 8]",
)

Do = Callable[..., tuple[int, History, Run]]


@pytest.fixture
def do(tmp_path: Path) -> Iterator[Do]:
    """Run a recipe's text in this process, as a run's own process would: (exit code, history, run).

    commands: what lies in the run's control file when it starts.
    """
    import keras

    from ftapp.workers import run as run_worker

    handlers = {
        number: signal.getsignal(number) for number in (*run_folder.STOP_SIGNALS, run_folder.AT_ONCE, signal.SIGHUP)
    }

    def do(text: str, *overrides: str, commands: Sequence[AnyCommand] = ()) -> tuple[int, History, Run]:
        file = tmp_path / "tiny.toml"
        file.write_text(text, encoding="utf-8")
        loaded = recipe.load(file, None, overrides)
        run = run_folder.create(loaded, "tiny", None, tmp_path / "runs")
        if commands:
            run.control_file.write_bytes(b"".join(msgspec.json.encode(command) + b"\n" for command in commands))
        code = run_worker.main(run.folder)
        return code, History.of(read(run.events_file)), run

    yield do
    for number, handler in handlers.items():
        signal.signal(number, handler)
    keras.config.set_dtype_policy("float32")


def set_weights(model: Any, seed: int) -> None:
    """Weights that are the same on every backend, where Keras's own initializers differ."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            value = np.ones(variable.shape)
        elif variable.path.endswith(("bias", "beta", "moving_mean")):
            value = np.zeros(variable.shape)
        else:
            fan_in = max(1, int(np.prod(variable.shape[:-1])) if "embedding" not in variable.path else 50)
            value = random.normal(0, fan_in**-0.5, variable.shape)
        variable.assign(value.astype("float32"))


def _save_vgg(folder: Path) -> None:
    import keras_hub

    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 2], stackwise_num_filters=[4, 6], image_shape=(None, None, 3)
    )
    set_weights(backbone, 1)
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.VGGImageConverter(image_size=(16, 16), scale=1 / 255)
    keras_hub.models.VGGImageClassifierPreprocessor(converter).save_to_preset(str(folder))


def _save_bert(folder: Path) -> None:
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHER]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
    )
    set_weights(backbone, 2)
    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16).save_to_preset(str(folder))


def _save_gpt2(folder: Path) -> None:
    import keras_hub

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    # GPT-2's own spelling of bytes: those without a printable sign are moved behind 255 (Radford et al. 2019,
    # encoder.py).
    signs = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    words = [*signs, "th", "the", "<|endoftext|>"]
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary={word: index for index, word in enumerate(words)}, merges=["t h", "th e"]
    )
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(words), num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=32
    )
    set_weights(backbone, 3)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=16)
    keras_hub.models.GPT2CausalLM(backbone, preprocessor).save_to_preset(str(folder))


def _write_reviews(file: Path, random: np.random.Generator) -> None:
    rows = []
    for index in range(80):
        words = [*random.choice(OTHER, 6), *random.choice(GOOD if index % 2 else BAD, 3), f"n{index}"]
        rows.append(f"{' '.join(random.permutation(words))},{'positive' if index % 2 else 'negative'}")
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _write_book(file: Path, random: np.random.Generator) -> None:
    nouns, verbs = ["cat", "dog", "queen", "king"], ["sees", "hears", "likes"]
    lines = [f"the {random.choice(nouns)} {random.choice(verbs)} the {random.choice(nouns)}." for _ in range(150)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_photos(folder: Path, random: np.random.Generator) -> None:
    from PIL import Image

    for name, axis in (("across", 0), ("down", 1)):
        (folder / name).mkdir(parents=True)
        for index in range(20):
            stripes = np.indices((20, 24))[axis] // 2 % 2 * 180
            noise = random.integers(0, 70, (20, 24, 3))
            Image.fromarray((stripes[..., None] + noise).astype(np.uint8)).save(folder / name / f"{index}.png")


def record_run(
    folder: Path,
    *overrides: str,
    name: str = "bert-full",
    losses: Sequence[float] = (3.0, 2.0, 1.5, 1.2, 1.1, 1.0),
    seconds: float = 0.2,
    accuracy: float | None = 0.8,
    status: Status | None = "done",
    batches: str = "",
    digest: str = "",
    others: float = 0.0,
) -> Run:
    """A run's folder as a run of the recipe that made these losses would have left it; no status: it crashed."""
    run = run_folder.create(
        recipe.load(recipe.find(name), None, overrides), name, None, folder, command=["ftapp", "run", name]
    )
    log = EventLog(run.events_file)
    log.write(
        RunStarted(time=0, recipe=name, seed=0, backend="tensorflow", device="cpu", precision="float32", reason="asked")
    )
    log.write(DataLoaded(time=1, train=80, validation=0, test=100, classes=["bad", "good"], duplicates=2))
    log.write(ModelBuilt(time=1, parameters=1000, layers=9, digest=digest))
    phase = PhaseStarted(
        time=2,
        phase="finetune",
        first_step=1,
        steps=len(losses),
        epochs=1.0,
        trainable=520,
        parameters=1000,
        trainable_layers=["pooled_dense", "classifier"],
        cache=Choice(cached=True, reason="each example is used 3 times", layers=["a", "b"], size=2**20),
        estimate=Estimate(flops=10**9, flops_uncut=10**9, weights=2**20, gradients=2**20, optimizer=0, activations=0),
    )
    log.write(phase)
    log.write(PhaseTimed(time=2.5, phase="finetune", seconds=2.0))
    for step, loss in enumerate(losses, 1):
        log.write(
            Stepped(
                time=2 + step, step=step, epoch=1, loss=loss, accuracy=0.5, rate=1e-3, seconds=seconds, memory=2**30
            )
        )
    end = 2 + len(losses)
    final = Evaluated(
        time=end,
        step=len(losses),
        split="test",
        examples=100,
        loss=losses[-1],
        accuracy=accuracy,
        seconds=1,
        final=True,
    )
    log.write(final)
    bins = [*([[0.0, 0.0, 0.0]] * 8), [60.0, 51.0, 45.0], [40.0, 38.0, 35.0]]
    log.write(
        Confused(time=end, step=len(losses), split="test", counts=[[35, 15], [5, 45]], calibration=bins, final=True)
    )
    for step in (1, len(losses)):
        moved = [0.01 * step, 0.02 * step]
        log.write(Drifted(time=end, step=step, phase="finetune", since_start=[*moved], last_step=moved))
    if status is not None:
        training = seconds * len(losses)
        log.write(
            PhaseEnded(
                time=end,
                phase="finetune",
                steps=len(losses),
                seconds=training + 2,
                preparing=0.5,
                training=training,
                evaluating=1.0,
                memory=2**30,
                others=others,
                frozen=4,
                digest="0123abcd",
                moved=6,
                batches=batches,
            )
        )
        log.write(RunEnded(time=end, status=status, steps=len(losses), seconds=training + 3))
    return run
