"""Classification of a text while the user types, or of an image."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from ftapp.common import confinement, formatting
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import Task
from ftapp.rpc.messages import HeldOut, Prediction
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.tui.widgets import names
from ftapp.tui.widgets.explained_text import ExplainedText
from ftapp.tui.widgets.picture import Picture
from ftapp.tui.widgets.prompt import PathLine, Prompt, Tried
from ftapp.tui.widgets.score_bars import ScoreBars

_PAUSE_SECONDS = 0.25  # between the last key and the classification
_HELD_OUT = 200  # examples of the test split at most
_MUTED = "$foreground-muted"

_MEANINGS = {
    "probabilities": "Probabilities",
    "one-vs-rest": "Each class against all others",
    "decision values": "Distances from the margin",
    "number": "Number",
}


class _Words(NamedTuple):
    """How the pane speaks of answers.

    Attributes:
        title: What the answer to an example is called, as a title.
        shown: The beginning of a sentence: it is shown.
        first: The test examples that are listed first.
    """

    title: str
    shown: str
    first: str


_WORDS: Mapping[str, _Words] = {
    "classes": _Words("Classes", "Its classes are shown", "mistakes"),
    "sets": _Words("Labels", "Its labels are shown", "mistakes"),
    "numbers": _Words("Number", "Its number is shown", "large errors"),
}
"""By the kind of the task's labels."""


