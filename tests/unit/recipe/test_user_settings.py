"""The settings of a user, and the trackers of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError
from ftapp.recipe import Track
from ftapp.recipe.user_settings import Notify, find_settings_file, load_settings
from ftapp.runs.environment import check_installed


@pytest.fixture
def file() -> Path:
    file = find_settings_file()
    file.parent.mkdir(parents=True)
    return file


def test_without_a_file_nothing_is_tracked_or_told() -> None:
    settings = load_settings()
    assert settings.track.list_used() == {}
    assert settings.notify == Notify()


def test_the_recipe_goes_before_the_settings(file: Path) -> None:
    file.write_text('[track]\ntensorboard = true\nwandb = "mine"\nmlflow = "all"\n[notify]\nafter = 60.0\n', "utf-8")
    settings = load_settings()
    assert settings.track.list_used() == {"tensorboard": "", "wandb": "mine", "mlflow": "all"}
    assert settings.notify.after == 60
    recipe = recipes.load(recipes.find("gpt2-full"), None, ["track.wandb=team/x", "track.mlflow=", "track.history=csv"])
    assert recipe.track.fill(settings.track).list_used() == {
        "tensorboard": "",
        "wandb": "team/x",
        "mlflow": "all",
        "history": "csv",
    }
    off = Track(tensorboard=False, wandb="", mlflow="")
    assert off.fill(settings.track).list_used() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[track]\nwandbb = 1\n", "track.wandbb: unknown key; did you mean 'wandb'"),
        ('[track]\nhistory = "xlsx"\n', "track.history: unknown value 'xlsx'; "),
        ('[track]\nmlflow = " x"\n', "track.mlflow: ' x' is no name of a project"),
        ('[notify]\nwebhook = "hooks.example.com"\n', "notify.webhook: this is no address of a webhook"),
        ("[notify\n", "it cannot be read"),
    ],
)
def test_wrong_settings_are_told_with_their_file(file: Path, text: str, message: str) -> None:
    file.write_text(text, "utf-8")
    with pytest.raises(RecipeError) as raised:
        load_settings()
    assert str(raised.value).startswith(f"{file}: {message}")
    with pytest.raises(RecipeError):
        check_installed(recipes.load(recipes.find("gpt2-full")))


def test_a_tracker_that_is_not_installed_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftapp.runs.environment.is_installed", lambda name: name != "wandb")
    recipe = recipes.load(recipes.find("gpt2-full"), None, ["track.wandb=mine", "track.tensorboard=true"])
    with pytest.raises(
        RecipeError, match=r"^track.wandb: the package 'wandb' is not installed; .* --set track.wandb=$"
    ):
        check_installed(recipe)
