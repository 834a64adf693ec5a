"""Trying real tiny models with the real process behind the screen."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import DirectoryTree, OptionList, Static

from ftapp import recipe
from ftapp.rpc.messages import Prediction
from ftapp.runs import run_creation
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.app import FtApp
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.screens.try_it import TryScreen
from ftapp.tui.widgets.classify import Classify
from ftapp.tui.widgets.explained_text import ExplainedText
from ftapp.tui.widgets.picture import Picture
from ftapp.tui.widgets.prompt import Number, Prompt
from ftapp.tui.widgets.score_bars import ScoreBars
from ftapp.tui.widgets.write import Continuation, Write
from tests.support.presets import Tiny
from tests.tui.conftest import Write as WriteRun
from tests.tui.harness import SIZES, BareApp, living, until

RECIPES = {
    "text": """
task = "text-classification"
model = {{ preset = "{tiny.bert}", sequence_length = 16 }}
data = {{ source = "csv:{tiny.reviews}", validation = 0.1, test = 0.25 }}
""",
    "image": """
task = "image-classification"
model = {{ preset = "{tiny.vgg}", image_size = [16, 16] }}
data = {{ source = "folder:{tiny.photos}", validation = 0.2, test = 0.25 }}
""",
    "lm": """
task = "causal-lm"
model = {{ preset = "{tiny.gpt2}", sequence_length = 16 }}
data = {{ source = "text:{tiny.book}", validation = 0.1, test = 0.2 }}
""",
}
PHASE = """
title = "tiny"
summary = "Two steps."
[[phase]]
name = "finetune"
steps = 2
batch_size = 8
learning_rate = 0.003
"""

Trained = Callable[[str], RunFolder]


@pytest.fixture(scope="session")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Finished runs by their task, each trained once, as a run's own process would."""
    folder, made = tmp_path_factory.mktemp("trained"), dict[str, RunFolder]()

    def train(task: str) -> RunFolder:
        import keras

        from ftapp.workers import run as run_worker

        if task not in made:
            file = folder / f"{task}.toml"
            head, _, phase = PHASE.partition("[[")
            file.write_text(f"{head}{RECIPES[task].format(tiny=tiny)}[[{phase}")
            made[task] = run_creation.create(recipe.load(file), task, None, folder / "runs")
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FTAPP_CACHE", str(folder / "cache"))
                assert run_worker.main(made[task].folder) == 0
            for number, handler in handlers.items():
                signal.signal(number, handler)
            keras.config.set_dtype_policy("float32")
        return made[task]

    return train


def app_of(pilot: Pilot[None]) -> FtApp:
    assert isinstance(pilot.app, FtApp)
    return pilot.app


async def opened(pilot: Pilot[None], run: RunFolder) -> TryScreen:
    """The screen, once its model is loaded."""
    reports: list[str] = []
    say = TryScreen._say

    def heard(screen: TryScreen, text: str, **how: Any) -> None:
        reports.append(text)
        say(screen, text, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TryScreen, "_say", heard)
        app_of(pilot).try_model(run)
        await until(pilot, lambda: isinstance(pilot.app.screen, TryScreen))
        screen = pilot.app.screen
        assert isinstance(screen, TryScreen)
        await long(pilot, lambda: screen.pane and screen.pane.ready)
    assert "loading the trained model" in [text.partition(",")[0] for text in reports]
    return screen


