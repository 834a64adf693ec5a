"""The screen that compares runs: curves, results, recipes, and losses at equal steps."""

from __future__ import annotations

import fcntl
import shutil
import time

import numpy as np
import pytest
from textual.content import Content
from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets import Static

from ftapp.data.thumbnails import encode_small
from ftapp.runs.answer_events import ExamplesWatched, WatchedAnswer, WatchedAnswered, WatchedExample
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import RunEnded
from ftapp.runs.phase_events import Evaluated, Sampled, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.screens.compare import CompareScreen
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.pictures import Pictures
from ftapp.tui.widgets.scatter import Scatter
from ftapp.tui.widgets.step_pane import StepPane
from tests.tui.conftest import Write
from tests.tui.harness import SIZES, Opened, reached, until


async def compared(pilot: Pilot[None], *runs: RunFolder) -> CompareScreen:
    """The screen, once it has drawn these runs."""
    screen = CompareScreen(list(runs))
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.query_one("#results Facts", Facts).rows)
    await until(pilot, lambda: screen.query_one("#differences Facts", Facts).rows)
    await pilot.pause()
    return screen


def table(screen: CompareScreen, name: str) -> dict[str, list[str]]:
    rows = screen.query_one(f"#{name} Facts", Facts).rows
    return {label: [value.plain for value in values] for label, *values in rows}


async def test_the_best_of_a_metric_follows_its_direction(write_run: Write) -> None:
    runs = [write_run(name, metrics={"mean_absolute_error": error}) for name, error in (("a", 12.5), ("b", 2.0))]
    async with Opened().run_test(size=(120, 40)) as pilot:
        screen = await compared(pilot, *runs)
        rows = {label: values for label, *values in screen.query_one("#results Facts", Facts).rows}
        cells = rows["mean absolute error"]
        assert [cell.plain for cell in cells] == ["12.5000", "2.0000"]
        assert [any(span.style == "b" for span in cell.spans) for cell in cells] == [False, True]
        assert "accuracy" not in rows
        text = runs[1].recipe_file.read_text()
        runs[1].recipe_file.write_text(text.replace("text-classification", "text-multi-label"))
        screen = await compared(pilot, *runs)  # of two tasks, which measure different things
        rows = {label: values for label, *values in screen.query_one("#results Facts", Facts).rows}
        assert not [cell for name in ("loss", "mean absolute error") for cell in rows[name] if cell.spans]
        assert "Held-out mean absolute error" in str(screen.query_one("#metric", Chart).border_title)


async def test_curves_results_and_differences_of_two_runs(write_run: Write) -> None:
    first = write_run("full", steps=40, loss=2.0, accuracy=0.7)
    second = write_run("frozen", steps=30, loss=1.5, accuracy=0.9, rate=0.01, seed=1)
    async with Opened().run_test(size=(120, 40)) as pilot:
        screen = await compared(pilot, first, second)
        curves = screen.query_one("#loss", Chart).curves
        assert [(curve.label, len(curve.x)) for curve in curves] == [("A", 40), ("B", 30)]
        assert len({curve.color for curve in curves}) == 2
        assert table(screen, "results") == {
            "": ["A", "B"],
            "loss": ["2.0000", "1.5000"],
            "accuracy": ["70.00%", "90.00%"],
            "R": ["25.0%", "25.0%"],
            "time": ["40 s", "30 s"],
            "steps": ["40", "30"],
            "steps/s": ["10.00", "10.00"],
            "memory": ["1.0 GiB", "1.0 GiB"],
        }
        assert "B takes 25% less time than A" in str(screen.query_one("#results").border_subtitle)
        assert table(screen, "differences") == {
            "": ["A", "B"],
            "seed": ["0", "1"],
            "phase.finetune.steps": ["40", "30"],
            "phase.finetune.learning_rate": ["0.001", "0.01"],
        }
        legend = str(screen.query_one("#who", Static).visual)
        assert "A  full" in legend
        assert "B  frozen" in legend
        assert "B lower at 100% of 30 steps" in str(screen.query_one(Scatter).border_subtitle)


async def test_much_longer_times_are_told_as_times_as_long(write_run: Write) -> None:
    for steps, words in ((57, "B takes 43% more time than A"), (100, "B takes 2.5 times as long as A")):
        async with Opened().run_test(size=(120, 40)) as pilot:
            screen = await compared(pilot, write_run("short", steps=40), write_run("long", steps=steps))
            assert str(screen.query_one("#results").border_subtitle) == words


