"""The Model pane, and data and pretrained models that are chosen from lists and from the files of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from ftapp import recipe
from ftapp.recipe import presets, sources
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.editor import offers
from ftapp.tui.editor.choose_offer import ChooseOffer
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.field_line import FieldLine
from tests.tui.configuring import HUB, fill, line, opened
from tests.tui.harness import SIZES, drawn, until

IMAGES = (
    HUB.replace("text-classification", "image-classification")
    .replace("sequence_length = 16", "image_size = [64, 64]")
    .replace("bert_base_en_uncased", "vgg_16_imagenet")
    .replace("tfds:imdb_reviews", "tfds:tf_flowers")
    .replace('classes = ["bad", "good"]\n', "")
)
WRITING = IMAGES.replace("image-classification", "causal-lm").replace("image_size = [64, 64]", "sequence_length = 16")


@pytest.fixture
def images(tmp_path: Path) -> Draft:
    file = tmp_path / "images.toml"
    file.write_text(IMAGES, encoding="utf-8")
    return Draft(file)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (IMAGES, ["image_size", "preset", "features", "pooling", "normalize", "hidden", "dropout", "head"]),
        (HUB, ["sequence_length", "preset", "normalize", "hidden", "dropout", "head"]),
        (WRITING, ["sequence_length", "preset"]),
    ],
)
async def test_the_model_has_a_pane_with_the_size_of_an_example_first(
    text: str, keys: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    async with opened(Draft(file), (80, 24)) as (screen, pilot):
        await pilot.press("f6")
        await pilot.pause()
        pane = screen.query_one("#panes > #model")
        shown = [each.field.key.removeprefix("model.") for each in pane.query(FieldLine) if each.region.area]
        assert shown[: len(keys)] == keys
        assert isinstance(screen.focused, Input)
        assert screen.focused.parent is line(screen, f"model.{keys[0]}")
        await pilot.press("end", "ctrl+u", *("128, 96" if keys[0] == "image_size" else "24").replace(" ", ""))
        assert screen.form.value(f"model.{keys[0]}") == ([128, 96] if keys[0] == "image_size" else 24)


async def test_a_table_of_images_has_the_fields_of_tables_and_of_images(images: Draft) -> None:
    async with opened(images) as (screen, pilot):
        await pilot.press("f4")

        def show(key: str) -> bool:
            return bool(line(screen, f"data.{key}").region.area)

        await pilot.pause()
        assert not any(map(show, ("image_column", "text_column", "label_column")))
        await fill(screen, pilot, "data.source", "csv:photos.csv")
        await until(pilot, lambda: show("image_column"))
        assert all(map(show, ("label_column", "split_column", "order_column", "skip_incomplete", "skip_broken")))
        assert not show("text_column")
        await fill(screen, pilot, "data.image_column", "picture")
        assert screen.form.value("data.image_column") == "picture"


async def test_data_are_chosen_from_a_list(images: Draft) -> None:
    async with opened(images, SIZES[0]) as (screen, pilot):
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.press("f4")
            await pilot.pause()
            assert screen.active_bindings["down"].binding.description == "Choose"
            await pilot.press("down")
            await until(pilot, lambda: isinstance(pilot.app.screen, ChooseOffer))
            await pilot.pause()
            rows = [row for row in drawn(pilot.app.screen) if "tfds:tf_flowers" in row]
            assert any("3,670 photos" in row for row in rows)
            assert pilot.app.screen.query_one(OptionList).highlighted == 11  # what the field holds
            await pilot.press(*"skl")
            await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen is screen)
            await pilot.pause()
            assert screen.form.value("data.source") == "sklearn:digits"
            assert line(screen, "data.source").query_one(Input).value == "sklearn:digits"
            await pilot.press("down", "escape")
            await until(pilot, lambda: pilot.app.screen is screen)
            assert screen.form.value("data.source") == "sklearn:digits"
            screen.take(images, keep_typed=False)


async def test_a_folder_of_this_machine_is_picked(images: Draft, tmp_path: Path) -> None:
    Path("photos", "cats").mkdir(parents=True)
    Path("photos", "note.txt").write_text("not shown")
    async with opened(images) as (screen, pilot):
        await pilot.press("f4")
        await pilot.click(line(screen, "data.source").query_one(".browse"))
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseOffer))
        await pilot.pause()
        await pilot.press("home", *"folder", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickFile))
        await until(pilot, lambda: any("photos" in row for row in drawn(pilot.app.screen)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: any("cats" in row for row in drawn(pilot.app.screen)))
        assert not any("note.txt" in row for row in drawn(pilot.app.screen))
        await pilot.press("space")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.pause()
        assert screen.form.draft.load().data.source == f"folder:{Path.cwd() / 'photos'}"


async def test_a_file_of_a_table_is_picked(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(HUB, encoding="utf-8")
    Path("reviews.csv").write_text("text,label\na,b\n")
    async with opened(Draft(file)) as (screen, pilot):
        await pilot.press("f4", "down")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseOffer))
        await pilot.pause()
        await pilot.press(*"csv:", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickFile))
        await until(pilot, lambda: any("reviews.csv" in row for row in drawn(pilot.app.screen)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.pause()
        assert screen.form.value("data.source") == f"csv:{Path.cwd() / 'reviews.csv'}"


async def test_a_pretrained_model_is_chosen_by_a_part_of_its_name(images: Draft) -> None:
    async with opened(images) as (screen, pilot):
        await pilot.press("f6", "tab", "down")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseOffer))
        await pilot.pause()
        await pilot.press(*"vgg_19", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.pause()
        assert screen.form.draft.load().model.preset == "vgg_19_imagenet"


@pytest.mark.parametrize("task", ["image-classification", "text-classification", "causal-lm"])
def test_each_offer_serves_its_task(task: str) -> None:
    found = offers.list_sources(task)
    assert len({offer.name for offer in found}) == len(found)
    for offer in found:
        if offer.suffixes is None:
            assert sources.resolve(offer.value)
            assert not list(sources.find_conflicts(task, offer.value))
    chosen = [offer for offer in offers.list_presets(task) if offer.suffixes is None]
    assert all(presets.resolve(offer.value) for offer in chosen)
    used = {recipe.load(path).model.preset for path in recipe.bundled().values() if recipe.load(path).task == task}
    assert used <= {offer.value for offer in chosen}


def test_the_hubs_models_are_those_of_the_task() -> None:
    assert "vgg_16_imagenet" in presets.list_hub_names_for("image-classification")
    assert "bert_base_en_uncased" not in presets.list_hub_names_for("image-classification")
    assert "bert_base_en_uncased" in presets.list_hub_names_for("text-classification")
    assert "gpt2_base_en" in presets.list_hub_names_for("causal-lm")
