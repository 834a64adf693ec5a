"""The Configure screen: a sweep is made of a recipe, its problems are shown, and it is started."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Button, Input, Static, Switch, TextArea

from ftapp import recipe
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.search import Search
from ftapp.tui.editor.draft import Draft
from ftapp.tui.widgets.dropdown import Dropdown
from tests.tui.configuring import HUB, fill, line, opened, text_of, typed, with_layers
from tests.tui.harness import Opened, paste
from tests.tui.test_configure_arms import ARMS

RATE = "phase.head.learning_rate"


async def test_a_sweep_is_configured_and_started(draft: Draft, tmp_path: Path) -> None:
    draft.path.write_text(HUB)
    app = Opened()
    async with opened(draft.with_change("data.validation", 0.2), app=app) as (screen, pilot):
        section, over = screen.query_one("#sweep"), screen.query_one("#over", TextArea)
        assert not section.has_class("-any")
        await pilot.press("f3")
        rate = line(screen, "phase.learning_rate").query_one(Input)
        rate.focus()
        await pilot.press("f7")
        await pilot.pause()
        assert section.display
        assert screen.focused is over
        assert over.text == f"{RATE} = log(0.0001, 0.01)"
        assert line(screen, "experiment.sweep").query_one(Switch).value
        assert not line(screen, "experiment.repeats").is_on_screen
        assert "Sweep, 50 runs at most" in text_of(section.query_one(".section"))
        await pilot.press("enter")
        await paste(pilot, "phase.head.layers = [['train all'], ['train ")
        await pilot.press(*typed("head']]"))
        await fill(screen, pilot, "sweep.trials", "1")
        wrong = line(screen, "sweep.trials")
        assert wrong.message == "1 is too small; the least is 2"
        assert screen.query_one("#run", Button).disabled
        await fill(screen, pilot, "sweep.trials", "8")
        line(screen, "sweep.metric").query_one(Dropdown).focus()
        await pilot.press("right")
        await pilot.pause()
        assert not screen.problems
        await pilot.press("y")
        overs = f"--over '{RATE}=log(0.0001, 0.01)' --over 'phase.head.layers=[[\"train all\"], [\"train head\"]]'"
        words = f"--set data.validation=0.2 {overs} --trials 8 --metric loss"
        assert app.clipboard == f"ftapp sweep {draft.path} {words}"
        await pilot.press("ctrl+r")
        started = app.started[0].prepare(tmp_path / "runs", "local", offline=True)
        assert isinstance(started, Experiment)
        search = Search.of(started)
        assert (list(search.spaces), search.metric.name, search.sweep.trials) == (
            [RATE, "phase.head.layers"],
            "loss",
            8,
        )
        mine = tmp_path / "mine.toml"
        screen.form.draft.save(mine)
        kept = recipe.load_experiment(mine).sweep
        assert kept
        assert kept.over == search.sweep.over


async def test_values_that_do_not_fit_are_told_as_they_are_typed(draft: Draft) -> None:
    async with with_layers(draft.with_change("data.validation", 0.2)) as (screen, pilot):
        await pilot.press("f3")
        line(screen, "experiment.sweep").query_one(Switch).focus()
        await pilot.press("space")
        await pilot.pause()
        wrong, over = screen.query_one("#over-wrong", Static), screen.query_one("#over", TextArea)
        assert "no values to try are given" in text_of(wrong)
        over.focus()
        await paste(pilot, "phase.head.layers = [['train all'], ['train ")
        await pilot.press(*typed("hed']]"))
        await pilot.pause()
        assert text_of(wrong).startswith("phase.head.layers: the choice [\"train hed\"]: 'hed' matches no layer")
        assert screen.query_one("#tabs #training").has_class("-wrong")
        for text, message in {
            "seed = int(1, 3)": "seed: this key cannot be searched",
            "seed": "seed: '' names no values to try",
            f"{RATE} = log(0, 1)\nphase.head.batch_size = [8, 0]": f"{RATE}: 'log(0, 1)' begins at 0",
            f"{RATE} = [0.1, 1000]\nphase.head.batch_size = [8, 0]": f"{RATE}: the choice 1000: 1000 is too large",
        }.items():
            over.load_text(text)
            await pilot.pause()
            assert text_of(wrong).startswith(message)
        assert "phase.head.batch_size: the choice 0: 0 is too small" in text_of(wrong)
        over.load_text(f"{RATE} = [0.1, 0.2]")
        await pilot.pause()
        assert not wrong.display


async def test_an_arm_is_chosen_and_the_table_of_the_file_is_no_change(draft: Draft) -> None:
    table = f'[sweep]\ntrials = 5\n[sweep.over]\n{RATE} = "log(1e-5, 1e-2)"\n'
    draft.path.write_text(HUB.replace("[profile.small]", f"{table}[profile.small]") + ARMS)
    async with opened(draft.with_change("data.validation", 0.2)) as (screen, pilot):
        over = screen.query_one("#over", TextArea)
        assert over.text == f"{RATE} = log(1e-5, 1e-2)"
        line(screen, "experiment.sweep").query_one(Switch).focus()
        await pilot.press("space")
        line(screen, "experiment.arm").query_one(Dropdown).focus()
        await pilot.press("right")
        await pilot.pause()
        command = f"ftapp sweep {draft.path} --set data.validation=0.2"
        assert screen.form.draft.command() == f"{command} --arm 'A full'"
        over.load_text("phase.finetune.warmup = linear(0, 0.5)")
        await pilot.pause()
        assert screen.form.search
        assert list(screen.form.search.spaces) == ["phase.finetune.warmup"]
        over.load_text(f"{RATE} = log(1e-5, 1e-2)")
        await pilot.pause()
        assert screen.form.draft.command() == f"{command} --arm 'A full'"