async def test_long_values_are_not_broken_into_narrow_strips(write_run: Write) -> None:
    """Where columns are narrow, each key stands above its values."""
    second = write_run("other")
    recipe = second.recipe_file.read_text("utf-8")
    second.recipe_file.write_text(recipe.replace("bert_base_en_uncased", "a_preset_of_a_long_name"), encoding="utf-8")
    async with Opened().run_test(size=(120, 40)) as pilot:
        screen = await compared(pilot, write_run("one"), second)
        rows = [row.strip() for row in str(screen.query_one("#differences Facts", Facts).render()).splitlines()]
        assert rows[1] == "model.preset"
        assert "bert_base_en_uncas" in rows[2]
        results = str(screen.query_one("#results Facts", Facts).render())
        assert "loss      0.5000" in results


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_paths_are_broken_after_their_marks(size: tuple[int, int], write_run: Write) -> None:
    second = write_run("other")
    path = "pypi://detector-0.1.1-py3-none-any.whl/detector/models/Tumor_classification_vgg16.onnx"
    recipe = second.recipe_file.read_text("utf-8")
    second.recipe_file.write_text(recipe.replace("bert_base_en_uncased", path), encoding="utf-8")
    async with Opened().run_test(size=size) as pilot:
        screen = await compared(pilot, write_run("one"), second)
        shown = str(screen.query_one("#differences Facts", Facts).render())
        assert "bert_base_en_uncased" in shown
        for part in ("detector-", "models/", "Tumor_", "classification_", "vgg16."):
            assert part in shown


async def test_a_column_leaves_the_room_that_it_does_not_need() -> None:
    text = "freeze all, train attention & last:2"
    table = Facts()
    table.rows = [("", Content("A"), Content("B")), ("layers", Content("[]"), Content(text))]
    assert table.get_content_height(Size(60, 9), Size(60, 9), 55) == 2  # halves of the width would take a line more


async def test_live_runs_move_and_the_rest_stays(write_run: Write) -> None:
    done, live = write_run("done", steps=10), write_run("live", status=None, steps=3, total=10, age=5)
    with live.lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with Opened().run_test(size=(120, 40)) as pilot:
            screen = await compared(pilot, done, live)
            assert "running 30%" in str(screen.query_one("#who", Static).visual)
            assert not screen.query_one("#held-out").display
            log = EventLog(live.events_file)
            log.write(Stepped(time=time.time(), step=4, epoch=1, loss=0.1, rate=1.0, seconds=1.0, memory=1))
            log.write(
                Evaluated(
                    time=time.time(),
                    step=4,
                    split="validation",
                    examples=5,
                    loss=0.4,
                    metrics={"accuracy": 0.6},
                    seconds=1,
                )
            )
            await until(pilot, lambda: table(screen, "results")["loss"][1] == "0.4000 so far")
            assert table(screen, "results")["steps"] == ["10", "4"]
            assert screen.query_one("#held-out").display
            log.write(RunEnded(time=time.time(), status="interrupted", steps=4, seconds=9.0))
            await until(pilot, lambda: "interrupted" in str(screen.query_one("#who", Static).visual))


async def test_losses_of_each_pair_in_turn(write_run: Write) -> None:
    runs = [write_run(name, loss=loss, seed=seed) for seed, (name, loss) in enumerate((("a", 1), ("b", 2), ("c", 3)))]
    async with Opened().run_test(size=(200, 60)) as pilot:
        screen = await compared(pilot, *runs)
        plot = screen.query_one(Scatter)
        titles = [str(plot.border_title)]
        for _ in range(3):
            await pilot.press("n")
            await until(pilot, lambda: plot.border_title != titles[-1])
            titles.append(str(plot.border_title))
        assert [title[-8:] for title in titles] == ["B over A", "C over A", "C over B", "B over A"]


async def test_two_runs_have_one_pair(write_run: Write) -> None:
    async with Opened().run_test() as pilot:
        screen = await compared(pilot, write_run("a"), write_run("b", seed=1))
        assert "n" not in screen.active_bindings


async def test_a_pane_is_maximized_and_escape_goes_back(write_run: Write) -> None:
    app = Opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await compared(pilot, write_run("a"), write_run("b", seed=1))
        await pilot.press("m")
        assert [widget.id for widget in (screen.maximized,) if widget] == ["loss"]
        await pilot.press("m")
        assert not screen.maximized
        await pilot.press("escape")
        assert app.screen is not screen


