"""The pane of the training: phases, optimizer, the learning rate as a curve, and the other keys of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Static

from ftapp.common.formatting import format_quantity
from ftapp.recipe import TASKS, Phase, Recipe, schedule
from ftapp.tui import recipe_words
from ftapp.tui.editor import edits, sweep_edits
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.fields import TARGET
from ftapp.tui.editor.rate_curve import RateCurve
from ftapp.tui.editor.sweep_section import SweepSection
from ftapp.tui.editor.targets import find_usual_target, list_targets
from ftapp.tui.widgets import shallow_classes
from ftapp.tui.widgets.facts import Facts
from ftapp.tui.widgets.texts import set_text

_POINTS = 240
_NOMINAL = 1000  # steps to draw a phase of epochs with while the number of examples is not known


class TrainingPane(VerticalScroll, can_focus=False):
    """Fields of the chosen phase, of evaluation, frozen layers and run, with the learning rate as a curve."""

    DEFAULT_CSS = """
    TrainingPane .section { color: $foreground; text-style: bold; margin-top: 1; height: 1; }
    TrainingPane > #phase-title { margin-top: 0; }
    TrainingPane > #experiment { height: auto; }
    TrainingPane Facts { display: none; margin-bottom: 1; }
    TrainingPane.-arms Facts { display: block; }
    TrainingPane.-arms > #experiment > .section { margin-top: 0; }
    TrainingPane.-arms > #phase-title { margin-top: 1; }
    TrainingPane.-searching .of-arms { display: none; }
    TrainingPane #phase-buttons { height: 1; margin-top: 1; }
    TrainingPane #phase-buttons Button { margin-right: 1; min-width: 8; }
    TrainingPane RateCurve { height: 6; margin: 1 0; }
    TrainingPane > .for-lm, TrainingPane > .for-classes { display: none; height: auto; }
    TrainingPane.-lm > .for-lm, TrainingPane.-classes > .for-classes { display: block; }
    """

    class Edited(Message):
        """The user changed phases or the values of a sweep; the phase is that to choose, None for the same."""

        def __init__(self, draft: Draft, phase: str | None = None) -> None:
            super().__init__()
            self.draft, self.phase = draft, phase

    class RateWanted(Message):
        """The user wants a test of learning rates for the chosen phase."""

    def __init__(self) -> None:
        super().__init__(id="training", classes="pane")
        self.border_title = "Training"
        self._examples: int | None = None
        self._form: Form | None = None

    def compose(self) -> ComposeResult:
        yield Static("Phase", classes="section", id="phase-title")
        yield FieldLine("phase.name")
        yield FieldLine("phase.epochs", empty="set by steps")
        yield FieldLine("phase.steps", empty="set by epochs")
        yield FieldLine("phase.batch_size", "batch")
        yield FieldLine("phase.optimizer")
        yield FieldLine("phase.learning_rate")
        yield FieldLine("phase.layer_decay")
        yield FieldLine("phase.schedule")
        yield FieldLine("phase.warmup", "warm-up")
        yield RateCurve()
        yield FieldLine("phase.weight_decay")
        yield FieldLine("phase.weight_decay_on", "decay of")
        yield FieldLine("phase.clip_norm", "clipping", empty="none")
        yield FieldLine("phase.gradient_norm")
        yield FieldLine("phase.accumulate")
        yield FieldLine("phase.ema", "averages", empty="none")
        yield FieldLine("phase.swa", "average from", empty="none")
        with Horizontal(id="phase-buttons"):
            yield Button("Find a rate", id="find-rate", compact=True)
            yield Button("Add phase", id="add-phase", compact=True)
            yield Button("Remove", id="remove-phase", compact=True)
        run = (FieldLine(name) for name in ("precision", "backend", "devices", "parallel", "seed"))
        where = [FieldLine(TARGET, "where", empty=find_usual_target())] if list_targets() else []
        yield from _section("Run", *run, *where)
        with Vertical(id="experiment"):
            yield Static("Experiment", classes="section")
            yield Facts()
            yield FieldLine("experiment.repeats").add_class("of-arms")
            yield FieldLine("experiment.jobs", "runs at once")
            yield FieldLine("experiment.control").add_class("of-arms")
            yield FieldLine("experiment.sweep", "search values")
            yield SweepSection()
        yield from _section(
            "Evaluation",
            FieldLine("evaluate.every", empty="each epoch"),
            FieldLine("evaluate.split"),
            FieldLine("evaluate.examples", empty="all"),
            FieldLine("evaluate.batch_size", "batch"),
            FieldLine("evaluate.keep_worst"),
        )
        with Vertical(classes="for-classes"):
            yield from _section(
                "Classes of unequal size",
                FieldLine("balance.class_weights"),
                FieldLine("balance.sampling"),
                FieldLine("balance.focal_gamma", "focal loss"),
            )
        yield from _section(
            "Frozen layers",
            FieldLine("frozen.cache", "cache features"),
            FieldLine("frozen.engine"),
            FieldLine("frozen.dtype", "cached as"),
            FieldLine("frozen.dropout"),
        )
        with Vertical(classes="for-lm"):
            yield from _section(
                "Samples",
                FieldLine("samples.prompts", empty="none"),
                FieldLine("samples.tokens"),
                FieldLine("samples.temperature"),
                FieldLine("samples.top_k"),
            )
        yield from _section("About", FieldLine("title"), FieldLine("summary"))

    def show(self, form: Form, *, keep_typed: bool = True) -> None:
        """Show the arms, the sweep, the number of the phase, and the curve of the learning rate.

        Args:
            form: The draft.
            keep_typed: Whether a field keeps the text that the user types.
        """
        self._form = form
        task = TASKS.get(form.task)
        shallow_classes.update_classes(
            self, {"-lm": task is not None and task.writes, "-classes": task is None or task.has_classes}
        )
        number = form.phases.index(form.phase) + 1 if form.phase in form.phases else 0
        of = f" {number} of {len(form.phases)}" if len(form.phases) > 1 else ""
        set_text(self.query_one("#phase-title", Static), f"Phase{of}")
        self.query_one("#remove-phase", Button).disabled = len(form.phases) < 2
        self.set_class(form.draft.options.sweep, "-searching")
        self.query_one(SweepSection).show(form, keep_typed=keep_typed)
        if form.recipe:
            self._show_arms(form, form.recipe)
        self._draw()

    def _show_arms(self, form: Form, base: Recipe) -> None:
        """List the arms at the top, if there are any."""
        if form.arms and not self.has_class("-arms"):
            self.add_class("-arms")
            self.move_child(self.query_one("#experiment"), before=0)
        words = recipe_words.describe_arms(form.arms, base)
        rows = [(name, text.stylize("bold") if name == form.arm else text) for name, text in words.items()]
        where = "every arm" if form.arm is None else f"{form.arm} alone"
        note = Content.styled(f"Changes below go to {where}.", "$foreground-muted")
        self.query_one(Facts).rows = [*rows, ("", note)] if rows else []
        options = form.draft.options
        folds = (base.data.folds or 1) if base.data.fold is None else 1
        runs = (len(form.arms or [form]) + options.control) * options.repeats * folds
        counted = f", {format_quantity(runs, 'run')}" if runs > 1 and not options.sweep else ""
        set_text(self.query_one("#experiment > .section", Static), f"Experiment{counted}")

    def know(self, examples: int | None) -> None:
        """Take the number of training examples, from which the steps of an epoch follow; None while it is unknown."""
        self._examples = examples
        self._draw()

    def _draw(self) -> None:
        curve = self.query_one(RateCurve)
        phase = next((each for each in _phases(self._form) if self._form and each.name == self._form.phase), None)
        if phase is None:
            curve.values = ()
            return
        per_epoch = math.ceil(self._examples / phase.batch_size) if self._examples else None
        steps = phase.steps or (phase.epochs or 1) * (per_epoch or _NOMINAL)
        count = min(steps, _POINTS)
        at = [index * (steps - 1) // max(1, count - 1) for index in range(count)]
        curve.values = tuple(schedule.compute_rate(phase, step, steps) for step in at)
        if phase.steps or per_epoch:
            curve.ends = ("step 1", f"{steps:,}")
        else:
            curve.ends = ("start", f"epoch {phase.epochs}")

    @on(Button.Pressed, "#find-rate")
    def _find_rate(self) -> None:
        self.post_message(self.RateWanted())

    @on(Button.Pressed, "#add-phase")
    def _add(self) -> None:
        if form := self._form:
            self.post_message(self.Edited(*edits.add_phase(form.draft, form.phase, form.arm)))

    @on(Button.Pressed, "#remove-phase")
    def _remove(self) -> None:
        if form := self._form:
            self.post_message(self.Edited(edits.remove_phase(form.draft, form.phase, form.arm)))

    @on(SweepSection.Changed)
    def _change_values(self, event: SweepSection.Changed) -> None:
        if form := self._form:
            self.post_message(self.Edited(sweep_edits.replace_lines(form.draft, event.lines)))


def _section(title: str, *lines: FieldLine) -> Iterator[Widget]:
    yield Static(title, classes="section")
    yield from lines


def _phases(form: Form | None) -> list[Phase]:
    return form.recipe.phase if form and form.recipe else []
