"""Recipes that train the tiny presets on the tiny data."""

from __future__ import annotations

from tests.support.presets import Tiny

# What lets the tiny image recipe's loss overflow within its nine steps.
DIVERGES = (
    "phase.head.learning_rate=100",
    "phase.head.optimizer=sgd",
    "phase.head.weight_decay=1",
    "model.hidden=[8, 8]",
)


# Keeps a checkpoint of each step.
EVERY_STEP = ("checkpoint.every_steps=1", "checkpoint.keep=1000")

# What lets the tiny text recipe train little, where a test is about its examples.
HEAD_ALONE = 'phase.finetune.layers=["freeze all", "train head"]'


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


def completion_recipe(tiny: Tiny) -> str:
    return f"""
title = "tiny pairs"
summary = "A letter again and again."
task = "completion-lm"
[model]
preset = "{tiny.gpt2}"
sequence_length = 16
[data]
source = "jsonl:{tiny.pairs}"
validation = 0.1
test = 0.2
[[phase]]
name = "finetune"
layers = ["freeze all", "train attention & last:1"]
epochs = 2
batch_size = 8
learning_rate = 0.003
[samples]
tokens = 6
"""


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


def without_samples(text: str) -> str:
    """A tiny recipe whose language model writes nothing while it trains, where a test is about something else.

    To trace what writes takes a third of the time of such a run.
    """
    return text.partition("[samples]")[0]
