"""The table of tasks: each row is whole, and says of each key what recipes and the interface go by."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.recipe import TASKS, Section
from ftapp.recipe.data_schema import Augment, Balance, Data
from ftapp.recipe.schema import Model, suits
from ftapp.recipe.tasks import TaskName, get_title


def test_the_schema_lists_the_rows_of_the_table() -> None:
    assert list(get_args(TaskName)) == list(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_foreign_keys_exist_in_the_schema(name: str) -> None:
    sections: dict[str, type[Section]] = {"model": Model, "augment": Augment, "balance": Balance, "data": Data}
    for section, _, key in (each.partition(".") for each in TASKS[name].foreign_keys):
        assert key in sections[section].model_fields


def test_each_key_of_augmentation_suits_a_task_or_all() -> None:
    suited = {key for task in TASKS.values() for key in task.augmentations}
    assert set(Augment.model_fields) - suited == {"views"}


@pytest.mark.parametrize("name", TASKS)
def test_each_head_has_a_loss(name: str) -> None:
    task = TASKS[name]
    assert [head for head in task.losses if head] == list(task.heads)
    assert (None in task.losses) is not bool(task.heads)


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("image-classification", "model.pooling", True),
        ("image-classification", "model.sequence_length", False),
        ("text-classification", "augment.word_swap", True),
        ("text-classification", "augment.flip", False),
        ("causal-lm", "model.head", False),
        ("causal-lm", "phase", True),
        ("causal-lm", "data.prompt_column", False),
        ("completion-lm", "data.template", True),
        ("completion-lm", "data.label_column", False),
        ("text-regression", "model.label_smoothing", False),
        ("text-regression", "data.classes", False),
        ("text-multi-label", "balance.focal_gamma", True),
        ("text-multi-label", "balance.sampling", False),
        ("text-classification", "data.label_columns", False),
        ("no such task", "model.pooling", True),
    ],
)
def test_keys_suit_tasks(name: str, key: str, expected: bool) -> None:
    assert suits(name, key) is expected


def test_a_task_that_is_not_known_is_titled_by_its_name() -> None:
    assert get_title("causal-lm") == "Causal language models"
    assert get_title("regression") == "regression"


def test_a_recipe_without_a_head_has_the_usual_one_of_its_task(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.touch()
    heads = {}
    for task in ("text-classification", "text-multi-label", "text-regression"):
        overrides = [f"task={task}", f"data.source=csv:{table}", "data.classes="]
        loaded = recipe.load(recipe.find("bert-head-only"), None, overrides)
        heads[task] = loaded.model.head
    assert heads == {
        "text-classification": "softmax",
        "text-multi-label": "one-vs-rest",
        "text-regression": "linear",
    }


def test_a_head_of_another_task_is_refused() -> None:
    with pytest.raises(RecipeError) as error:
        recipe.load(recipe.find("vgg16-feature-extractor"), "quick", ["task=image-regression"])
    (problem,) = error.value.problems
    assert problem.key == "model.head"
    assert problem.message == "'softmax' does not go with task = 'image-regression'; choose from 'linear'"
