"""Folds of a recipe: what makes an experiment, and which keys do not go with folds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe
from tests.support.recipe_files import HUB_TEXTS, problems

PHASE = """[[phase]]
name = "head"
steps = 10
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table = tmp_path / "mine.csv"
    table.write_text("text,label\n")
    made = tmp_path / "mine.toml"
    made.write_text(HUB_TEXTS.replace("tfds:imdb_reviews", f"csv:{table}") + PHASE, encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.folds=1"], "data.folds: 1 is too small; the least is 2"),
        (["data.fold=2"], "data.fold: fold 2 is of no folds; data.folds says how many there are"),
        (["data.folds=3", "data.fold=4"], "data.fold: 4 is too large; the most is data.folds = 3"),
        (
            ["data.folds=2", "data.validation=0.5"],
            "data.validation: 0.5 + 0.5 of the examples leave none to train on; both together are below 1",
        ),
        (
            ["data.folds=3", "data.split_column=part"],
            "data.folds: folds do not go with data.split_column, which names the test split; take one of the two: "
            "--set data.split_column=",
        ),
        (
            ["data.folds=3", "data.order_column=day"],
            "data.folds: folds do not go with data.order_column, which tests on the latest rows alone; take one of the "
            "two: --set data.order_column=",
        ),
    ],
)
def test_keys_that_cannot_be_combined_with_folds_are_refused(file: Path, overrides: list[str], message: str) -> None:
    (found,) = problems(file, *overrides)
    assert found.endswith(message)


def test_a_recipe_with_folds_is_an_experiment_unless_it_names_one(file: Path) -> None:
    def count(*overrides: str) -> int:
        return recipe.load_experiment(file, None, overrides).folds

    assert (count(), count("data.folds=4"), count("data.folds=4", "data.fold=2")) == (0, 4, 0)
    assert recipe.is_experiment(str(file), None, ["data.folds=4"])
    assert not recipe.is_experiment(str(file), None, ["data.folds=4", "data.fold=2"])
    assert not recipe.is_experiment(str(file), None, ["data.folds=1"])


def test_an_arm_with_other_folds_is_refused(file: Path) -> None:
    with file.open("a", encoding="utf-8") as added:
        added.write('[[arm]]\nname = "A"\n[[arm]]\nname = "B"\ndata.folds = 3\n')
    assert any("this arm has other folds; arms are compared on the same folds" in each for each in problems(file))
    assert list(recipe.load_experiment(file, None, ["data.folds=5"]).arms) == ["A", "B"]
