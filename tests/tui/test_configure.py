"""The Configure screen: each key, fields that are checked as one types, and what the real helper process tells."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Button, Input, Static, Switch, TextArea

from ftapp import recipe
from ftapp.recipe import Recipe
from ftapp.rpc import structure_cache
from ftapp.rpc.clients import Inspector, Told
from ftapp.rpc.messages import Probe, Survey
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.help import HelpScreen
from ftapp.tui.editor.advise import AdviseScreen
from ftapp.tui.editor.augment_pane import AugmentPane
from ftapp.tui.editor.class_bars import ClassBars
from ftapp.tui.editor.configure import ConfigureScreen
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.meaning import MeaningScreen
from ftapp.tui.editor.rate_curve import RateCurve
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.pictures import Pictures
from tests.support.plans import make_plan
from tests.support.presets import Tiny, few_photos
from tests.tui.harness import SIZES, Opened, notes, until
from tests.tui.structures import bert

HUB = """
title = "t"
summary = "s"
task = "text-classification"
[model]
preset = "bert_base_en_uncased"
sequence_length = 16
[data]
source = "tfds:imdb_reviews"
classes = ["bad", "good"]
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
epochs = 3
[[phase]]
name = "finetune"
layers = ["freeze embeddings", "freeze attention"]
steps = 10
learning_rate = 1e-4
schedule = "cosine"
[profile.small]
data.limit = 100
"""


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A recipe whose model and data a hub has, and whose structure is known from before: no process is needed."""
    file = tmp_path / "hub.toml"
    file.write_text(HUB, encoding="utf-8")
    structure_cache.keep(recipe.load(file), bert())
    return Draft(file)


@asynccontextmanager
async def opened(
    draft: Draft, size: tuple[int, int] = (120, 40), app: Opened | None = None
) -> AsyncIterator[tuple[ConfigureScreen, Pilot[None]]]:
    """The screen, once it shows the draft."""
    app = app or Opened()
    async with app.run_test(size=size) as pilot:
        screen = ConfigureScreen(draft)
        app.push_screen(screen)
        await until(pilot, lambda: screen.form.tables or screen.form.problems)
        await pilot.pause()
        yield screen, pilot


