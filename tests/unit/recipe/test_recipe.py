"""Recipes: what is read, what is laid over, and what is refused with which words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.recipe import Recipe, presets
from tests.support.files import FIXTURES
from tests.support.recipe_files import MINIMAL, edited


@pytest.mark.parametrize("name", list(recipe.bundled()))
def test_bundled_recipes_and_their_profiles_are_valid(name: str) -> None:
    path = recipe.find(name)
    assert "quick" in recipe.list_profiles(path)
    for profile in (None, *recipe.list_profiles(path)):
        assert recipe.load(path, profile).title
    assert "quick" in recipe.list_hubless_profiles(path)


def test_a_profile_is_laid_over_and_overrides_over_that(file: Path) -> None:
    loaded = recipe.load(file, "small", ["data.limit=50", "phase.head.batch_size=4", "model.head=one-vs-rest"])
    assert loaded.data.limit == 50
    assert (loaded.phase[0].batch_size, loaded.phase[0].epochs) == (4, 3)
    assert (loaded.phase[1].epochs, loaded.phase[1].steps, loaded.phase[1].learning_rate) == (1, None, 1e-5)
    assert loaded.model.head == "one-vs-rest"


def test_a_resolved_recipe_reads_back_the_same(file: Path, tmp_path: Path) -> None:
    loaded = recipe.load(file, "small")
    copy = tmp_path / "copy.toml"
    copy.write_text(loaded.to_toml(), encoding="utf-8")
    assert recipe.load(copy) == loaded


@pytest.mark.parametrize("name", list(recipe.bundled()))
def test_bundled_recipes_read_back_the_same(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    loaded = recipe.load(recipe.find(name), "quick")
    copy.write_text(loaded.to_toml(), encoding="utf-8")
    assert recipe.load(copy) == loaded


def test_a_table_of_learning_rates_keeps_its_order_and_reads_back_the_same(file: Path, tmp_path: Path) -> None:
    table = '{ backbone = 1e-5, head = 1e-3, "attention & last:2" = 3e-5, "*_conv1, norms" = 1 }'
    edited(file, "steps = 10", f"steps = 10\nlearning_rate = {table}\nlayer_decay = 0.5")
    loaded = recipe.load(file)
    rates = loaded.phase[1].learning_rate
    assert isinstance(rates, dict)
    assert list(rates.items()) == [
        ("backbone", 1e-5),
        ("head", 1e-3),
        ("attention & last:2", 3e-5),
        ("*_conv1, norms", 1.0),
    ]
    copy = tmp_path / "copy.toml"
    copy.write_text(loaded.to_toml(), encoding="utf-8")
    again = recipe.load(copy)
    assert again == loaded
    assert isinstance(again.phase[1].learning_rate, dict)
    assert list(again.phase[1].learning_rate) == list(rates)


def test_rates_are_laid_over_key_by_key_and_by_a_number_as_a_whole(file: Path) -> None:
    def rates(*overrides: str) -> object:
        return recipe.load(file, None, overrides).phase[0].learning_rate

    edited(file, "epochs = 3", "epochs = 3\nlearning_rate = { all = 1e-4, head = 1e-3 }")
    assert rates("phase.head.learning_rate.all=2e-4", "phase.head.learning_rate.last:2=5e-4") == {
        "all": 2e-4,
        "head": 1e-3,
        "last:2": 5e-4,
    }
    assert rates("phase.head.learning_rate=0.5") == 0.5
    file.write_text(MINIMAL, encoding="utf-8")
    assert rates("phase.head.learning_rate={ all = 1e-4 }", "phase.head.learning_rate.head=1e-2") == {
        "all": 1e-4,
        "head": 1e-2,
    }


def test_an_override_without_a_value_takes_a_key_away(file: Path) -> None:
    given = ["phase.finetune.clip_norm=1.0", "augment.rotation=10", "data.limit=100"]
    assert "augment" in recipe.read_tables(file, None, given)
    resolved = recipe.load(file, None, [*given, "phase.finetune.clip_norm=", "augment=", "data.limit="])
    assert resolved == recipe.load(file)
    assert (resolved.phase[-1].clip_norm, resolved.augment, resolved.data.limit) == (None, None, None)
    assert "augment" not in recipe.read_tables(file, None, ["augment=", "augment.views="])


def test_every_key_of_a_recipe_is_described() -> None:
    def check(schema: dict[str, Any]) -> None:
        for name, field in schema.get("properties", {}).items():
            assert field.get("description") or "$ref" in str(field), name

    schema = recipe.Recipe.model_json_schema()
    for each in (schema, *schema["$defs"].values()):
        check(each)


def test_a_byte_order_mark_and_windows_line_ends_are_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert recipe.load(file).title == "t"


def test_every_preset_of_keras_hub_is_known() -> None:
    import keras_hub

    assert set(keras_hub.models.Backbone.presets) <= set(presets.list_hub_names())


def test_names_and_files_are_found_or_the_nearest_is_named(tmp_path: Path) -> None:
    for name, source in ((f"csv:{tmp_path}/a.csv", f"csv:{tmp_path}/a.csv"), (str(tmp_path), f"folder:{tmp_path}")):
        with pytest.raises(RecipeError, match=f"is data, not a recipe; .* --set data.source={source}$"):
            recipe.find(name)
    with pytest.raises(RecipeError, match="there is no recipe 'bert-ful'; did you mean 'bert-full'"):
        recipe.find("bert-ful")
    with pytest.raises(RecipeError, match="there is no file"):
        recipe.find(str(tmp_path / "x.toml"))


def test_paths_are_absolute_in_a_resolved_recipe(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").touch()
    loaded: Recipe = recipe.load(file, None, ["data.source=csv:reviews.csv?stars=5"])
    assert loaded.data.source == f"csv:{tmp_path}/reviews.csv?stars=5"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("some", "'some' says no splits; this is a table of folders"),
        ('{test = "b"}', "no folder trains; a table of splits names one for train"),
        ('{train = "a", tset = "b"}', "'tset' is no split; did you mean 'test'?"),
        ("{train = []}", "train = [] names no folder"),
    ],
)
def test_folders_of_splits_are_named_or_none(value: str, message: str, tmp_path: Path) -> None:
    overrides = [f"data.source=folder:{tmp_path}", f"data.splits={value}"]
    with pytest.raises(RecipeError) as caught:
        recipe.load(recipe.find("vgg16-feature-extractor"), "quick", overrides)
    assert [problem.key for problem in caught.value.problems] == ["data.splits"]
    assert message in str(caught.value)


def test_folders_of_splits_go_with_folders_alone(tmp_path: Path) -> None:
    path = recipe.find("vgg16-feature-extractor")
    splits = 'data.splits={train = ["a", "b"], test = "c"}'
    loaded = recipe.load(path, "quick", [f"data.source=folder:{tmp_path}", splits])
    assert loaded.data.split_folders == {"train": ["a", "b"], "test": ["c"]}
    assert recipe.parse(loaded.to_toml()) == loaded
    with pytest.raises(RecipeError, match="and this key goes with folder: alone"):
        recipe.load(path, "quick", [splits])


@pytest.mark.parametrize(
    ("overrides", "classes"),
    [
        ([], ("a", "b")),
        (["data.source=csv:{}"], None),
        (["data.source=csv:{}", 'data.classes=["c", "d"]'], ("c", "d")),
        (['data.classes=["c", "d"]', "data.source=csv:{}"], ("c", "d")),
        (["data.source=tfds:yelp_polarity_reviews"], ("a", "b")),
        (["data.limit=10"], ("a", "b")),
    ],
)
def test_names_of_classes_go_with_the_kind_of_source_that_they_were_for(
    tmp_path: Path, overrides: list[str], classes: tuple[str, ...] | None
) -> None:
    table = tmp_path / "own.csv"
    table.write_text("text,label\n")
    file = tmp_path / "mine.toml"
    file.write_text(MINIMAL.replace("[data]", '[data]\nclasses = ["a", "b"]'))
    found = recipe.load(file, None, [each.format(table) for each in overrides]).data.classes
    assert (tuple(found) if found else None) == classes


@pytest.mark.parametrize(
    ("name", "preset"), [("image", "vgg_16_imagenet"), ("text", "bert_base_en_uncased"), ("lm", "gpt2_base_en")]
)
def test_older_recipes_are_read_with_keys_that_mean_nothing_to_their_task(
    name: str, preset: str, tmp_path: Path
) -> None:
    """Those of runs hold all keys of their version with their values; other values of such keys are refused."""
    text = (FIXTURES / "older_runs" / name / "recipe.toml").read_text("utf-8")
    place = tmp_path / "data"
    place.mkdir() if name == "image" else place.touch()
    text = re.sub(r'^preset = ".*"$', f'preset = "{preset}"', text, flags=re.MULTILINE)
    text = re.sub(r'^source = "(\w+):.*"$', f'source = "\\1:{place}"', text, flags=re.MULTILINE)
    file = tmp_path / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    assert recipe.load(file).task.startswith(name.replace("lm", "causal"))
    if name == "lm":
        with pytest.raises(RecipeError, match=r"data\.merge_labels: this key does not go with task = 'causal-lm'"):
            recipe.load(file, None, ["data.merge_labels=true"])


def test_a_path_that_is_no_file_is_named_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to(tmp_path / "gone.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    for name, kind in {"link.toml": "a link that leads nowhere", "pipe.toml": "a pipe"}.items():
        with pytest.raises(RecipeError, match=f"this is {kind}; a recipe is a TOML file"):
            recipe.find(str(tmp_path / name))
    (tmp_path / "MINE.TOML").write_text("")
    assert recipe.find(str(tmp_path / "MINE.TOML")) == tmp_path / "MINE.TOML"
