"""Using a finished run's model: classes of a text or an image, or text that it writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ftapp import recipe as recipes
from ftapp.common import formatting
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.local_files import PICTURES
from ftapp.experiments.listing import Summary, summarize
from ftapp.recipe import TASKS, Recipe, sources
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.runs.run_folder import Run
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.page import Page
from ftapp.tui.run_columns import result_words
from ftapp.tui.widgets.classify import Classify
from ftapp.tui.widgets.write import Write

_MUTED = "$foreground-muted"
_LOOK_SECONDS = 1.0

_ADVICE = {
    "failed": "Run its recipe again when the reason is gone.",
    "refused": "Change its recipe as told above, and run it again.",
    "crashed": "Its log tells more; open the run for it. Run its recipe again from Recipes.",
    "interrupted": "A run that is stopped while it trains saves its model; this one was stopped before. Run it again.",
    "damaged": "Run its recipe again from Recipes.",
    "done": "Its folder `model` is gone. Run its recipe again from Recipes.",
}


class TryScreen(Page):
    """A run's model, tried. It lives in a process of its own, which ends with the screen."""

    PLACE = "runs"
    HELP = """
# Try it

The run's model answers from a process of its own, which takes some seconds to load and ends with this screen. All that
is tried stays here; up and down in the prompt bring it back.

A classifier tells its classes while you type. Of an image, type the path, or choose the file with `Ctrl-O`. Enter
keeps an answer in the list. `Ctrl-T` tries examples of the test split, the mistakes first; Enter on one puts it into
the prompt.

A language model writes when you press Enter, and so does the model from before training, beside it. A temperature of 0
takes the most probable token each time; `Ctrl-N` draws again with the next seed. Escape stops both.
"""
    DEFAULT_CSS = """
    TryScreen #about { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    TryScreen #state { height: auto; max-height: 50%; padding: 0 1; color: $foreground-muted; display: none; }
    TryScreen #state.-shown { display: block; }
    TryScreen #state.-wrong { color: $error; }
    TryScreen.-tall #state.-shown { margin-top: 1; }
    TryScreen #panes { height: 1fr; }
    TryScreen.-tall #panes { margin-top: 1; }
    TryScreen.-tall Write #given { height: 7; }
    TryScreen.-short.-narrow Write #given { height: 4; }
    TryScreen.-narrow #drawing Number { width: 6; margin-right: 1; }
    TryScreen.-narrow #texts { layout: vertical; }
    TryScreen.-narrow Continuation { width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="Stop writing; else back"),
        Binding("ctrl+r", "load", "Load again"),
        Binding("f1", "app.help", "Help"),
    ]

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self._predictor: PredictorClient | None = None
        self._panes = Container(id="panes")
        self._failed = False
        self._loading = ("", 0.0)  # what is going on, and since when

    def body(self) -> Iterable[Widget]:
        yield Static(id="about")
        yield Static(id="state", markup=False)
        yield self._panes

    def on_mount(self) -> None:
        self._open()

    async def on_unmount(self) -> None:
        self.workers.cancel_node(self)  # nobody is left to be told that the process has ended
        if self._predictor:
            await self._predictor.close()

    @property
    def pane(self) -> Classify | Write | None:
        """What the model is tried with, once it is known what the model does."""
        return next((child for child in self._panes.children if isinstance(child, Classify | Write)), None)

    @work
    async def _open(self) -> None:
        """Wait for the run's model, if it is to come; then show what it is tried with, and load it."""
        while True:
            summary = await asyncio.to_thread(summarize, self.run)
            for about in self.query("#about").results(Static):
                about.update(_about(summary))
            if (self.run.model_folder / "ftapp.json").is_file():
                break
            self._say(_no_model(summary))
            if summary.status != "running":
                return
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            recipe = await asyncio.to_thread(recipes.load, self.run.recipe_file)
        except RecipeError as error:
            self._say(str(error), wrong=True)
            return
        self._predictor = PredictorClient(recipe, self.run.folder, offline=self.app.offline)
        if TASKS[recipe.task].writes:
            pane: Classify | Write = Write(self._predictor)
        else:
            images = TASKS[recipe.task].inputs == "images"
            pane = Classify(self._predictor, images=images, folder=_folder(recipe))
        await self._panes.mount(pane)
        if not self.is_running:  # closed meanwhile
            return
        pane.prompt.focus()
        self.action_load()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._failed if action == "load" else True

    @on(Classify.FileWanted)
    def pick_file(self, event: Classify.FileWanted) -> None:
        """Let the user choose an image file from a tree of folders."""

        def use(file: Path | None) -> None:
            if file is not None:
                event.pane.use_file(file)

        self.app.push_screen(PickFile("Which image?", event.folder, PICTURES), use)

    def action_load(self) -> None:
        self._load()

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        assert self._predictor
        self._failed = False
        self.refresh_bindings()
        self._loading = "starting its process", time.monotonic()
        timer = self.set_interval(0.5, self._tell_loading)
        self._tell_loading()
        try:
            await self._predictor.load(self._told)
        except (RunError, RecipeError) as error:
            self._failed = True
            self.refresh_bindings()
            self._say(f"{error}\nCtrl-R loads it again.", wrong=True)
        else:
            self._say("")
            if self.pane:
                self.pane.start()
        finally:
            timer.stop()

    def action_back(self) -> None:
        """Stop what is being written; where nothing is, close the screen."""
        if isinstance(self.pane, Write) and self.pane.writing:
            self.pane.stop()
        else:
            self.app.pop_screen()

    def _told(self, activity: str, done: int, total: int | None) -> None:
        self._loading = activity, self._loading[1]
        self._tell_loading()

    def _tell_loading(self) -> None:
        activity, begun = self._loading
        self._say(f"{activity}, {time.monotonic() - begun:.0f} s; you can type meanwhile")

    def _say(self, text: str, *, wrong: bool = False) -> None:
        for state in self.query("#state").results(Static):  # none while the interface closes
            state.update(text)
            state.set_class(bool(text), "-shown").set_class(wrong, "-wrong")


def _about(summary: Summary) -> Content:
    """Which model it is, on one line."""
    parts = result_words(summary)
    if summary.created is not None:
        parts.append(formatting.when(summary.created, time.time()))
    name = " ".join(filter(None, (summary.recipe, summary.profile)))
    return Content.assemble(("Try  ", _MUTED), (name, "b"), (f"   {'  ·  '.join(parts)}", _MUTED))


def _no_model(summary: Summary) -> str:
    """Why there is no model, and what to do."""
    if summary.status == "running":
        done = f" It has done {summary.steps:,} steps." if summary.steps else ""
        return f"This run goes on, and its model can be tried when it has ended.{done} It opens here by itself."
    lines = [f"This run has no saved model; it is {summary.status}.", summary.error or "", _ADVICE[summary.status]]
    return "\n".join(filter(None, lines))


def _folder(recipe: Recipe) -> Path:
    """Where the run's images are, if they are files, else where the interface was started."""
    source = sources.parse(recipe.data.source)
    return Path(source.name) if source.scheme == "folder" else Path.cwd()
