"""Values of a sweep are checked by the layers of the models that they make, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.common.errors import Problem, RecipeError
from ftapp.experiments.sweep.check_values import find_layer_problems, find_rule_problems, list_layer_spaces
from ftapp.experiments.sweep.search import Search, load_search
from ftapp.recipe import Recipe
from ftapp.recipe.structure import Structure
from tests.support.recipe_files import MINIMAL
from tests.tui.structures import bert

RULES = 'phase.finetune.layers=[["train all"], ["freeze atention"], ["freeze all", "train poler"]]'
RATES = "phase.finetune.learning_rate=[0.001, { all = 1e-5, clasifier = 1e-3 }]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.partition("[profile.small]")[0], "utf-8")
    return path


def search_of(file: Path, *over: str) -> Search:
    return load_search(file, None, ["data.validation=0.2"], over)


async def describe(recipe: Recipe) -> Structure:
    """The layers of a model; that of one choice cannot be built."""
    if recipe.model.hidden == [9]:
        raise RecipeError([Problem("", "model.preset", "there are no weights")])
    return bert()


async def test_a_choice_that_names_no_layer_is_named_with_the_nearest(file: Path) -> None:
    search = search_of(file, RULES, RATES, "phase.finetune.batch_size=[8, 16]")
    assert list(list_layer_spaces(search.spaces)) == ["phase.finetune.layers", "phase.finetune.learning_rate"]
    found = await find_layer_problems(search, describe)
    assert [str(each).partition("; ")[0] for each in found] == [
        '--over: phase.finetune.layers: the choice ["freeze atention"]: '
        "'atention' matches no layer of this model, in 'freeze atention'",
        '--over: phase.finetune.layers: the choice ["freeze all", "train poler"]: '
        "'poler' matches no layer of this model, in 'train poler'",
        "--over: phase.finetune.learning_rate: the choice { all = 1e-05, clasifier = 0.001 }: 'clasifier' matches no "
        "layer of this model",
    ]
    assert "did you mean 'attention'?" in found[0].message
    assert find_rule_problems(search, bert()) == found


async def test_a_model_that_cannot_be_built_is_named_by_its_choice(file: Path) -> None:
    found = await find_layer_problems(search_of(file, "model.hidden=[[8], [9]]"), describe)
    assert [str(each) for each in found] == ["--over: model.hidden: the choice [9]: model.preset: there are no weights"]


async def test_a_key_that_names_no_layer_is_told_once_for_all_its_values(file: Path) -> None:
    file.write_text(file.read_text("utf-8") + "learning_rate = { all = 1e-5 }\n", "utf-8")
    found = await find_layer_problems(search_of(file, "phase.finetune.learning_rate.hed=log(1e-6, 1e-3)"), describe)
    assert [str(each) for each in found] == [
        "--over: phase.finetune.learning_rate.hed: 'hed' matches no layer of this model; did you mean 'head'?"
    ]


def test_plain_rates_and_sizes_need_no_model(file: Path) -> None:
    over = ("phase.finetune.learning_rate=log(1e-5, 1e-3)", "phase.finetune.batch_size=[8, 16]")
    assert list_layer_spaces(search_of(file, *over).spaces) == {}