class Classify(Container):
    """A prompt at the left, the classes at the right, and below them the former prompts with their best classes."""

    class FileWanted(Message):
        """The user wants to choose an image file, starting in `folder`."""

        def __init__(self, pane: Classify, folder: Path) -> None:
            super().__init__()
            self.pane, self.folder = pane, folder

        @property
        def control(self) -> Classify:
            return self.pane

    DEFAULT_CSS = """
    Classify { layout: grid; grid-size: 2 2; grid-columns: 1fr 1fr; grid-rows: 2fr 1fr; height: 1fr; }
    Classify .pane { height: 100%; }
    Classify #tried, Classify #examples { text-wrap: nowrap; text-overflow: ellipsis; }
    Classify #wrong { color: $error; height: auto; display: none; }
    Classify #wrong.-shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "pick", "Choose a file"),
        Binding("ctrl+t", "examples", "Test examples", tooltip="Try the test split, mistakes or large errors first"),
        Binding("ctrl+g", "explain", "Explain", tooltip="Show where the evidence for the answer is, or hide it"),
    ]

    def __init__(self, predictor: PredictorClient, task: Task, *, folder: Path) -> None:
        """Make the pane.

        Args:
            predictor: The process of the model.
            task: The task of the model.
            folder: The folder in which the choice of an image starts.
        """
        super().__init__()
        self._predictor, self._images, self._folder = predictor, task.inputs == "images", folder
        self._words = _WORDS[task.labels]
        self._ready, self._asking = asyncio.Event(), asyncio.Lock()
        self._values: list[str] = []  # what was tried, in the order of the list
        self._held_out: tuple[HeldOut, ...] = ()  # of the test split, likewise
        self._explains = False

    def compose(self) -> Iterable[Widget]:
        given = Vertical(id="given", classes="pane")
        given.border_title = "Image" if self._images else "Text"
        with given:
            if self._images:
                yield PathLine("the path of an image file")
                yield Picture()
            else:
                yield Prompt(f"Type or paste a text. {self._words.shown} as you type.")
                yield ExplainedText()
        classes = Vertical(id="classes", classes="pane")
        classes.border_title = self._words.title
        with classes:
            yield Static(id="wrong", markup=False)
            yield ScoreBars()
        tried = OptionList(id="tried", classes="pane")
        tried.border_title = "Tried"
        yield tried
        examples = OptionList(Option(f"Ctrl-T tries them, {self._words.first} first.", disabled=True), id="examples")
        examples.add_class("pane")
        examples.border_title = "Test examples"
        yield examples

    @property
    def prompt(self) -> Prompt | PathLine:
        """The prompt of a text or of a path."""
        return self.query_one(PathLine) if self._images else self.query_one(Prompt)

    @property
    def value(self) -> str:
        """The text of the prompt."""
        return self.prompt.value if isinstance(self.prompt, PathLine) else self.prompt.text

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._ready.is_set()

    def start(self) -> None:
        """Classify the prompt, since the model is loaded, and from then on what the user types."""
        self._ready.set()

    def use(self, value: str) -> None:
        """Put a value into the prompt, which classifies it."""
        self.prompt.show(value)
        self.prompt.focus()

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _follow_typing(self) -> None:
        self._follow(self.value)

    @on(Tried)
    def _keep_submitted(self, event: Tried) -> None:
        event.stop()
        if event.value.strip():
            self._keep(event.value)

    @on(OptionList.OptionSelected)
    def _use_again(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_list.id == "examples":
            chosen = self._held_out[event.option_index]
            self.use(chosen.file or chosen.text or "")
        else:
            self.use(self._values[event.option_index])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._images if action == "pick" else True

    def action_pick(self) -> None:
        """Choose an image file from a tree of folders."""
        self.post_message(self.FileWanted(self, self._folder))

    def use_file(self, file: Path) -> None:
        """Classify an image file, and start the next choice in its folder."""
        self._folder = file.parent
        self.use(str(file))

    @work(exclusive=True, group="examples")
    async def action_examples(self) -> None:
        """Classify examples of the test split and list them, mistakes first."""
        examples = self.query_one("#examples", OptionList)
        await self._ready.wait()

        def tell(activity: str, done: int, total: int | None) -> None:
            examples.border_subtitle = Content(f"{activity} {done} of {total}" if total else activity)

        try:
            self._held_out = await self._predictor.classify_held_out(_HELD_OUT, tell)
        except (RunError, RecipeError) as error:
            examples.set_options([Option(Content.styled(str(error), "$error"), disabled=True)])
            examples.border_subtitle = ""
            return
        examples.set_options(Option(_describe_held_out(each)) for each in self._held_out)
        examples.border_subtitle = Content(_describe_errors(self._held_out))
        examples.highlighted = 0
        examples.focus()

    async def action_explain(self) -> None:
        """Show what the answer rests on: words with shades, or the image below its map; or hide it."""
        self._explains = not self._explains
        self.workers.cancel_group(self, "explain")
        if not self._images:
            self.query_one(ExplainedText).set_class(self._explains, "-shown")
        if self._explains:
            self._explain(self.value)
        elif self._images and await asyncio.to_thread(_is_file, self.value):
            await self._show_picture(Path(self.value.strip()).expanduser())

    @work(exclusive=True, group="explain")
    async def _explain(self, value: str) -> None:
        """Explain the answer to a value, and show it if the prompt is still the same."""
        complete = await asyncio.to_thread(_is_file, value) if self._images else bool(value.strip())
        if not complete:
            self._say_explaining("" if self._images else "Type a text. Its words get colours.")
            return
        self._say_explaining("explaining")
        await self._ready.wait()
        image = Path(value.strip()).expanduser() if self._images else None
        try:
            found = await self._predictor.explain_one(
                text=None if self._images else value,
                image=image,
                progress=lambda activity, done, total: self._say_explaining(activity),
            )
        except (RunError, RecipeError) as error:
            if value == self.value:
                self._say_explaining(str(error), "$error")
            return
        if value != self.value:
            return
        if self._images:
            await self.query_one(Picture).show(found.overlay)
            about = f"{found.method}: {names.make_visible(found.label)}" if found.label else found.method
            self.query_one("#given").border_subtitle = Content(about)
        else:
            self.query_one(ExplainedText).show(found)

    def _say_explaining(self, activity: str, style: str = "$foreground-muted") -> None:
        if self._images:
            self.query_one("#given").border_subtitle = Content.styled(activity, style)
        else:
            self.query_one(ExplainedText).say(activity, style)

    async def _show_picture(self, file: Path) -> None:
        if confinement.find_obstacle(file):
            return  # the answer says so
        size = await self.query_one(Picture).show(file)
        self.query_one("#given").border_subtitle = Content(size)

    @work(exclusive=True, group="follow")
    async def _follow(self, value: str) -> None:
        """Show the classes of the prompt after a pause in typing."""
        await asyncio.sleep(_PAUSE_SECONDS)
        complete = await asyncio.to_thread(_is_file, value) if self._images else bool(value.strip())
        if complete:
            await self._try(value)
        else:
            self._show(None)
            if self._explains:
                self._explain(value)

    @work(group="keep")
    async def _keep(self, value: str) -> None:
        """Show the classes of a value, and add it to the list."""
        if found := await self._try(value):
            self._remember(value, found)

    async def _try(self, value: str) -> Prediction | None:
        """Classify a value, and show the answer if the prompt is still the same; None where there is no answer."""
        found, wrong = None, ""
        await self._ready.wait()
        async with self._asking:
            try:
                if self._images:
                    file = Path(value.strip()).expanduser()
                    found = await self._predictor.classify(image=file, progress=self._tell)
                    await self._show_picture(file)
                else:
                    found = await self._predictor.classify(text=value, progress=self._tell)
            except (RunError, RecipeError) as error:
                wrong = str(error)
            if value == self.value:
                self._show(found, wrong)
                if self._explains and found:
                    self._explain(value)
        return found

    def _tell(self, activity: str, done: int, total: int | None) -> None:
        self.query_one("#classes").border_subtitle = Content(activity)

    def _show(self, found: Prediction | None, wrong: str = "") -> None:
        self.query_one(ScoreBars).prediction = found
        self.query_one("#wrong", Static).update(wrong)
        self.query_one("#wrong").set_class(bool(wrong), "-shown")
        pane = self.query_one("#classes")
        pane.border_title = _name_scores(found) if found else self._words.title
        pane.border_subtitle = _describe_length(found) if found else ""

    def _remember(self, value: str, found: Prediction) -> None:
        tried = self.query_one("#tried", OptionList)
        label = Content.assemble(
            (_format_score(found), _MUTED),
            (f"{names.make_visible(found.answer)}  ", "b"),
            (formatting.make_printable(" ".join(value.split())), _MUTED),
        )
        self._values = [value, *self._values]
        former = [option.prompt for option in tried.options]
        tried.set_options([Option(label), *map(Option, former)])


def _describe_errors(examples: Sequence[HeldOut]) -> str:
    """Describe how many answers are wrong or, of numbers, how far they are off on average."""
    errors = [each.error for each in examples if each.error is not None]
    if errors:
        return f"{sum(errors) / len(errors):.6g} off on average"
    return f"{sum(not each.is_right for each in examples)} of {len(examples)} wrong"


def _format_score(found: Prediction) -> str:
    """Format the score of the best class, with a space; a number and a set of classes have none."""
    if not found.classes or found.thresholds is not None:
        return ""
    score = found.best[1]
    return f"{score:+6.2f}  " if found.meaning == "decision values" else f"{score:>6.1%}  "


def _name_scores(found: Prediction) -> str:
    """Name the scores of an answer."""
    if found.thresholds is not None and found.meaning == "one-vs-rest":
        return "Probability of each label"
    return _MEANINGS[found.meaning]


def _describe_held_out(example: HeldOut) -> Content:
    """Describe an example of the test split: whether the answer is right, its score, the class, and the example."""
    sign, style = ("✓", "$success") if example.is_right else ("✗", "$error")
    found, label = names.make_visible(example.found), names.make_visible(example.label)
    taken = found if example.is_right else f"{label} taken for {found}"
    if example.error is not None:  # a number is more or less right
        sign, style, taken = "·", _MUTED, f"{found} for {label}"
    itself = example.text if example.file is None else Path(example.file).name
    return Content.assemble(
        (f"{sign} ", style),
        (_format_score(example.prediction), _MUTED),
        (f"{taken}  ", "b"),
        (formatting.make_printable(" ".join((itself or "").split())), _MUTED),
    )


def _describe_length(found: Prediction) -> str:
    """Describe how much of a text the model has read."""
    if found.tokens is None or found.length is None:
        return ""
    if found.tokens > found.length:
        return f"the first {found.length:,} of {formatting.format_quantity(found.tokens, 'token')}"
    return formatting.format_quantity(found.tokens, "token")


def _is_file(path: str) -> bool:
    try:
        return Path(path.strip()).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a null character, an unknown user's home
        return False
