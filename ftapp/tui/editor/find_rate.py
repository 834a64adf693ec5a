"""A learning rate range test of a phase: its curve, its suggestions, and the rate to take."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Label, Static

from ftapp.analysis.lr_suggestions import FEWEST, LossCurve
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.formatting import format_duration
from ftapp.common.safe_files import describe_error
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.tui.dialog import AskingDialog
from ftapp.tui.editor.range_plot import RangePlot
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.text_line import TextLine

_MUTED = "$foreground 60%"
_OWN, _TAKE = "warning", "success"  # colours of the rate that the phase has, and of the one to take


class FindRate(AskingDialog[float | None]):
    """A dialog with a range test. Its result is the learning rate to take, or None. Closing it ends the test."""

    DEFAULT_CSS = """
    FindRate #sheet {
        width: 110; max-width: 96%; height: 94%; max-height: 44; padding: 1 2;
        background: $surface; border: round $primary;
    }
    FindRate.-short #sheet { padding: 0 2; height: 100%; }
    FindRate #settings { height: 1; }
    FindRate #settings Label { color: $text-muted; margin-right: 1; }
    FindRate #settings TextLine { width: 10; margin-right: 3; background: $foreground 10%; }
    FindRate.-narrow #settings TextLine { width: 8; margin-right: 1; }
    FindRate #settings Button { min-width: 9; }
    FindRate #state { height: auto; max-height: 4; margin: 1 0; }
    FindRate.-short #state { margin: 0; max-height: 2; }
    FindRate.-short RangePlot { min-height: 5; }
    FindRate.-short #found { max-height: 5; }
    FindRate RangePlot { height: 1fr; min-height: 7; background: $surface; }
    FindRate #found { height: auto; max-height: 45%; display: none; scrollbar-size-vertical: 1; }
    FindRate.-known #found { display: block; }
    FindRate #found > * { height: auto; margin: 0 1 0 0; }
    FindRate #sentences { margin-top: 1; }
    FindRate.-short #dialog-title, FindRate.-short #dialog-answers { margin: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("a", "apply", "Apply", show=False),
    ]

    def __init__(self, recipe: Recipe, phase: int, *, offline: bool) -> None:
        """Make the dialog.

        Args:
            recipe: The resolved recipe.
            phase: The index of the phase to test.
            offline: Whether the test makes no network call.
        """
        super().__init__()
        self._recipe, self._phase, self._offline = recipe, phase, offline
        self._rate: float | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield Label(Content(f"Learning rate of phase {self._recipe.phase[self._phase].name}"), id="dialog-title")
            with Horizontal(id="settings"):
                yield Label("from")
                yield TextLine("1e-6", id="low")
                yield Label("to")
                yield TextLine("10", id="high")
                yield Label("steps")
                yield TextLine("100", id="steps")
                yield Button("Test", id="test", compact=True)
            yield Static(id="state", markup=False)
            yield RangePlot()
            with VerticalScroll(id="found", can_focus=False):
                yield Facts()
                yield Static(id="sentences", markup=False)
            with Horizontal(id="dialog-answers"):
                yield Button("Apply (a)", id="apply", variant="primary", compact=True, disabled=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one("#close", Button).focus()
        self._test()

    @on(Button.Pressed, "#test")
    @on(Input.Submitted)
    def _test(self) -> None:
        """Start the test with the values of the fields. A running test is ended."""
        given = self._settings()
        self._say("starting ..." if not isinstance(given, str) else given)
        if not isinstance(given, str):
            self.remove_class("-known")
            self._rate = None
            self.query_one("#apply", Button).disabled = True
            self._run(*given)

    def _settings(self) -> tuple[tuple[float, float], int] | str:
        """Parse the rates and the number of steps, or return what is wrong with them."""
        low, high, steps = (self.query_one(f"#{name}", TextLine).value for name in ("low", "high", "steps"))
        try:
            rates = float(low), float(high)
        except ValueError:
            return f"'{low}' and '{high}' are not two learning rates; a rate is a number above 0, such as 1e-5"
        if not (all(map(math.isfinite, rates)) and 0 < rates[0] < rates[1]):
            return (
                f"{low} and {high} are not a lower and a higher rate; the test needs a rate above 0, then a higher one"
            )
        if not steps.strip().isdecimal() or int(steps) < FEWEST:
            return f"'{steps}' is not a number of steps; a test has at least {FEWEST} steps"
        return rates, int(steps)

    def _say(self, text: str) -> None:
        if not self.is_left:
            self.query_one("#state", Static).update(text)

    @work(exclusive=True)
    async def _run(self, rates: tuple[float, float], steps: int) -> None:
        plot, curve = self.query_one(RangePlot), LossCurve(steps)
        own = self._recipe.phase[self._phase].base_rate
        plot.show(None, rates)

        def add_step(rate: float, loss: float) -> None:
            curve.add(rate, loss)
            plot.show(curve, rates, [(own, _OWN)])

        def report(activity: str, done: int, total: int | None) -> None:
            self._say(f"{activity}{f' {done:,} of {total:,}' if total else ''} ...")

        try:
            # A process of its own, which ends with the test: the phases before are trained in it.
            async with InspectorClient(offline=self._offline) as inspector:
                result = await inspector.find_rate(self._recipe, self._phase, rates, steps, add_step, report)
        except (RecipeError, RunError, OSError) as error:
            self._say(describe_error(error))
            return
        if not self.is_left:
            self._show(result, curve, rates)

    def _show(self, result: dict[str, Any], curve: LossCurve, rates: tuple[float, float]) -> None:
        ends = {"steps": "", "diverged": ", where the loss diverged", "not finite": ", where the loss was not finite"}
        self._say(
            f"{len(curve.rates)} of {curve.steps} steps{ends[result['ended']]}; {result['optimizer']}, batches of "
            f"{result['batch_size']}, {format_duration(result['seconds'])}. The weights have not changed."
        )
        self._rate = result["rate"]
        marks = [(result["own_rate"], _OWN), *([(self._rate, _TAKE)] if self._rate else [])]
        self.query_one(RangePlot).show(curve, rates, marks)
        rows = [
            (row["rule"], Content.assemble(f"{row['rate']:<9.2g}", (row["source"], _MUTED)))
            for row in result["suggestions"]
        ]
        own = Content.assemble((f"{result['own_rate']:<9g}", f"${_OWN}"), ("the rate of the phase now", _MUTED))
        # The decision comes first, since a short terminal shows few rows.
        take = [("suggestion", Content.styled(f"{self._rate:g}", f"${_TAKE} bold"))] if self._rate else []
        rows = [*take, ("recipe", own), *rows]
        self.query_one(Facts).rows = rows
        self.query_one("#sentences", Static).update("\n".join(result["sentences"]))
        self.add_class("-known")
        if self._rate:
            self.query_one("#apply", Button).disabled = False
            self.query_one("#apply", Button).focus()

    def action_apply(self) -> None:
        """Take the suggested rate."""
        if self._rate:
            self.dismiss(self._rate)

    @on(Button.Pressed, "#apply")
    def _press_apply(self) -> None:
        self.action_apply()

    @on(Button.Pressed, "#close")
    def _leave(self) -> None:
        self.dismiss(None)
