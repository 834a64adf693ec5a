"""A run's screen: what it shows of live and ended runs, its keys, and the commands it sends to a real run."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import SelectionList, Static

from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import BestRestored, DataLoaded, GpuUsed, ModelBuilt, ModelSaved, RunEnded
from ftapp.runs.example_results import ExampleResult
from ftapp.runs.explanations import Explanation, ShadedWord, write_explanations
from ftapp.runs.phase_events import Confused, Drifted, PhaseEnded, Sampled, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.app import FtApp
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.settings import Settings
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.errors_pane import ErrorsPane
from ftapp.tui.widgets.examples_pane import ExamplesPane
from ftapp.tui.widgets.failure_notice import FailureNotice
from ftapp.tui.widgets.headline import Headline
from ftapp.tui.widgets.log_pane import LogPane
from ftapp.tui.widgets.pane import Pane
from ftapp.tui.widgets.phases_pane import PhasesPane
from ftapp.tui.widgets.pictures import Pictures
from ftapp.tui.widgets.run_panes import PANES
from ftapp.tui.widgets.trained_layers_pane import TrainedLayersPane, shorten_path
from tests.support.example_results import FOUND, write_examples
from tests.tui.conftest import Write
from tests.tui.harness import SIZES, BareApp, living, notes, until


async def opened(pilot: Pilot[None], run: RunFolder) -> RunScreen:
    """The screen of a run, once it has drawn what there is."""
    app = pilot.app
    assert isinstance(app, FtApp)
    app.open_run(run)
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.started is not None)
    await pilot.pause()
    assert isinstance(app.screen, RunScreen)
    return app.screen


def text(widget: Static) -> str:
    return str(widget.visual)


def shown(screen: RunScreen, pane: type[Pane]) -> str:
    """What a pane says, as plain lines."""
    content = screen.query_one(pane).query_children(Static).first()
    return "\n".join(content.render_line(y).text.rstrip() for y in range(content.size.height))


async def test_an_ended_run_shows_its_result_and_curves(write_run: Write) -> None:
    run = write_run("small", profile="quick", steps=30)
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        headline = text(screen.query_one(Headline))
        for part in ("done", "small quick", "30 steps in 30 s", "test loss 0.5000", "test accuracy 80.00%"):
            assert part in headline
        curves = screen.query_one("#loss", Chart).curves
        assert [curve.label for curve in curves] == ["train", "held out"]
        assert np.allclose(curves[0].y, [0.5 + 1 / number for number in range(1, 31)])
        assert "30 of 30 steps" in shown(screen, PhasesPane)
        assert "R 25.0%  250 of 1,000 train" in shown(screen, PhasesPane)
        assert not screen.query_one(FailureNotice).display
        assert not screen.query_one(ExamplesPane).display


async def test_a_run_without_accuracy_shows_the_metrics_that_it_has(write_run: Write) -> None:
    run = write_run(steps=30, metrics={"mean_absolute_error": 12.5, "f1": 0.75})
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        headline = text(screen.query_one(Headline))
        assert "test mean absolute error 12.5000  ·  test loss 0.5000" in headline
        chart = screen.query_one("#metric", Chart)
        assert "Mean absolute error" in str(chart.border_title)
        assert np.allclose(chart.curves[0].y, [12.5] * 30)


async def test_a_failed_run_says_why_with_the_end_of_its_log(write_run: Write) -> None:
    run = write_run(status="failed", error="the loss has to stay finite")
    notices = "I0000 00:00:1795595095.972805   25553 cudart_stub.cc:31] Could not find cuda drivers on your machine.\n"
    notices += (
        "E0000 00:00:1795595532.422100   27725 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error\n"
    )
    run.log_file.write_text("first line\nlast line\n" + notices * 20)
    async with BareApp().run_test(size=(100, 40)) as pilot:
        screen = await opened(pilot, run)
        said = text(screen.query_one(FailureNotice))
        assert "the loss has to stay finite" in said
        assert "last line" in said
        assert "cuda" not in said.casefold()


async def test_a_crashed_run_says_so_even_without_a_log(write_run: Write) -> None:
    run = write_run(status=None)
    async with BareApp().run_test(size=(100, 40)) as pilot:
        screen = await opened(pilot, run)
        assert "crashed" in text(screen.query_one(Headline))
        assert "ended without an error message" in text(screen.query_one(FailureNotice))
        assert "its log is empty or gone" in text(screen.query_one(FailureNotice))


async def test_a_run_whose_folder_is_moved_says_so_until_it_is_back(write_run: Write, tmp_path: Path) -> None:
    run, elsewhere = write_run(status=None), tmp_path / "elsewhere"
    app = BareApp()
    async with app.run_test(size=(100, 40)) as pilot:
        with living(run):
            screen = await opened(pilot, run)
            run.folder.rename(elsewhere)
            await until(pilot, lambda: "damaged" in text(screen.query_one(Headline)))
        assert text(screen.query_one(FailureNotice)) == "its folder is gone: it was deleted or moved"
        assert len(screen.history.steps) == 10
        await pilot.press("t")
        assert "small is damaged: its folder is gone" in notes(app)
        app.open_path(run.folder)
        assert f"{run.folder} is gone" in notes(app)
        elsewhere.rename(run.folder)
        await until(pilot, lambda: "crashed" in text(screen.query_one(Headline)))
        assert "ended without an error message" in text(screen.query_one(FailureNotice))


@pytest.mark.parametrize(
    ("sizes", "damage"),
    [(SIZES, "none"), *((SIZES[1:2], damage) for damage in ("half a line", "no recipe", "folder gone"))],
)
async def test_damage_and_small_terminals_degrade(write_run: Write, sizes: list[tuple[int, int]], damage: str) -> None:
    run = write_run(steps=25)
    if damage == "half a line":
        with run.events_file.open("ab") as file:
            file.write(b'{"event":"step","time":1.0,"st')
    elif damage == "no recipe":
        run.recipe_file.write_text("title = 3")
    async with BareApp().run_test(size=sizes[0]) as pilot:
        screen = await opened(pilot, run)
        if damage == "folder gone":
            for each in run.folder.iterdir():
                each.unlink()
            run.folder.rmdir()
        for size in sizes:
            await pilot.resize_terminal(*size)
            await pilot.press("tab", "m", "m", "v", "escape", "s", "l")
            await pilot.pause()
            assert len(screen.history.steps) == 25
            assert "small" in text(screen.query_one(Headline))


async def test_a_live_run_is_followed_until_it_ends(write_run: Write) -> None:
    run = write_run(status=None, steps=10, total=40)
    with living(run):
        async with BareApp().run_test(size=(120, 40)) as pilot:
            screen = await opened(pilot, run)
            assert "running" in text(screen.query_one(Headline))
            assert "step 10 of 40" in text(screen.query_one(Headline))
            assert "about 30 s to go" in text(screen.query_one(Headline))
            log = EventLog(run.events_file)
            now = time.time()
            log.write(Stepped(time=now, step=11, epoch=1, loss=0.25, rate=0.1, seconds=0.1, memory=1))
            await until(pilot, lambda: len(screen.history.steps) == 11)
            log.write(GpuUsed(time=now, busy=0.875, used=30 * 2**30, memory=80 * 2**30))
            await until(pilot, lambda: "GPU 88%, 30.0 of 80 GiB" in text(screen.query_one(Headline)))
            log.write(RunEnded(time=now, status="interrupted", steps=11, seconds=11.0))
            await until(pilot, lambda: "interrupted" in text(screen.query_one(Headline)))
            assert screen.query_one("#loss", Chart).curves[0].y[-1] == 0.25


async def test_drift_confusion_and_samples(write_run: Write) -> None:
    run = write_run(status=None)
    log = EventLog(run.events_file)
    now = time.time()
    log.write(DataLoaded(time=now, train=1, validation=1, test=1, classes=["cat", "dog"], duplicates=0))
    log.write(ModelBuilt(time=now, parameters=1000, layers=5))
    log.write(Drifted(time=now, step=10, phase="finetune", since_start={"head": 0.25}))
    log.write(Confused(time=now, step=10, split="test", counts=[[8, 1], [2, 9]]))
    log.write(RunEnded(time=now, status="done", steps=10, seconds=1.0))
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        layers = shown(screen, TrainedLayersPane)
        assert "head" in layers
        assert "0.25" in layers
        assert "1 train, 4 frozen" in str(screen.query_one(TrainedLayersPane).border_subtitle)
        rows = [line.split() for line in shown(screen, ExamplesPane).splitlines()]
        assert rows[:3] == [["cat", "dog"], ["cat", "8", "1"], ["dog", "2", "9"]]


async def test_a_confusion_matrix_that_comes_last_is_drawn_to_its_panes_width(write_run: Write) -> None:
    run = write_run(status=None)
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        assert not screen.query_one(ExamplesPane).display
        log = EventLog(run.events_file)
        log.write(DataLoaded(time=time.time(), train=80, validation=0, test=20, classes=["cat", "dog"], duplicates=0))
        log.write(Confused(time=time.time(), step=10, split="test", counts=[[8, 1], [2, 9]]))
        screen._follower.advance()
        screen._draw()
        await until(pilot, lambda: "cat dog" in shown(screen, ExamplesPane))


async def test_a_language_models_samples_newest_first(write_run: Write) -> None:
    run = write_run(status=None)
    log = EventLog(run.events_file)
    for step, words in ((0, "Alice looked at the at the"), (10, "Alice looked at the Queen")):
        log.write(Sampled(time=time.time(), step=step, prompt="Alice looked", text=words))
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        said = " ".join(shown(screen, ExamplesPane).split())
        assert said.index("after 10 steps Alice looked at the Queen") < said.index("after 0 steps")


async def test_the_log_tells_the_run_and_what_its_process_printed(write_run: Write) -> None:
    run = write_run()
    run.log_file.write_text("a library's warning\n")
    async with BareApp().run_test(size=(200, 60)) as pilot:
        screen = await opened(pilot, run)
        report = " ".join(strip.text.strip() for strip in screen.query_one(LogPane).lines)
        assert report.startswith("a library's warning")
        assert "result: test loss 0.5000, accuracy 0.8000 on 50 examples" in report


async def test_panes_are_hidden_maximized_and_remembered(write_run: Write) -> None:
    run = write_run(steps=30)
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        await pilot.press("v")
        await until(pilot, lambda: bool(pilot.app.screen.query(SelectionList)))
        chosen = pilot.app.screen.query_one(SelectionList)
        for name in ("rate", "speed", "memory"):
            chosen.deselect(name)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert not screen.query_one("#details").display
        assert screen.query_one("#loss").display
        assert Settings.load().hidden == ["rate", "speed", "memory"]
        screen.query_one("#loss").focus()
        await pilot.press("m")
        await until(pilot, lambda: screen.query_one("#loss").size.height > 30)
        assert screen.maximized is screen.query_one("#loss")
        await pilot.press("m")
        await until(pilot, lambda: screen.maximized is None)
    assert set(Settings.load().hidden) < set(PANES)


@pytest.mark.parametrize(
    ("status", "sign"),
    [("done", "✓"), ("failed", "✗"), (None, "✗"), ("interrupted", "■"), ("unfinished", "■"), ("refused", "✗")],
)
async def test_a_phase_is_marked_by_how_it_went(write_run: Write, status: Status | None, sign: str) -> None:
    run = write_run(status=None, total=20)
    log = EventLog(run.events_file)
    if status == "done":
        log.write(ended_phase())
    if status:
        log.write(RunEnded(time=time.time(), status=status, steps=10, seconds=1.0))
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        assert shown(screen, PhasesPane).lstrip().startswith(f"{sign} finetune")


async def test_a_phase_whose_proof_fails_is_marked_as_failed(write_run: Write) -> None:
    run = write_run(status=None)
    log = EventLog(run.events_file)
    log.write(ended_phase(changed=["embedding"]))
    log.write(RunEnded(time=time.time(), status="done", steps=10, seconds=1.0))
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        assert shown(screen, PhasesPane).lstrip().startswith("✗ finetune")


async def test_an_early_end_and_the_step_of_the_best_weights_are_told(write_run: Write) -> None:
    run = write_run(status=None, total=50)
    log = EventLog(run.events_file)
    why = "2 evaluations without a better loss than 0.5000 at step 6"
    log.write(msgspec.structs.replace(ended_phase(), stopped=why))
    log.write(BestRestored(time=time.time(), step=10, best_step=6, metric="loss", value=0.5))
    log.write(ModelSaved(time=time.time(), folder="model", step=6))
    log.write(RunEnded(time=time.time(), status="interrupted", steps=10, seconds=1.0))
    async with BareApp().run_test(size=(160, 40)) as pilot:
        screen = await opened(pilot, run)
        assert "weights of step 6" in text(screen.query_one(Headline))
        phases = " ".join(shown(screen, PhasesPane).split())
        assert phases.startswith("✓ finetune 20 of 50 steps"), "the phase was not interrupted"
        assert f"ended early: {why}" in phases


def ended_phase(changed: Sequence[str] = ()) -> PhaseEnded:
    return PhaseEnded(
        time=time.time(),
        phase="finetune",
        steps=20,
        seconds=1.0,
        preparing=0.0,
        training=1.0,
        evaluating=0.0,
        memory=1,
        frozen=3,
        digest="d",
        changed=list(changed),
        moved=2,
    )


async def test_panes_of_an_ended_run_follow_the_terminals_width(write_run: Write) -> None:
    run = write_run()
    async with BareApp().run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, run)
        log = screen.query_one(LogPane)
        await until(pilot, lambda: log.lines)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: max(line.cell_length for line in log.lines) <= log.scrollable_content_region.width)


def test_short_names_of_layers_keep_the_block_and_the_end() -> None:
    query = "transformer_layer_2/self_attention/query"
    dense = "transformer_layer_0/feedforward_intermediate_dense"
    assert [shorten_path(query, 12), shorten_path(dense, 20), shorten_path("classifier", 20)] == [
        "…yer_2/query",
        "…_0/…ermediate_dense",
        "classifier",
    ]
    assert all(len(shorten_path(path, width)) <= width for path in (query, dense, "a" * 50) for width in range(8, 50))


async def test_the_test_examples_with_the_highest_loss(write_run: Write) -> None:
    run = write_run()
    write_examples(run, *FOUND, ExampleResult(example="3/7.png", loss=0.5, file="/photos/3/7.png"))
    words = (ShadedWord("=never", 0.9), ShadedWord(" again", -0.1), ShadedWord("\nI went on", None))
    result = run.history().result
    assert result is not None
    explained = Explanation(label="bad", score=0.9857, method="integrated gradients", words=words)
    write_explanations(run, result, {"row 7": explained})
    async with BareApp().run_test(size=(160, 60)) as pilot:
        screen = await opened(pilot, run)
        lines = [line.split() for line in shown(screen, ErrorsPane).splitlines()]
        assert lines[0][:8] == ["4.2500", "good", "→", "bad", "98.6%", "row", "7", "=never"]
        assert lines[0][8:] == ["again", "I", "went", "on"]
        assert lines[1:3] == [["0.1250", "bad", "88.0%", "row", "3"], ["0.5000", "3/7.png"]]
        pane = screen.query_one(ErrorsPane)
        assert str(pane.border_subtitle) == "3 of 100, 1 wrong"
        pane.focus()
        await pilot.press("m")
        await until(pilot, lambda: pane.size.height > 50)


async def test_the_images_with_the_highest_loss_stand_above_the_list(write_run: Write) -> None:
    run, content = write_run(), io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(content, "WEBP")
    wrong = ExampleResult(example="3/7.png", loss=2, truth="cat", answer="dog", right=False, picture=content.getvalue())
    broken = ExampleResult(example="3/8.png", loss=1, truth="cat", answer="cat", right=True, picture=b"no image")
    write_examples(run, wrong, broken)
    async with BareApp().run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, run)
        pictures = screen.query_one(ErrorsPane).query_one(Pictures)
        await until(pilot, lambda: len(pictures.query(".caption")) == 2)
        captions = [str(each.visual) for each in pictures.query(".caption").results(Static)]
        assert captions == ["cat → dog", "cat"]
        await until(pilot, lambda: pictures.size.height >= 6)
        assert "3/7.png" in shown(screen, ErrorsPane)


async def test_a_run_without_results_of_examples_has_no_pane_of_them(write_run: Write) -> None:
    run = write_run()
    write_examples(run, step=3)  # of another result
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        assert not screen.query_one(ErrorsPane).display
