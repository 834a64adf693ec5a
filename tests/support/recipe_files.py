"""The file of a small recipe, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError

HUB_TEXTS = """
title = "t"
summary = "s"
task = "text-classification"
[model]
preset = "bert_base_en_uncased"
sequence_length = 64
[data]
source = "tfds:imdb_reviews"
"""
"""The tables before the phases of a recipe whose model and data are a hub's."""
MINIMAL = f"""{HUB_TEXTS}[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = 3
[[phase]]
name = "finetune"
steps = 10
[profile.small]
data.limit = 100
phase.finetune = {{ epochs = 1, learning_rate = 1e-5 }}
"""


def problems(file: Path, *overrides: str, profile: str | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        recipe.load(file, profile, overrides)
    return [str(problem).replace(str(file), "mine.toml") for problem in caught.value.problems]


def edited(file: Path, old: str, new: str) -> Path:
    assert old in MINIMAL
    file.write_text(MINIMAL.replace(old, new), encoding="utf-8")
    return file
