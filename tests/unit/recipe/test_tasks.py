"""The table of tasks: each row is whole, and says of each key what recipes and the interface go by."""

from __future__ import annotations

from typing import get_args

import pytest

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
        ("no such task", "model.pooling", True),
    ],
)
def test_keys_suit_tasks(name: str, key: str, expected: bool) -> None:
    assert suits(name, key) is expected


def test_a_task_that_is_not_known_is_titled_by_its_name() -> None:
    assert get_title("causal-lm") == "Causal language models"
    assert get_title("regression") == "regression"