async def long(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait for a model, as long as a busy machine may take."""
    await until(pilot, holds, seconds=120)


def predictor() -> psutil.Process:
    """The process behind the screen."""
    [found] = (each for each in psutil.Process().children() if "ftapp.workers.predictor" in each.cmdline())
    return found


def state(screen: Screen[Any]) -> str:
    """What is said above the panes; nothing before the screen is made."""
    return "".join(str(each.visual) for each in screen.query("#state").results(Static))


def scores(screen: TryScreen) -> Prediction | None:
    return screen.query_one(ScoreBars).prediction


def rows(screen: TryScreen) -> list[str]:
    return [str(option.prompt) for option in screen.query_one("#tried", OptionList).options]


def wrong(screen: TryScreen) -> str:
    return str(screen.query_one("#wrong", Static).visual)


async def type_text(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*("space" if char == " " else char for char in text))


@pytest.mark.slow
async def test_texts_are_classified_as_one_types(trained: Trained) -> None:
    from ftapp.models import saved_model

    run = trained("text")
    app = BareApp()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, run)
        await type_text(pilot, "a great film")
        expected = pytest.approx(tuple(saved_model.load(run.model_folder).predict(["a great film"])[0]), abs=1e-4)
        # Those of its beginning may be there before.
        await long(pilot, lambda: (shown := scores(screen)) and shown.scores == expected)
        shown = scores(screen)
        assert shown
        assert shown.classes == ("negative", "positive")
        assert "5 tokens" in str(screen.query_one("#classes").border_subtitle)
        await pilot.press("enter")
        await long(pilot, lambda: rows(screen))
        assert "a great film" in rows(screen)[0]
        await pilot.press("ctrl+u")
        await type_text(pilot, "so dull")
        await pilot.press("enter")
        await long(pilot, lambda: len(rows(screen)) == 2)
        assert "so dull" in rows(screen)[0]
        # Up and down walk through what was tried; choosing a row brings it back too.
        await pilot.press("up", "up")
        pane = screen.pane
        assert isinstance(pane, Classify)
        assert pane.value == "a great film"
        await pilot.press("down")
        assert pane.value == "so dull"
        tried = screen.query_one("#tried", OptionList)
        tried.focus()
        tried.highlighted = 1
        await pilot.press("enter")
        assert pane.value == "a great film"
        # Words with shades stand below, follow the text, and go again.
        explained = screen.query_one(ExplainedText)
        await pilot.press("ctrl+g")
        await long(pilot, lambda: "a great film" in str(explained.query_one(Static).content))
        assert "against" in str(explained.query_one(Static).content)
        await type_text(pilot, " again")
        await long(pilot, lambda: "a great film again" in str(explained.query_one(Static).content))
        await pilot.press("ctrl+g")
        assert not explained.display
        pane.use("a great film")

        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert screen.query_one("#given").region.right <= screen.query_one("#classes").region.x
            assert screen.query_one("#tried").region.bottom <= size[1]

        # A process that is killed is told or just started again; the last one ends with the screen.
        process = predictor()
        process.kill()
        await long(pilot, lambda: not process.is_running())
        pane.use("fine")
        await pilot.press("enter")
        await long(pilot, lambda: "fine" in rows(screen)[0] or "ended by signal 9" in wrong(screen))
        pane.use("fine plot")
        await pilot.press("enter")
        await long(pilot, lambda: "fine plot" in rows(screen)[0])
        process = predictor()
        await pilot.press("escape")
        await until(pilot, lambda: screen not in app.screen_stack)
        await long(pilot, lambda: not process.is_running())


async def test_images_are_classified_and_shown(trained: Trained, tiny: Tiny, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, trained("image"))
        assert isinstance(screen.pane, Classify)
        file = tiny.photos / "across" / "0.png"
        await type_text(pilot, str(file))
        await long(pilot, lambda: scores(screen))
        shown = scores(screen)
        assert shown
        assert shown.classes == ("across", "down")
        assert sum(shown.scores) == pytest.approx(1, abs=1e-4)
        await long(pilot, lambda: "24 x 20" in str(screen.query_one("#given").border_subtitle))
        await until(pilot, lambda: screen.query_one(Picture).children[0].region.width > 4)
        place = screen.query_one(Picture).region
        await pilot.press("ctrl+g")
        await long(pilot, lambda: "Grad-CAM: " in str(screen.query_one("#given").border_subtitle))
        await pilot.press("ctrl+g")
        await long(pilot, lambda: "24 x 20" in str(screen.query_one("#given").border_subtitle))
        assert screen.query_one(Picture).region == place
        # Examples of the test split, mistakes first; Enter puts one into the prompt.
        await pilot.press("ctrl+t")
        examples = screen.query_one("#examples", OptionList)
        await long(pilot, lambda: "wrong" in str(examples.border_subtitle))
        report = [str(option.prompt) for option in examples.options]
        assert [line[0] for line in report] == sorted((line[0] for line in report), reverse=True)  # ✗ before ✓
        await until(pilot, lambda: pilot.app.focused is examples)
        await pilot.press("enter")
        assert Path(screen.pane.value).name in report[0]
        assert Path(screen.pane.value).is_file()
        screen.pane.use(str(broken))
        await pilot.press("enter")
        await long(pilot, lambda: "broken.png" in wrong(screen))
        assert scores(screen) is None
        assert rows(screen) == []
        # The tree of files begins where the run's images are.
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickFile))
        tree = pilot.app.screen.query_one(DirectoryTree)
        await until(pilot, lambda: len(tree.root.children) == 2)
        assert [str(node.label) for node in tree.root.children] == ["across", "down"]
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: tree.cursor_node and len(tree.cursor_node.children) == 20)
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await long(pilot, lambda: scores(screen))
        assert screen.pane.value.startswith(str(tiny.photos / "down"))
        await pilot.press("enter")
        await long(pilot, lambda: rows(screen))


@pytest.mark.slow
async def test_both_models_write_until_they_are_stopped(trained: Trained) -> None:
    async with BareApp().run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, trained("lm"))
        pane = screen.pane
        assert isinstance(pane, Write)
        await type_text(pilot, "the cat")
        await pilot.press("tab", "tab", "tab")
        assert pilot.app.focused
        assert pilot.app.focused.id == "length"
        await pilot.press("backspace", "backspace", "8", "enter")
        texts = list(screen.query(Continuation))
        await long(pilot, lambda: all("8 tokens" in str(text.border_subtitle) for text in texts))
        first = [str(text.text.visual) for text in texts]
        assert all(written.startswith("the cat") and len(written) > len("the cat") for written in first)
        await pilot.press("enter")
        await pilot.pause()
        await long(pilot, lambda: not pane.writing)
        assert [str(text.text.visual) for text in texts] == first
        await pilot.press("ctrl+n")
        await pilot.pause()
        await long(pilot, lambda: not pane.writing)
        assert screen.query_one("#seed", Number).number == 1
        assert [str(text.text.visual) for text in texts] != first

        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            trained_text, base = (text.region for text in texts)
            beside = trained_text.right <= base.x and trained_text.y == base.y
            below = trained_text.bottom <= base.y and trained_text.x == base.x
            assert beside if size[0] >= 100 else below
            assert min(trained_text.height, base.height) >= 4
            assert screen.query_one("#seed").region.right <= size[0]
        await pilot.resize_terminal(40, 12)  # where each is scrolled into sight
        for name, height in (("#seed", 1), ("#trained", 5), ("#base", 5)):
            screen.query_one(name).focus()
            await pilot.pause()
            shown = screen.find_widget(screen.query_one(name)).visible_region
            assert shown == screen.query_one(name).region
            assert shown.height >= height

        # Both are stopped as soon as that is asked for; only then does Escape close the screen.
        screen.query_one("#length", Number).value = "64"
        pane.action_another()
        assert all(text.writing for text in texts)
        screen.action_back()
        await until(pilot, lambda: not pane.writing)
        assert [str(text.border_subtitle) for text in texts] == ["stopped", "stopped"]
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen)


async def test_numbers_that_cannot_be_are_told(trained: Trained) -> None:
    async with BareApp().run_test(size=(100, 30)) as pilot:
        app_of(pilot).try_model(trained("lm"))
        await until(pilot, lambda: isinstance(pilot.app.focused, Prompt))
        screen = pilot.app.screen
        assert isinstance(screen, TryScreen)
        await pilot.press("tab", "ctrl+u")
        await pilot.pause()
        assert "temperature is a number of at least 0; got ''" in wrong(screen)
        await pilot.press("enter")
        assert screen.pane
        assert isinstance(screen.pane, Write)
        assert not screen.pane.writing
        await pilot.press("up", "up", "tab", "down")
        await pilot.pause()
        assert wrong(screen) == ""
        assert screen.query_one("#temperature", Number).number == pytest.approx(0.2)
        assert screen.query_one("#top-k", Number).number == 39


async def test_a_run_without_a_model_says_why(write_run: WriteRun) -> None:
    run = write_run("early", status="failed", error="the disk is full")
    async with BareApp().run_test(size=(80, 24)) as pilot:
        app_of(pilot).try_model(run)
        await until(pilot, lambda: "the disk is full" in state(pilot.app.screen))
        assert "no saved model. Its status is failed" in state(pilot.app.screen)
        assert "again" in state(pilot.app.screen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, TryScreen))


async def test_a_live_run_is_waited_for(write_run: WriteRun, trained: Trained) -> None:
    run = write_run("live", status=None, steps=3, total=10)
    with living(run):
        async with BareApp().run_test(size=(80, 24)) as pilot:
            app_of(pilot).try_model(run)
            await until(pilot, lambda: "is still running" in state(pilot.app.screen))
            assert "3 steps" in state(pilot.app.screen)
            shutil.copy(trained("text").recipe_file, run.recipe_file)
            shutil.copytree(trained("text").model_folder, run.model_folder)
            await until(pilot, lambda: isinstance(pilot.app.focused, Prompt))