async def test_recipes_that_are_the_same_or_cannot_be_read(write_run: Write) -> None:
    one, two = write_run("a"), write_run("a", age=100)
    async with Opened().run_test() as pilot:
        screen = await compared(pilot, one, two)
        assert table(screen, "differences") == {"": ["The recipes are equal."]}
        two.recipe_file.write_text("=")
        screen = await compared(pilot, one, two)
        assert "recipe of B cannot be read" in str(screen.query_one("#differences").border_subtitle)
        assert table(screen, "differences") == {"": ["There is nothing to compare."]}
        screen = await compared(pilot, one, two, write_run("a", age=200))
        assert table(screen, "differences") == {"": ["The other recipes are equal."]}


async def test_a_run_whose_folder_is_gone(write_run: Write) -> None:
    one, two = write_run("a"), write_run("b", seed=1)
    shutil.rmtree(two.folder)
    async with Opened().run_test() as pilot:
        screen = await compared(pilot, one, two)
        assert table(screen, "results")["loss"] == ["0.5000", ""]
        assert "no common steps" in str(screen.query_one(Scatter).border_subtitle)
        assert "damaged: its folder is gone" in str(screen.query_one("#who", Static).visual)


async def test_every_pane_can_be_reached_at_every_size(write_run: Write) -> None:
    app = Opened()
    async with app.run_test(size=SIZES[0]) as pilot:
        await compared(pilot, write_run("a", steps=30), write_run("b", seed=1))
        for size, theme in zip(SIZES, ["ftapp-dark", "ftapp-light"] * 2, strict=True):
            app.theme = theme
            await pilot.resize_terminal(*size)
            seen = await reached(pilot, 6)
            assert {"loss", "pairs", "results", "differences"} <= seen


async def test_runs_are_compared_without_colours(write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with Opened().run_test(size=(60, 20)) as pilot:
        screen = await compared(pilot, write_run("a", steps=30), write_run("b", seed=1))
        for _ in range(6):
            await pilot.press("tab")
        assert table(screen, "results")["steps"] == ["30", "10"]


@pytest.mark.parametrize("size", SIZES)
async def test_steps_are_shown_side_by_side(write_run: Write, size: tuple[int, int]) -> None:
    runs = [write_run(name, steps=8, status="done", accuracy=None) for name in ("a", "b")]
    picture = encode_small(np.full((8, 8, 3), 99, np.uint8))
    for place, run in enumerate(runs):
        log = EventLog(run.events_file)
        for step, loss in ((2, 3.0), (4, 2.0 - place), (6, 1.0)):
            log.write(Evaluated(time=9, step=step, split="validation", examples=9, loss=loss, seconds=1))
            log.write(Sampled(time=9, step=step, prompt="The dog", text=f"The dog {place} after {step}"))
            answers = [WatchedAnswer(answer="dog", score=0.5, right=True), WatchedAnswer(answer="12.5")]
            log.write(WatchedAnswered(time=9, step=step, answers=answers[: 2 - place]))
        examples = [WatchedExample(example=f"{name}.png", truth=name, picture=picture) for name in ("dog", "cat")]
        log.write(ExamplesWatched(time=9, split="validation", scores="probability", examples=examples))
    async with Opened().run_test(size=size) as pilot:
        screen = await compared(pilot, *runs)
        pane = screen.query_one(StepPane)
        await until(pilot, lambda: "At step 6" in str(pane.border_title))
        await until(pilot, lambda: pane.query_one(Pictures).query(".caption"))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "At step 4" in str(pane.border_title))
        await until(pilot, lambda: pane.region.y in range(pilot.app.size.height))  # also where it was below the screen
        assert table(screen, "step") == {
            "": ["A", "B"],
            "evaluated after": ["4", "4"],
            "loss": ["2.0000", "1.0000"],
            "1: dog": ["dog 50.0%", "dog 50.0%"],
            "2: cat": ["12.5", ""],
            "The dog": ["0 after 4", "1 after 4"],
        }
        for _ in range(5):
            await pilot.press("left_square_bracket")
        await until(pilot, lambda: "At step 2" in str(pane.border_title))
        for _ in range(5):
            await pilot.press("right_square_bracket")
        await until(pilot, lambda: "At step 6" in str(pane.border_title))
