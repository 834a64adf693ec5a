"""The answers of each kind of labels, and the order of examples by their losses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ftapp import recipe
from ftapp.recipe import TASKS
from ftapp.training.answers import _KINDS, ClassAnswers, join_answers
from ftapp.training.evaluate import Evaluation


def make_kind(classes: int, *overrides: str) -> ClassAnswers:
    splits: Any = SimpleNamespace(classes=tuple(f"class {number}" for number in range(classes)))
    return ClassAnswers(recipe.load(recipe.find("vgg16-feature-extractor"), None, overrides), splits)


def test_the_highest_loss_comes_first_and_of_equals_the_first_example() -> None:
    found = Evaluation({}, np.array([3, 0, 1, 2]), np.array([0.5, 2.0, 0.5, 0.5], np.float32))
    assert found.order[found.sort_by_loss()].tolist() == [0, 1, 2, 3]


def test_the_answer_is_the_class_of_the_highest_score() -> None:
    kind = make_kind(2)
    parts = [
        kind.answer(np.array([1, 0]), np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)),
        kind.answer(np.array([1]), np.array([[0.125, 0.875]], np.float32)),
    ]
    joined = join_answers(parts)
    assert joined is not None
    assert [None if column is None else column.tolist() for column in joined] == [
        [1, 0, 1],
        [0, 0, 1],
        [0.25, 0.5, 0.875],
        [0.75, 0.5, 0.875],
    ]
    assert kind.name(joined.answers[2]) == "class 1"
    assert join_answers([]) is None


def test_scores_are_probabilities_unless_a_margin_gives_them_and_of_few_classes_they_are_kept() -> None:
    assert [make_kind(100).keeps_scores, make_kind(101).keeps_scores] == [True, False]
    assert make_kind(2).score_kind == "probability"
    svm = make_kind(2, "model.head=linear-svm")
    assert svm.score_kind == "distance"
    event = svm.describe(np.array([0, 1]), np.array([[1.5, -0.5], [0.5, 0.25]]), step=3, split="test", final=True)
    assert (event.counts, event.calibration, event.step, event.final) == ([[1, 0], [1, 0]], [], 3, True)


def test_each_kind_of_labels_has_answers() -> None:
    assert {task.labels for task in TASKS.values() if task.is_labelled} == set(_KINDS)