@asynccontextmanager
async def with_layers(
    draft: Draft, size: tuple[int, int] = (120, 40), app: Opened | None = None
) -> AsyncIterator[tuple[ConfigureScreen, Pilot[None]]]:
    """The screen, once the tree has the focus."""
    async with opened(draft, size, app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        await pilot.pause()
        yield screen, pilot


def line(screen: ConfigureScreen, key: str) -> FieldLine:
    return next(each for each in screen.query(FieldLine) if each.field.key == key)


async def fill(screen: ConfigureScreen, pilot: Pilot[None], key: str, text: str) -> FieldLine:
    """Type a text into a field, in the place of what is there."""
    found = line(screen, key)
    box = found.query_one(Input)
    box.focus()
    await pilot.press("end", "ctrl+u", *typed(text))
    await pilot.pause()
    return found


def typed(text: str) -> list[str]:
    """The keys that type a text."""
    return ["space" if sign == " " else sign for sign in text]


def text_of(widget: Widget) -> str:
    assert isinstance(widget, Static)
    return str(widget.visual)


def wrong(found: FieldLine) -> str | None:
    return found.message


def share(screen: ConfigureScreen) -> str:
    return text_of(screen.query_one("#share"))


# The layers


async def test_space_and_letters_toggle_layers_and_the_share_changes_at_once(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        rules = screen.query_one("#rules", TextArea)
        assert "10.0%" in share(screen)
        course = [
            ("a", ["freeze all", "train head, attention"], "32.5%"),
            ("h", ["freeze all", "train attention"], "22.5%"),
            ("a", ["freeze all"], "0%"),
            ("m", ["freeze all", "train mlp"], "30.0%"),
            ("e", ["freeze all", "train mlp, embeddings"], "67.5%"),
            ("asterisk", [], "100%"),
            ("b", ["freeze backbone"], "10.0%"),
        ]
        for key, expected, percent in course:
            await pilot.press(key)
            await pilot.pause()
            assert screen.form.layers == rules.text.splitlines() == expected
            assert percent in share(screen)
        await pilot.press("p", "n")
        assert "pooler" in notes(pilot.app)
        assert "norms" in notes(pilot.app)
        await pilot.press("down", "down", "space")  # the first block
        await pilot.pause()
        assert screen.form.layers == ["freeze backbone", "train transformer_layer_0"]
        await pilot.press("right", "space")  # into it, its attention
        await pilot.pause()
        assert screen.form.layers[-1] == "freeze blocks[0] & self_attention"
        assert "freeze blocks[0] & self_attention" in str(screen.query_one(LayersPane).border_subtitle)


async def test_plus_and_minus_thaw_and_freeze_the_last_blocks(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        for key, last in [("plus", "last:1"), ("plus", "last:2"), ("minus", "last:1"), ("minus", "head")]:
            await pilot.press(key)
            await pilot.pause()
            assert screen.form.layers[-1].endswith(last)
        assert screen.form.draft.changes == {}
        await pilot.press("minus")
        assert "does not train as a whole" in notes(pilot.app)


async def test_rules_are_edited_as_text_and_checked(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        pane, rules = screen.query_one(LayersPane), screen.query_one("#rules", TextArea)
        rules.focus()
        await pilot.press("down", "down", "end", "enter", *typed("tran mlp"))
        await until(pilot, lambda: pane.has_class("-wrong"))
        assert text_of(screen.query_one("#rules-wrong")) == screen.form.problems[0].message
        assert "did you mean 'train'" in text_of(screen.query_one("#rules-wrong"))
        assert screen.query_one("#run", Button).disabled
        assert "10.0%" in share(screen)  # as it was
        await pilot.press(*["left"] * 5, "i")
        await until(pilot, lambda: not pane.has_class("-wrong"))
        assert screen.form.layers[-1] == "train mlp"
        assert "40.0%" in share(screen)
        await pilot.press("end", "x")
        await until(pilot, lambda: pane.has_class("-wrong"))
        assert "'mlpx' matches no layer" in text_of(screen.query_one("#rules-wrong"))
        assert screen.query_one("#run", Button).disabled
        await pilot.press("escape")
        assert isinstance(screen.focused, LayerTree)


async def test_a_click_on_a_mark_toggles_its_layer(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        tree = screen.query_one(LayerTree)
        row = tree.render_line(1).text
        await pilot.click(tree, offset=(row.index("○"), 1))
        await pilot.pause()
        assert screen.form.layers == ["freeze all", "train head, embeddings"]


async def test_a_model_of_a_hub_waits_to_be_fetched_and_rules_can_be_written_meanwhile(draft: Draft) -> None:
    other = draft.with_change("model.preset", "bert_tiny_en_uncased")
    async with opened(other) as (screen, pilot):
        await until(pilot, lambda: "g fetches it" in text_of(screen.query_one("#waiting")))
        assert screen.query_one(DataPane).has_class("-unfetched")
        assert not screen.query_one("#run", Button).disabled
        screen.query_one("#rules", TextArea).focus()
        await pilot.press("down", "down", "end", "enter", *typed("train mlp"))
        await until(pilot, lambda: len(screen.form.layers) == 3)


# Fields


async def test_a_field_is_checked_as_one_types_with_the_words_of_a_recipe(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        for key, text in [
            ("phase.learning_rate", "fast"),
            ("phase.batch_size", "0"),
            ("data.limit", "1"),
            ("data.source", "csv:nothing.csv"),
            ("model.preset", "bert_base"),
            ("data.test", "-1"),
        ]:
            before = screen.form
            found = await fill(screen, pilot, key, text)
            words = screen.form.draft.problems()[0].message
            assert wrong(found) == words
            assert text.rpartition(":")[2] in words
            assert words in text_of(screen.query_one("#problems"))
            assert screen.query_one("#run", Button).disabled
            await fill(screen, pilot, key, found.field.write(before.value(before.key(key))))
            assert wrong(found) is None
            assert screen.form == before
        assert not screen.query_one("#run", Button).disabled


async def test_what_belongs_to_no_field_that_is_shown_stands_at_the_bottom(draft: Draft) -> None:
    async with opened(draft.with_change("phase.finetune.batch_size", -3)) as (screen, pilot):
        assert screen.form.phase == "head"
        assert "phase.finetune.batch_size" in text_of(screen.query_one("#problems"))
        await pilot.press("ctrl+r")
        assert isinstance(pilot.app, Opened)
        assert not pilot.app.started
        assert not screen.active_bindings["ctrl+r"].enabled
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert wrong(line(screen, "phase.batch_size"))


async def test_choices_and_switches_change_with_one_key(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        line(screen, "phase.optimizer").query_one(Dropdown).focus()
        await pilot.press("right")
        await pilot.pause()
        assert screen.form.draft.changes == {"phase.head.optimizer": "adamw"}
        await pilot.press("left")
        await pilot.pause()
        assert screen.form.draft == draft
        line(screen, "frozen.cache").query_one(Switch).focus()
        await pilot.press("space")
        await pilot.pause()
        assert screen.form.draft.changes == {"frozen.cache": False}
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, MeaningScreen)


async def test_question_mark_tells_what_a_field_means_unless_it_is_part_of_the_value(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await fill(screen, pilot, "phase.warmup", "0.1")
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, MeaningScreen)
        assert "rises to its value" in pilot.app.screen._text
        await pilot.press("escape")
        await fill(screen, pilot, "data.source", "text:a?")
        assert screen.form.value("data.source") == "text:a?"
        screen.query_one(LayerTree).focus()
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)


async def test_the_course_of_the_rate_is_drawn_for_the_phase_that_is_chosen(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        curve = screen.query_one(RateCurve)
        assert set(curve.values) == {1e-3}
        await pilot.press("right_square_bracket")
        assert curve.values[0] == 1e-4
        assert list(curve.values) == sorted(curve.values, reverse=True)
        assert len(curve.values) == 10
        assert curve.ends == ("step 1", "10")


async def test_a_profile_is_chosen_and_left(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        screen.query_one("#profile", Dropdown).focus()
        await pilot.press("enter", "home", "enter")
        await until(pilot, lambda: screen.form.draft.profile == "small")
        assert line(screen, "data.limit").query_one(Input).value == "100"
        await pilot.press("enter", "end", "enter")
        await until(pilot, lambda: screen.form.draft.profile is None)
        assert line(screen, "data.limit").query_one(Input).value == ""


async def test_phases_are_chosen_added_renamed_and_removed(draft: Draft) -> None:
    async with with_layers(draft, (200, 60)) as (screen, pilot):
        await pilot.click(next(chip for chip in screen.query(".phase") if "finetune" in text_of(chip)))
        assert screen.form.phase == "finetune"
        assert line(screen, "phase.steps").query_one(Input).value == "10"
        await pilot.click("#add-phase")
        await pilot.pause()
        assert screen.form.phases == ["head", "finetune", "phase-3"]
        await fill(screen, pilot, "phase.name", "last")
        assert screen.form.phases == ["head", "finetune", "last"]
        found = await fill(screen, pilot, "phase.name", "last one")
        assert "last one" in (wrong(found) or "")
        assert screen.form.phase == "last"
        await pilot.click("#remove-phase")
        await pilot.pause()
        assert screen.form.phases == ["head", "finetune"]
        assert screen.form.draft == draft


async def test_steps_take_the_place_of_epochs(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await fill(screen, pilot, "phase.steps", "25")
        assert line(screen, "phase.epochs").query_one(Input).value == ""
        assert screen.form.recipe
        assert (screen.form.recipe.phase[0].epochs, screen.form.recipe.phase[0].steps) == (None, 25)
        await fill(screen, pilot, "phase.steps", "")
        assert screen.form.draft == draft
        assert line(screen, "phase.epochs").query_one(Input).value == "3"
        await fill(screen, pilot, "phase.epochs", "")
        assert "either 'epochs' or 'steps'" in (wrong(line(screen, "phase.epochs")) or "")


async def test_texts_have_changes_of_their_own(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("f5")
        pane = screen.query_one(AugmentPane)
        shown = [each.field.key for each in pane.query(FieldLine) if each.display]
        assert shown == ["augment.token_dropout", "augment.word_swap", "augment.views"]
        await fill(screen, pilot, "augment.word_swap", "0.2")
        assert screen.form.recipe
        assert screen.form.recipe.augment
        assert screen.form.recipe.augment.word_swap == 0.2


# Saving, copying, starting, leaving


async def test_a_draft_is_saved_as_a_recipe_and_never_over_another_unasked(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("a", "ctrl+s")
        assert isinstance(pilot.app.screen, Ask)
        pilot.app.screen.query_one(Input).value = "mine"
        await pilot.press("enter")
        saved = Path("mine.toml")
        await until(pilot, saved.is_file)
        assert recipe.load(saved).phase[0].layers == ["freeze all", "train head, attention"]
        assert screen.form.draft == Draft(saved)
        assert isinstance(pilot.app, Opened)
        assert pilot.app.settings.recent == [str(saved.absolute())]
        before = saved.read_text()
        await pilot.press("m", "ctrl+s", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
        await pilot.press("escape")
        assert saved.read_text() == before
        await pilot.press("ctrl+s", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
        await pilot.press("left", "enter")
        await until(pilot, lambda: saved.read_text() != before)
        assert "mlp" in recipe.load(saved).phase[0].layers[1]


async def test_a_name_that_cannot_be_saved_to_is_told(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen.query("#wrong"))
        dialog = pilot.app.screen
        for name, words in [("", "mine.toml"), ("no/such/folder/a.toml", "no folder"), ("..", "is a folder")]:
            dialog.query_one(Input).value = name
            await pilot.press("enter")
            assert words in text_of(dialog.query_one("#wrong"))
            assert pilot.app.screen is dialog
        await pilot.press("escape")
        assert screen.form.draft == draft


async def test_the_command_is_copied_and_shown(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("a", "y")
        command = screen.form.draft.command()
        assert pilot.app.clipboard == command
        assert command in notes(pilot.app)
        assert command.endswith("""--set 'phase.head.layers=["freeze all", "train head, attention"]'""")


async def test_a_run_is_started_with_the_draft(draft: Draft) -> None:
    app = Opened()
    async with opened(replace(draft, profile="small"), app=app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        await pilot.press("a", "ctrl+r")
        await until(pilot, lambda: app.started)
        await pilot.click("#run")
        assert app.started == [screen.form.draft] * 2
        assert app.started[0].profile == "small"
        assert app.started[0].load().phase[0].layers == ["freeze all", "train head, attention"]


async def test_leaving_asks_only_where_changes_would_be_lost(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("a", "escape")
        assert isinstance(pilot.app.screen, Dialog)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("a", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ConfigureScreen | Dialog))
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("a", "escape", "left", "enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ConfigureScreen | Dialog))


@pytest.mark.parametrize("key", ["1", "2", "q"])
async def test_other_ways_out_ask_too(draft: Draft, key: str) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("a", key)
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
        assert "1 change is not saved." in text_of(pilot.app.screen.query_one("#dialog-text"))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.unsaved
        await pilot.press("ctrl+r")
        assert not screen.unsaved  # the run keeps it


async def test_a_file_that_is_no_recipe_is_shown_as_such(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("title = ", encoding="utf-8")
    for path in (broken, tmp_path / "gone.toml"):
        async with opened(Draft(path)) as (screen, pilot):
            assert "recipe" in text_of(screen.query_one("#problems"))
            await pilot.press("ctrl+r", "f3", "f4", "escape", "escape")
            assert isinstance(pilot.app, Opened)
            assert not pilot.app.started
            await until(pilot, lambda: pilot.app.screen is not screen)


# Sizes


@pytest.mark.parametrize(("size", "theme"), zip(SIZES, ["ftapp-dark", "ftapp-light"] * 2, strict=True))
async def test_each_pane_has_room_at_each_size(draft: Draft, size: tuple[int, int], theme: str) -> None:
    app = Opened()
    app.theme = theme
    async with opened(draft, size, app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        at_once = {60: 1, 80: 1, 120: 2, 200: 5}[size[0]]
        for key, name in [("f3", "training"), ("f4", "data"), ("f5", "augment"), ("f6", "model"), ("f2", "layers")]:
            await pilot.press(key)
            await pilot.pause()
            panes = [pane for pane in screen.query("#panes > .pane") if pane.region.area]
            assert len(panes) == at_once
            pane = screen.query_one(f"#panes > #{name}")
            assert pane in panes
            assert screen.region.contains_region(pane.region)
            assert pane.size.height >= (10 if size[1] > 20 else 7)
        tree = screen.query_one(LayerTree)
        drawn = "\n".join(tree.render_line(y).text for y in range(tree.size.height))
        assert "transformer_layer_0" in drawn
        assert ("train head" in drawn) is (size[0] in (80, 200))  # where there is room for the rules
        await pilot.press("a")
        assert "32.5%" in share(screen)


# With the helper process


async def told(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait for the helper process, which loads Keras first."""
    for _ in range(1200):
        if holds():
            return
        await pilot.pause(0.1)
    raise AssertionError("it has not come about")


async def test_a_text_classifier_is_inspected(text_recipe: str, tmp_path: Path) -> None:
    from ftapp.models import build

    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        pane, data = screen.query_one(LayersPane), screen.query_one(DataPane)
        await told(pilot, lambda: pane.choice)
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        await pilot.press("a")
        await pilot.pause()
        assert screen.form.layers == ["freeze embeddings"]
        resolved = recipe.load(file)
        pretrained = build.load_pretrained(resolved, lambda *_: None)
        plan = make_plan(build.build(resolved, pretrained, 2), pretrained.backbone, ["freeze embeddings"])
        assert pane.choice
        assert pane.choice.trained == plan.trainable_parameters
        assert pane.choice.structure.parameters == plan.parameters
        await told(pilot, lambda: "memory" in text_of(screen.query_one("#cost")))
        assert "cached" in text_of(screen.query_one("#cost"))
        await told(pilot, lambda: "12 steps" in text_of(screen.query_one("#cost")))  # a step has been timed
        await told(pilot, lambda: "tokens" in " ".join(text_of(each) for each in data.query(".example")))
        assert "52 train · 8 validation · 20 test · 0 duplicates dropped" in text_of(screen.query_one("#sizes"))
        assert dict(data.query_one(ClassBars).counts) == {"negative": 40, "positive": 40}
        assert len(data.query(".example")) == 8
        await fill(screen, pilot, "data.test", "10")
        await told(pilot, lambda: "10 test" in text_of(screen.query_one("#sizes")))
        await fill(screen, pilot, "data.text_column", "body")
        await told(pilot, lambda: data.has_class("-waiting"))
        await told(pilot, lambda: "body" in text_of(screen.query_one("#data-state")))
        await pilot.press("escape", "a")
        await pilot.pause()
        assert screen.form.layers == ["freeze embeddings, attention"]


async def test_images_are_shown_as_they_are_and_augmented(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file), (200, 60)) as (screen, pilot):
        data, augment = screen.query_one(DataPane), screen.query_one(AugmentPane)
        shown = data.query_one(Pictures)
        await told(pilot, lambda: {text_of(each) for each in shown.query(".caption")} == {"across", "down"})
        assert len(shown.query(".caption")) == 8
        await told(pilot, lambda: len(augment.query(".picture")) == 3)
        augment.query_one("#use Switch").focus()
        await pilot.press("space")
        await fill(screen, pilot, "augment.rotation", "45")
        assert screen.form.draft.changes == {"augment": {}, "augment.rotation": 45}
        await told(pilot, lambda: len(augment.query(".picture")) == 15)
        before = augment._grid
        line(screen, "augment.fill_mode").query_one(Dropdown).focus()
        await pilot.press("right")
        await told(pilot, lambda: augment._grid != before)
        assert "may look" in text_of(screen.query_one("#grid-state"))
        screen.query_one("#use Switch").focus()
        await pilot.press("space")
        await pilot.pause()
        assert screen.form.draft.changes == {}


async def test_texts_are_shown_before_and_after(text_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        await pilot.press("f5")
        augment = screen.query_one(AugmentPane)
        shown = augment.query_one("#rewritten", Static)
        assert not shown.display
        augment.query_one("#use Switch").focus()
        await pilot.press("space")
        await told(pilot, lambda: "after" in text_of(shown))
        lines = text_of(shown).splitlines()
        pairs = list(zip(lines[1::4], lines[2::4], strict=True))
        assert len(pairs) == 3
        assert all(before[8:] == after[8:] for before, after in pairs)  # nothing is changed yet
        await fill(screen, pilot, "augment.token_dropout", "0.5")
        await told(pilot, lambda: text_of(shown).splitlines() != lines)
        pairs = list(zip(text_of(shown).splitlines()[1::4], text_of(shown).splitlines()[2::4], strict=True))
        assert [before for before, _ in pairs] == lines[1::4]
        assert all(set(after[8:].split()) < set(before[8:].split()) for before, after in pairs)
        struck = [span for span in shown.content.spans if "strike" in str(span.style)]  # type: ignore[union-attr]
        assert len(struck) > 3
        await fill(screen, pilot, "augment.token_dropout", "2")
        assert wrong(line(screen, "augment.token_dropout"))


async def test_a_preset_that_cannot_be_had_is_told_and_the_rest_stays_usable(
    text_recipe: str, tiny: Tiny, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "config.json").write_text("{}", encoding="utf-8")
    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe.replace(str(tiny.bert), str(odd)), encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        await told(pilot, lambda: "could not be loaded" in text_of(screen.query_one("#waiting")))
        await told(pilot, lambda: "train" in text_of(screen.query_one("#sizes")))
        await pilot.press("f3")
        await fill(screen, pilot, "phase.batch_size", "4")
        assert screen.form.draft.changes == {"phase.finetune.batch_size": 4}
        assert not screen.query_one("#run", Button).disabled


ARMS = """
[[arm]]
name = "A full"
phase.finetune.layers = ["train all"]
[[arm]]
name = "B slow"
phase.finetune.learning_rate = 1e-6
phase.finetune.warmup = 0.1
"""


async def test_arms_are_shown_and_started_with_their_options(draft: Draft) -> None:
    draft.path.write_text(HUB + ARMS)
    app = Opened()
    async with opened(draft, app=app) as (screen, pilot):

        def arms() -> dict[str, str]:
            return {row[0]: str(row[-1]) for row in screen.query_one("#experiment Facts", Facts).rows}

        assert arms()["A full"] == "finetune: train all"
        assert arms()["B slow"] == "finetune: learning rate 1e-06, warmup 0.1"
        section = screen.query_one("#experiment > .section")
        assert text_of(section) == "Experiment, 2 runs"
        await pilot.press("f3")
        assert screen.focused is line(screen, "experiment.repeats").query_one(Dropdown)
        await pilot.press("right", "right", "tab", "right", "tab", "space")
        await pilot.pause()
        assert text_of(section) == "Experiment, 9 runs"
        options = "--repeat 3 --jobs 2 --control"
        await pilot.press("f1")
        assert isinstance(app.screen, MeaningScreen)
        await pilot.press("escape", "y")
        assert app.clipboard == f"ftapp run {draft.path} {options}"
        # What is changed is changed in each arm, and is left out of what they override.
        await pilot.press("right_square_bracket")
        await fill(screen, pilot, "phase.warmup", "0.2")
        assert arms()["B slow"] == "finetune: learning rate 1e-06"
        await pilot.press("ctrl+r")
        assert app.started[0].command() == f"ftapp run {draft.path} --set phase.finetune.warmup=0.2 {options}"


async def test_one_arm_is_changed_alone_and_saved(draft: Draft, tmp_path: Path) -> None:
    draft.path.write_text(HUB + ARMS)
    app = Opened()
    async with with_layers(draft, app=app) as (screen, pilot):
        rules = screen.query_one("#rules", TextArea)
        assert "3 arms" not in text_of(screen.query_one("#overrides"))
        assert "2 arms" in text_of(screen.query_one("#overrides"))
        await pilot.press("right_square_bracket", "right_curly_bracket")
        await pilot.pause()
        assert (screen.form.arm, screen.query_one("#arm", Dropdown).value) == ("A full", "A full")
        assert "100%" in share(screen)
        assert rules.text == "train all"
        await pilot.press("m")  # in this arm alone
        await pilot.pause()
        assert "70.0%" in share(screen)
        assert screen.form.draft.changes == {"arm.A full.phase.finetune.layers": ["freeze mlp"]}
        await pilot.press("right_curly_bracket")
        await pilot.pause()
        assert "32.5%" not in share(screen)
        warmup = line(screen, "phase.warmup").query_one(Input)
        assert warmup.value == "0.1"
        await fill(screen, pilot, "phase.warmup", "2")
        assert "below 1" in (wrong(line(screen, "phase.warmup")) or "")
        assert text_of(screen.query_one("#problems")).startswith("B slow: phase.finetune.warmup: ")
        await pilot.press("escape", "left_curly_bracket")
        await pilot.pause()
        assert wrong(line(screen, "phase.warmup")) is None  # it is the other's
        assert text_of(screen.query_one("#problems")).startswith("B slow: ")
        await pilot.press("right_curly_bracket")
        await fill(screen, pilot, "phase.warmup", "0.3")
        await pilot.press("escape", "right_curly_bracket")  # all of them
        await pilot.pause()
        assert screen.form.arm is None
        assert line(screen, "phase.warmup").query_one(Input).value == ""
        line(screen, "backend").query_one(Dropdown).focus()
        await pilot.press("right")
        await pilot.pause()
        given = screen.form.draft.load_experiment()
        assert [arm.backend for arm in given.arms.values()] == ["jax", "jax"]
        assert given.base.phase[1].warmup == 0
        assert [arm.phase[1].warmup for arm in given.arms.values()] == [0, 0.3]
        assert given.arms["A full"].phase[1].layers == ["freeze mlp"]
        await pilot.press("y")
        words = shlex.split(app.clipboard)[3:]
        overrides = [word for flag, word in zip(words[::2], words[1::2], strict=True) if flag == "--set"]
        assert recipe.load_experiment(draft.path, None, overrides) == given
        mine = tmp_path / "mine.toml"
        screen._write(mine)
        await pilot.pause()
        assert recipe.load_experiment(mine) == given
        assert not screen.unsaved


async def test_an_arm_has_phases_and_augmentation_of_its_own(draft: Draft, tmp_path: Path) -> None:
    draft.path.write_text(HUB + ARMS.replace("B slow", "B 1e-6.0"))
    async with opened(draft, (200, 60)) as (screen, pilot):
        screen.query_one("#arm", Dropdown).focus()
        await pilot.press("left")
        await pilot.pause()
        assert screen.form.arm == "B 1e-6.0"
        screen.query_one("#add-phase", Button).press()
        await pilot.pause()
        assert screen.form.phases == ["head", "phase-3", "finetune"]
        await fill(screen, pilot, "phase.epochs", "2")
        screen.query_one("#augment #use Switch").focus()
        await pilot.press("space")
        await fill(screen, pilot, "augment.word_swap", "0.2")
        given = screen.form.draft.load_experiment()
        assert [phase.name for phase in given.arms["A full"].phase] == ["head", "finetune"]
        own = given.arms["B 1e-6.0"]
        assert [(phase.name, phase.epochs, phase.learning_rate) for phase in own.phase][1:] == [
            ("phase-3", 2, own.phase[0].learning_rate),
            ("finetune", None, 1e-6),
        ]
        assert own.augment
        assert (own.augment.word_swap, given.base.augment) == (0.2, None)
        assert "phases head, phase-3, finetune" in text_of(screen.query_one("#overrides"))
        mine = tmp_path / "mine.toml"
        screen.form.draft.save(mine)
        assert recipe.load_experiment(mine) == given


async def test_options_make_an_experiment_of_any_recipe_and_are_no_change_to_it(draft: Draft) -> None:
    app = Opened()
    async with opened(draft, app=app) as (screen, pilot):
        line(screen, "experiment.repeats").query_one(Dropdown).focus()
        await pilot.press("right")
        await pilot.pause()
        assert text_of(screen.query_one("#experiment > .section")) == "Experiment, 2 runs"
        assert not screen.unsaved
        await pilot.press("ctrl+r")
        assert app.started[0].command() == f"ftapp run {draft.path} --repeat 2"


# Advice


async def test_advice_is_given_copied_set_and_taken_back(image_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    app = Opened()
    async with opened(Draft(file), app=app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree), 120)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, AdviseScreen))
        await told(pilot, lambda: app.screen.has_class("-known"))
        facts = {row[0]: str(row[-1]) for row in app.screen.query_one("#facts", Facts).rows}
        assert facts["data"].endswith("photos: 40 examples, 28 of them to train on")
        assert facts["size"].startswith("Small")
        assert [row[0] for row in app.screen.query_one("#probes", Facts).rows] == ["features of", "block1", "block2"]
        assert "--set" not in "\n".join(text_of(app.screen.query_one(name)) for name in ("#said", "#notes"))
        values = {row[0].strip(): str(row[-1]) for row in app.screen.query_one("#values", Facts).rows}
        assert values["recipe"].startswith("vgg16-")
        await pilot.press("y")
        assert app.clipboard.startswith(f"ftapp run {values['recipe']}")
        for key in ("down", "pagedown", "pageup", "up"):
            await pilot.press(key)
        await pilot.press("escape")
        assert app.screen is screen
        assert screen.form.draft == Draft(file)
        line(screen, "experiment.repeats").query_one(Dropdown).focus()
        await pilot.press("2", "f2", "v")  # the answer is kept
        await until(pilot, lambda: app.screen.has_class("-known"))
        await pilot.press("a")
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: screen.form.draft.path.stem == values["recipe"])
        await pilot.pause()
        chosen = screen.form.draft.load()
        assert chosen.data.source == recipe.load(file).data.source
        assert chosen.model.image_size == [16, 16]
        assert screen.form.draft.options.repeats == 2
        assert values["recipe"] in text_of(screen.query_one("#title"))
        assert screen.query_one("#rules", TextArea).text.splitlines() == chosen.phase[0].layers
        assert screen.unsaved
        assert "ctrl+z takes it back" in notes(app)
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert screen.form.draft.path == file
        assert not screen.unsaved


@pytest.mark.parametrize("size", SIZES)
async def test_the_buttons_of_advice_are_in_sight(image_recipe: str, tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    probes = (
        Probe(block="block1", layer="block1_pool", right=0.9, lead=(-0.01, 0.1)),
        Probe(block="block2", layer="block2_pool", right=0.85, lead=(0.0, 0.0)),
    )
    found = Survey(
        classes=("a", "b"),
        counts=(80, 90),
        examples=250,
        sample=160,
        guessing=0.5,
        probes=probes,
        head=None,
        positions=(4, 4),
    )

    class Known(Inspector):
        async def survey(self, recipe: Recipe, told: Told | None = None) -> Survey:
            return found

    app = Opened()
    async with app.run_test(size=size) as pilot:
        app.push_screen(AdviseScreen(recipe.parse(image_recipe), Draft(file), Known()))
        await until(pilot, lambda: app.screen.has_class("-known"))
        await pilot.pause()
        buttons = list(app.screen.query(Button))
        assert [str(button.label) for button in buttons] == ["Apply (a)", "Apply vgg16-early-layers", "Close"]
        sheet = app.screen.query_one("#sheet").region
        assert all(sheet.contains_region(button.region) for button in buttons)
        assert app.screen.focused is buttons[0]
        assert "choice is close" in text_of(app.screen.query_one("#said"))


async def test_advice_that_cannot_be_had_says_why(draft: Draft, lm_recipe: str, tmp_path: Path) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("v")
        await until(pilot, lambda: "g fetches them" in notes(pilot.app))
        assert pilot.app.screen is screen
    file = tmp_path / "lm.toml"
    file.write_text(lm_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        screen.set_focus(None)
        await pilot.press("v")
        await until(pilot, lambda: "for classifiers" in notes(pilot.app))
        assert not screen.query_one(DataPane).has_class("-classes")


async def test_data_that_are_too_few_are_told_in_the_dialog(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    few = few_photos(tiny, tmp_path / "few")
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file, None, {"data.source": f"folder:{few}"})) as (screen, pilot):
        await pilot.press("f4")
        await told(pilot, lambda: screen.query_one("#advise").region)
        await pilot.pause()
        await pilot.click("#advise")
        await until(pilot, lambda: isinstance(pilot.app.screen, AdviseScreen))
        await told(pilot, lambda: "two classes or more" in text_of(pilot.app.screen.query_one("#said")))
        await pilot.press("enter")
        assert pilot.app.screen is screen


async def test_tab_goes_from_the_switch_of_augmentation_to_its_fields(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("f5", "space")
        await pilot.pause()
        await pilot.press("tab")
        await pilot.press("0", "full_stop", "2")
        await pilot.pause()
        assert screen.form.draft.changes == {"augment": {}, "augment.token_dropout": 0.2}


async def test_cautions_follow_from_the_data_as_they_are_read(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    few = few_photos(tiny, tmp_path / "few")
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file, None, {"data.source": f"folder:{few}"})) as (screen, pilot):
        cautions = screen.query_one(Cautions)
        await told(pilot, lambda: "the run makes 3 steps in all" in text_of(cautions))
        assert "of which one is 50% of the accuracy" in text_of(cautions)
        await fill(screen, pilot, "data.source", f"folder:{tmp_path / 'none'}")
        assert "in all" not in text_of(cautions)


async def test_what_is_likely_to_go_wrong_is_told_before_the_run(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        told = screen.query_one(Cautions)
        assert not told.has_class("-any")
        await pilot.press("right_square_bracket")
        await pilot.pause()
        await fill(screen, pilot, "phase.learning_rate", "0.01")
        assert told.display
        assert "pretrained layers train at 0.01" in text_of(told)
        assert not screen.query_one("#run", Button).disabled
        await fill(screen, pilot, "phase.learning_rate", "1e-5")
        assert not told.has_class("-any")
