"""The Configure screen: arms and the options of an experiment."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from textual.widgets import Button, Input, TextArea

from ftapp import recipe
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.meaning import MeaningScreen
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.facts import Facts
from tests.tui.configuring import HUB, fill, line, opened, share, text_of, with_layers, wrong
from tests.tui.harness import Opened

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


@pytest.mark.slow
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


@pytest.mark.slow
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


async def test_each_fold_of_each_arm_is_a_run(draft: Draft) -> None:
    draft.path.write_text(HUB + ARMS)
    async with opened(draft.with_change("data.folds", 5)) as (screen, _):
        assert text_of(screen.query_one("#experiment > .section")) == "Experiment, 10 runs"
