"""Text of a trained language model, beside text of the model before training."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing
from typing import ClassVar, Literal

from textual import events, on, work
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Label, Static
from textual.worker import Worker

from ftapp.common import formatting
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import Task
from ftapp.rpc.messages import Generated
from ftapp.rpc.prediction_messages import Sampling
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.tui.widgets.prompt import Number, Prompt, Tried

_INVITATIONS = {
    False: "Type the beginning of a text. Enter lets both models continue it.",
    True: "Type a prompt. Enter lets both models complete it.",
}
_TITLES = {"trained": "[$primary]Fine-tuned[/]", "base": "[$accent]Before training[/]"}


class Continuation(VerticalScroll):
    """A prompt and its continuation by one of the two models, token by token."""

    DEFAULT_CSS = """
    Continuation > Static { height: auto; }
    """

    def __init__(self, predictor: PredictorClient, model: Literal["trained", "base"], ready: asyncio.Event) -> None:
        """Make the pane.

        Args:
            predictor: The process of the models.
            model: Which of the models writes.
            ready: Set once the process takes requests.
        """
        super().__init__(id=model, classes="pane")
        self.border_title = _TITLES[model]
        self._predictor, self._model, self._ready = predictor, model, ready
        self._writing: Worker[None] | None = None

    def compose(self) -> Iterable[Widget]:
        yield Static()

    @property
    def writing(self) -> bool:
        """Whether the model is writing."""
        return self._writing is not None and not self._writing.is_finished

    @property
    def text(self) -> Static:
        """The widget of the text."""
        return self.query_one(Static)

    def stop(self) -> None:
        """Stop writing."""
        if self._writing and self.writing:
            self._writing.cancel()
            self._writing = None
            self.border_subtitle = "stopped"

    def write(self, prompt: str, sampling: Sampling) -> None:
        """Start writing. The arguments are those of the predictor's `generate`."""
        self._writing = self._write(prompt, sampling)

    @work(exclusive=True)
    async def _write(self, prompt: str, sampling: Sampling) -> None:
        written, count, begun = "", 0, time.monotonic()
        self._show(prompt, written)
        self.border_subtitle = "waiting for the model"
        try:
            await self._ready.wait()
            self.border_subtitle = "reading the prompt"
            pieces = self._predictor.generate(prompt, sampling, model=self._model, progress=self._tell)
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Generated):
                        self.border_subtitle = _describe_ending(piece, sampling.tokens)
                        continue
                    count += 1
                    written += piece
                    self._show(prompt, written)
                    self.border_subtitle = Content(f"{time.monotonic() - begun:.0f} s")
        except (RunError, RecipeError) as error:
            self.text.update(Content.styled(str(error), "$error"))
            self.border_subtitle = ""

    def _show(self, prompt: str, written: str) -> None:
        at_end = self.is_vertical_scroll_end
        self.text.update(Content.assemble((prompt, "$foreground-muted"), formatting.make_printable(written)))
        if at_end:
            self.scroll_end(animate=False)

    def _tell(self, activity: str, done: int, total: int | None) -> None:
        self.border_subtitle = Content(activity)


class Write(Container):
    """A prompt, the settings of sampling, and the continuations by the two models."""

    DEFAULT_CSS = """
    Write { layout: vertical; height: 1fr; overflow-y: auto; scrollbar-size-vertical: 1; }
    Write #given { height: 5; }
    Write #drawing { height: 1; padding: 0 1; }
    Write #drawing Label { color: $foreground-muted; margin-right: 1; }
    Write #drawing Number { width: 7; margin-right: 3; }
    Write #wrong { height: auto; padding: 0 1; color: $error; display: none; }
    Write #wrong.-shown { display: block; }
    Write #texts { height: 1fr; min-height: 5; }
    Write Continuation { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "another", "Another", tooltip="Write again with the next seed"),
    ]

    def __init__(self, predictor: PredictorClient, task: Task) -> None:
        """Make the pane.

        Args:
            predictor: The process of the models.
            task: The task of the models.
        """
        super().__init__()
        self._predictor, self._invitation = predictor, _INVITATIONS[task.labels == "completions"]
        self._ready = asyncio.Event()

    def compose(self) -> Iterable[Widget]:
        given = Vertical(id="given", classes="pane")
        given.border_title = "Prompt"
        with given:
            yield Prompt(self._invitation)
        with Horizontal(id="drawing"):
            yield Label("temperature")
            yield Number(0.8, least=0, step=0.1, id="temperature")
            yield Label("top-k")
            yield Number(40, least=1, step=1, id="top-k")
            yield Label("length")
            yield Number(64, least=1, step=16, id="length")
            yield Label("seed")
            yield Number(0, least=0, step=1, id="seed")
        yield Static(id="wrong", markup=False)
        with Horizontal(id="texts"):
            yield Continuation(self._predictor, "trained", self._ready)
            yield Continuation(self._predictor, "base", self._ready)

    @on(events.DescendantFocus)
    def _scroll_to_number(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Number):  # the line of numbers has no room for a scrollbar
            self.query_one("#drawing").scroll_to_widget(event.widget, animate=False, force=True)

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.query_one(Prompt)

    @property
    def writing(self) -> bool:
        """Whether a model is writing."""
        return any(text.writing for text in self.query(Continuation))

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._ready.is_set()

    def start(self) -> None:
        """Start writing what the user submitted while the model was loaded."""
        self._ready.set()

    def stop(self) -> None:
        """Stop both models."""
        for text in self.query(Continuation):
            text.stop()

    @on(Tried)
    @on(Input.Submitted)
    def _submit(self, event: Tried | Input.Submitted) -> None:
        event.stop()
        self._begin()

    @on(Input.Changed)
    def _check_typed(self) -> None:
        self._check()

    def action_another(self) -> None:
        self.query_one("#seed", Number).action_step(1)
        self._begin()

    def _begin(self) -> None:
        numbers = self._check()
        if numbers is None:
            return
        sampling = Sampling(
            tokens=int(numbers["length"]),
            temperature=numbers["temperature"],
            top_k=int(numbers["top-k"]),
            seed=int(numbers["seed"]),
        )
        for text in self.query(Continuation):
            text.write(self.prompt.text, sampling)

    def _check(self) -> dict[str, float] | None:
        """Read the numbers by name. Where one is wrong, show the error and return None."""
        numbers, wrong = {}, []
        for field in self.query(Number):
            if field.number is None:
                wrong.append(f"{field.id} is {field.rule}; got '{field.value}'")
            else:
                numbers[str(field.id)] = field.number
        errors = self.query_one("#wrong", Static)
        errors.update("\n".join(wrong))
        errors.set_class(bool(wrong), "-shown")
        return None if wrong else numbers


def _describe_ending(made: Generated, tokens: int) -> str:
    """Describe how a continuation ended, and its speed."""
    speed = (
        f"{formatting.format_quantity(made.tokens, 'token')}, {made.tokens / made.seconds:.1f} a second"
        if made.seconds
        else ""
    )
    if made.ended:
        return f"{speed}; the text ended"
    if made.tokens < tokens and made.limit is not None:
        return f"{speed}; the model reads at most {formatting.format_quantity(made.limit, 'token')}"
    return speed
