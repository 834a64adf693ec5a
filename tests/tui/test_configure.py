"""The Configure screen: each key, fields that are checked as one types, and what the real helper process tells."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.widgets import Button, Input, Switch

from ftapp import recipe
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.help import HelpScreen
from ftapp.tui.editor.augment_pane import AugmentPane
from ftapp.tui.editor.class_bars import ClassBars
from ftapp.tui.editor.configure import ConfigureScreen
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import set_value
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.meaning import MeaningScreen
from ftapp.tui.editor.rate_curve import RateCurve
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.dropdown import Dropdown
from tests.tui.configuring import HUB, fill, line, opened, share, text_of, with_layers, wrong
from tests.tui.harness import SIZES, Opened, drawn, notes, until


@pytest.mark.slow
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
        await fill(screen, pilot, "data.source", "text:a")
        await pilot.press("question_mark")
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


async def test_the_chosen_one_of_many_phases_is_in_sight(tmp_path: Path) -> None:
    file = tmp_path / "many.toml"
    phases = "".join(f'[[phase]]\nname = "phase number {index}"\nsteps = 1\n' for index in range(9))
    file.write_text(HUB[: HUB.index("[[phase]]")] + phases, encoding="utf-8")
    async with opened(Draft(file), (80, 24)) as (screen, pilot):

        def shows(number: int) -> bool:
            return f" phase number {number} " in drawn(screen)[2]

        for key, number in (("[", 8), ("[", 7), ("]", 8), ("]", 0)):
            await pilot.press(key)
            await until(pilot, partial(shows, number))
            assert " Phase " in drawn(screen)[2]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


async def test_a_screen_that_loses_its_widgets_looks_for_no_focus(draft: Draft) -> None:
    async with opened(draft, (200, 60)) as (screen, pilot):
        screen.query_one(LayerTree).display = False
        await screen.query_one("#profile").remove()
        screen.set_focus(None)
        await pilot.pause()
        assert screen.focused is None


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


@pytest.mark.slow
async def test_a_file_that_is_no_recipe_is_shown_as_such(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("title = ", encoding="utf-8")
    for path, words in ((broken, "this is not TOML"), (tmp_path / "gone.toml", "recipe")):
        async with opened(Draft(path)) as (screen, pilot):
            assert words in text_of(screen.query_one("#problems"))
            await pilot.press("ctrl+r", "f3", "f4", "escape", "escape")
            assert isinstance(pilot.app, Opened)
            assert not pilot.app.started
            await until(pilot, lambda: pilot.app.screen is not screen)


@pytest.mark.parametrize("sizes", [SIZES[:2], SIZES[2:]])
async def test_each_pane_has_room_at_each_size(draft: Draft, sizes: list[tuple[int, int]]) -> None:
    app = Opened()
    async with opened(draft, sizes[0], app) as (screen, pilot):
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        for size, theme in zip(sizes, ["ftapp-dark", "ftapp-light"], strict=True):
            app.theme = theme
            await pilot.resize_terminal(*size)
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
            screen.take(draft)


async def test_tab_goes_from_the_switch_of_augmentation_to_its_fields(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        await pilot.press("f5", "space")
        await pilot.pause()
        await pilot.press("tab")
        await pilot.press("0", "full_stop", "2")
        await pilot.pause()
        assert screen.form.draft.changes == {"augment": {}, "augment.token_dropout": 0.2}


async def test_what_is_likely_to_go_wrong_is_told_before_the_run(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        report = screen.query_one(Cautions)
        assert not report.has_class("-any")
        await pilot.press("right_square_bracket")
        await pilot.pause()
        await fill(screen, pilot, "phase.learning_rate", "0.01")
        assert report.display
        assert "pretrained layers train at 0.01" in text_of(report)
        assert not screen.query_one("#run", Button).disabled
        await fill(screen, pilot, "phase.learning_rate", "1e-5")
        assert not report.has_class("-any")


async def test_the_heads_of_the_task_are_offered_with_its_usual_one(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(HUB, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        head = line(screen, "model.head")
        offered = {}
        for task in ("text-classification", "text-multi-label", "text-regression"):
            screen.take(set_value(screen.form.draft, "task", task))
            await pilot.pause()
            dropdown = head.query_one(Dropdown)
            offered[task] = (dropdown.value, dropdown.choices, head.field.default)
        assert offered == {
            "text-classification": ("softmax", ("softmax", "one-vs-rest", "linear-svm"), "softmax"),
            "text-multi-label": ("one-vs-rest", ("one-vs-rest", "linear-svm"), "one-vs-rest"),
            "text-regression": ("linear", ("linear",), "linear"),
        }


async def test_shares_of_classes_are_of_examples_which_may_have_several() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield ClassBars()

    app = Shown()
    async with app.run_test(size=(60, 5)) as pilot:
        bars = app.query_one(ClassBars)
        bars.counts, bars.examples = (("日本語", 6), ("comedy", 8)), 10
        await pilot.pause()
        lines = str(bars.render()).splitlines()
        assert [text.split()[-1] for text in lines] == ["60.0%", "80.0%"]
        assert len({cell_len(text) for text in lines}) == 1
