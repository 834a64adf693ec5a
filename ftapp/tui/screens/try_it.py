"""Try it: the model of a run classifies a text or an image, or writes text."""

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
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.page import Page
from ftapp.tui.run_columns import describe_results
from ftapp.tui.widgets.classify import Classify
from ftapp.tui.widgets.write import Write

_MUTED = "$foreground-muted"
_LOOK_SECONDS = 1.0

_ADVICE = {
    "failed": "Remove the cause, and run its recipe again.",
    "refused": "Change its recipe as the message says, and run it again.",
    "crashed": "Open the run for its log. Run its recipe again from Recipes.",
    "pruned": "A sweep ended the run before it trained, so it saved no model.",
    "interrupted": "The run was stopped before it trained, so it saved no model. Run its recipe again.",
    "unfinished": "The run was stopped before it trained, so it saved no model. `ftapp resume` goes on with it.",
    "damaged": "Run its recipe again from Recipes.",
    "done": "Its folder `model` is missing. Run its recipe again from Recipes.",
}


class TryScreen(Page):
    """Tries the model of a run, which is loaded in a process that ends with the screen."""

    PLACE = "runs"
    HELP = """
# Try it

The model runs in a separate process, which loads for some seconds and ends with this screen. In the prompt, up and down
bring back your earlier inputs.

A classifier shows its classes while you type, a regression its number. For an image, type the path, or choose the file
with `Ctrl-O`. Enter adds an answer to the list. `Ctrl-T` tries examples of the test split, mistakes or large errors
first. Enter on an example puts it into the prompt.

`Ctrl-G` explains the answer, or hides the explanation. Orange words speak for the best class, blue words against it. An
image is yellow where most of the evidence is. `ftapp explain` writes this into files.

A language model writes when you press Enter, and the model before training writes beside it. At temperature 0 it always
takes the most probable token. `Ctrl-N` writes again with the next seed. Escape stops both.

For many inputs there are commands: `ftapp predict` answers files and folders, `ftapp evaluate` measures other data, and
`ftapp generate` continues files of prompts.
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
    TryScreen.-narrow #texts { layout: vertical; min-height: 10; }
    TryScreen.-narrow Continuation { width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="Stop writing, or go back"),
        Binding("ctrl+r", "load", "Load again"),
        Binding("f1", "app.help", "Help"),
    ]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self._predictor: PredictorClient | None = None
        self._panes = Container(id="panes")
        self._failed = False
        self._loading = ("", 0.0)  # the activity, and its start

    def body(self) -> Iterable[Widget]:
        yield Static(id="about")
        yield Static(id="state", markup=False)
        yield self._panes

    def on_mount(self) -> None:
        self._open()

    async def on_unmount(self) -> None:
        self.workers.cancel_node(self)  # before they learn that the process has ended
        if self._predictor:
            await self._predictor.close()

    @property
    def pane(self) -> Classify | Write | None:
        """The pane to try the model, once its task is known."""
        return next((child for child in self._panes.children if isinstance(child, Classify | Write)), None)

    @work
    async def _open(self) -> None:
        """Wait for the model of a running run. Then show the pane to try it, and load it."""
        while True:
            summary = await asyncio.to_thread(summarize, self.run)
            for about in self.query("#about").results(Static):
                about.update(_describe_run(summary))
            if self.run.has_model():
                break
            self._say(_explain_no_model(summary))
            if not summary.goes_on:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            recipe = await asyncio.to_thread(recipes.load, self.run.recipe_file)
        except RecipeError as error:
            self._say(str(error), wrong=True)
            return
        self._predictor = PredictorClient(recipe, self.run.folder, offline=self.app.offline)
        if TASKS[recipe.task].writes:
            pane: Classify | Write = Write(self._predictor, TASKS[recipe.task])
        else:
            pane = Classify(self._predictor, TASKS[recipe.task], folder=_folder(recipe))
        await self._panes.mount(pane)
        if not self.is_running:  # closed in the meantime
            return
        pane.prompt.focus()
        self.action_load()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._failed if action == "load" else super().check_action(action, parameters)

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
            await self._predictor.load(self._report)
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
        """Stop writing; where nothing is written, close the screen."""
        if isinstance(self.pane, Write) and self.pane.writing:
            self.pane.stop()
        else:
            self.app.pop_screen()

    def _report(self, activity: str, done: int, total: int | None) -> None:
        self._loading = activity, self._loading[1]
        self._tell_loading()

    def _tell_loading(self) -> None:
        activity, begun = self._loading
        self._say(f"{activity}, {time.monotonic() - begun:.0f} s; you can type in the meantime")

    def _say(self, text: str, *, wrong: bool = False) -> None:
        for state in self.query("#state").results(Static):  # none while the interface closes
            state.update(text)
            state.set_class(bool(text), "-shown").set_class(wrong, "-wrong")


def _describe_run(summary: Summary) -> Content:
    """Describe the run on one line."""
    parts = describe_results(summary)
    if summary.created is not None:
        parts.append(formatting.format_moment(summary.created, time.time()))
    name = " ".join(filter(None, (summary.recipe, summary.profile)))
    return Content.assemble(("Try  ", _MUTED), (name, "b"), (f"   {'  ·  '.join(parts)}", _MUTED))


def _explain_no_model(summary: Summary) -> str:
    """Explain why there is no model, and what to do."""
    if summary.goes_on:
        done = f" It has done {formatting.format_quantity(summary.steps, 'step')}." if summary.steps else ""
        return f"This run is still {summary.status}.{done} Its model opens here when the run has ended."
    lines = [
        f"This run has no saved model. Its status is {summary.status}.",
        summary.error or "",
        _ADVICE[summary.status],
    ]
    return "\n".join(filter(None, lines))


def _folder(recipe: Recipe) -> Path:
    """Find the folder of the run's images; the current folder where they are no files."""
    source = sources.parse(recipe.data.source)
    folder = Path(source.name)
    return folder if source.scheme == "folder" and folder.is_dir() else Path.cwd()
