"""Arms of a recipe: what they override, what overrides them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.cli import app
from ftapp.common.errors import RecipeError
from ftapp.recipe import RecipeWithArms
from tests.support.recipe_files import HUB_TEXTS

RECIPE = f"""{HUB_TEXTS}[[phase]]
name = "finetune"
steps = 10
[[arm]]
name = "A full"
[[arm]]
name = "B targeted"
phase.finetune.layers = ["freeze all", "train attention & last:4"]
[[arm]]
name = "C two phases"
[[arm.phase]]
name = "head"
epochs = 1
layers = ["freeze all", "train head"]
[[arm.phase]]
name = "rest"
steps = 5
[profile.small]
phase.finetune.epochs = 2
arm."B targeted".phase.finetune.layers = ["freeze all", "train attention & last:2"]
arm."C two phases".phase.rest.steps = 3
"""


def loaded(folder: Path, text: str = RECIPE, *overrides: str, profile: str | None = None) -> RecipeWithArms:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return recipe.load_experiment(file, profile, overrides)


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        loaded(folder, text, *overrides)
    return [str(problem).replace(str(folder / "mine.toml"), "mine.toml") for problem in caught.value.problems]


def test_an_arm_is_the_recipe_with_its_keys_laid_over(tmp_path: Path) -> None:
    made = loaded(tmp_path)
    assert list(made.arms) == ["A full", "B targeted", "C two phases"]
    assert made.arms["A full"] == made.base
    assert made.arms["B targeted"].phase[0].layers == ["freeze all", "train attention & last:4"]
    assert made.arms["B targeted"].phase[0].steps == 10
    assert [phase.name for phase in made.arms["C two phases"].phase] == ["head", "rest"]


def test_a_profile_overrides_arms_and_set_overrides_all(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        RECIPE,
        "seed=7",
        "data.limit=50",
        "arm.A full.phase.finetune.batch_size=4",
        profile="small",
    )
    assert {arm.seed for arm in made.arms.values()} == {7}
    assert {arm.data.limit for arm in made.arms.values()} == {50}
    assert made.arms["B targeted"].phase[0].layers == ["freeze all", "train attention & last:2"]
    assert made.arms["B targeted"].phase[0].epochs == 2
    assert made.arms["C two phases"].phase[1].steps == 3
    assert [arm.phase[0].batch_size for arm in made.arms.values()] == [4, 32, 32]


def test_set_overrides_what_an_arm_says(tmp_path: Path) -> None:
    made = loaded(tmp_path, RECIPE.replace('name = "A full"', 'name = "A full"\nseed = 1'), "seed=2")
    assert made.arms["A full"].seed == 2


def test_all_that_is_wrong_with_all_arms_is_told_at_once(tmp_path: Path) -> None:
    text = RECIPE.replace('name = "A full"', 'name = "A full"\nmodel.hed = "softmax"').replace(
        'layers = ["freeze all", "train attention & last:4"]', 'layers = ["frieze all"]'
    )
    text = text.replace("steps = 5", "stepz = 5").replace('summary = "s"', "")
    refusals = problems(tmp_path, text)
    assert len(refusals) == 4
    assert refusals[0] == "mine.toml: summary: this key is required and is missing"
    assert refusals[1] == "mine.toml [arm.A full]: model.hed: unknown key; did you mean 'head'?"
    assert refusals[2].startswith("mine.toml [arm.B targeted]: phase.finetune.layers.0: 'frieze all' begins")
    assert refusals[3] == "mine.toml [arm.C two phases]: phase.rest.stepz: unknown key; did you mean 'steps'?"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "A full"', "", "arm.0.name: this arm has no name; it is at most 40 of"),
        ('name = "A full"', 'name = "a/b"', "'a/b' is no name of an arm; it is at most 40 of the letters A-Z"),
        ('name = "A full"', 'name = "été"', "'été' is no name of an arm; it is at most 40 of the letters A-Z and a-z"),
        (
            'name = "A full"',
            'name = "B targeted"',
            "arm.B targeted: two arms have this name; arms have different names",
        ),
        (
            "phase.finetune.layers",
            "phase.finetun.layers",
            "phase: there is no phase 'finetun'; did you mean 'finetune'?",
        ),
    ],
)
def test_arms_that_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert any(message in problem for problem in problems(tmp_path, RECIPE.replace(old, new, 1)))


def test_one_arm_is_no_comparison(tmp_path: Path) -> None:
    text = RECIPE.partition("[[arm]]")[0] + '[[arm]]\nname = "A"\n'
    assert problems(tmp_path, text) == ["mine.toml: arm: the recipe has one arm; a comparison has two arms or more"]
    assert problems(tmp_path, RECIPE.partition("[[arm]]")[0] + "[arm]\nname = 'A'\n")[0].startswith(
        "mine.toml: arm: {'name': 'A'} is not a list of arms; an arm is a table [[arm]]"
    )


def test_an_arm_that_is_set_exists(tmp_path: Path) -> None:
    for value in ("1", ""):
        refusals = problems(tmp_path, RECIPE, f"arm.B target.seed={value}")
        assert refusals == [
            f"--set arm.B target.seed={value}: arm: there is no arm 'B target'; did you mean 'B targeted'?"
        ]


def test_a_misspelled_key_of_an_arm_is_refused_whatever_its_value(tmp_path: Path) -> None:
    for value in ("1", "", "{}", "''"):
        override = f"arm.B targeted.phase.finetune.warmpu={value}"
        wrong = "arm.B targeted.phase.finetune.warmpu: unknown key; did you mean 'warmup'?"
        assert problems(tmp_path, RECIPE, override) == [f"--set {override}: {wrong}"]


def test_show_prints_arms_that_read_back(tmp_path: Path) -> None:
    made = loaded(tmp_path, profile="small")
    shown = CliRunner().invoke(app.app, ["show", str(tmp_path / "mine.toml"), "--profile", "small"])
    assert shown.exit_code == 0
    again = tmp_path / "again"
    again.mkdir()
    assert loaded(again, shown.stdout) == made


def test_validate_checks_arms(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE.replace("steps = 5", "steps = 0"), encoding="utf-8")
    result = CliRunner().invoke(app.app, ["validate", str(tmp_path / "mine.toml")])
    assert result.exit_code == 2
    assert "[arm.C two phases]: phase.rest.steps" in result.stderr
