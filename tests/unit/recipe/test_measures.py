"""The measures of findings: those of the table of metrics, and what a recipe is told about another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.recipe import MEASURES, TASKS
from ftapp.recipe.measures import list_measures
from ftapp.recipe.metrics import Metric
from tests.support.recipe_files import MINIMAL

FINDING = """
[[arm]]
name = "A"
[[finding]]
says = "s"
lesson = "l"
measure = "NAME"
arm = "A"
at_least = 0.5
step = 5
"""


def test_each_metric_of_a_task_has_two_measures() -> None:
    for task in TASKS.values():
        for metric in task.metrics:
            assert MEASURES[metric.name].compares
            assert MEASURES[f"{metric.name}-after"].at_step


def test_the_unit_of_a_measure_follows_from_its_metric() -> None:
    found = list_measures([Metric("recall", "recall", is_proportion=True), Metric("error", "error")])
    units = {name: measure.unit for name, measure in found.items() if measure.metric}
    assert units == {"recall": "points", "recall-after": "share", "error": "number", "error-after": "number"}
    assert "loss" in found


def test_an_unknown_measure_names_the_nearest_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(MINIMAL.replace("[profile.small]", FINDING.replace("NAME", "acuracy-after") + "[profile.small]"))
    with pytest.raises(RecipeError, match=r"unknown value 'acuracy-after'; did you mean 'accuracy-after'\?"):
        recipe.load_experiment(file)
