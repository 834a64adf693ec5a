"""The part of the training pane about a sweep: the values to try, and how they are judged."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static, TextArea

from ftapp.common.formatting import format_quantity
from ftapp.recipe import TASKS
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.sweep_edits import NO_ARM, list_lines
from ftapp.tui.widgets.texts import set_text, split_lines


class SweepSection(Vertical):
    """Shows the table [sweep] of a draft. It is in sight where values are searched, or the recipe has the table."""

    DEFAULT_CSS = """
    SweepSection { height: auto; display: none; }
    SweepSection.-any { display: block; }
    SweepSection > #over { height: auto; max-height: 8; background: $surface; padding: 0 1; }
    SweepSection > #over:focus { background: $panel; }
    SweepSection > #over-wrong { height: auto; color: $error; display: none; padding: 0 1; }
    SweepSection.-wrong > #over-wrong { display: block; }
    SweepSection > #sweep-arm { display: none; }
    SweepSection.-arms > #sweep-arm { display: block; }
    """

    class Changed(Message):
        """The user changed the values to try."""

        def __init__(self, lines: list[str]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self) -> None:
        super().__init__(id="sweep")

    def compose(self) -> ComposeResult:
        yield Static("Sweep", classes="section")
        yield TextArea(
            id="over",
            compact=True,
            highlight_cursor_line=False,
            placeholder="Values to try, a key a line:\nmodel.dropout = linear(0, 0.5)\nF7 in a field adds its key.",
        )
        yield Static(id="over-wrong", markup=False)
        yield FieldLine("experiment.arm", id="sweep-arm")
        yield FieldLine("sweep.metric", chooses=True, id="sweep-metric")
        yield FieldLine("sweep.trials")
        yield FieldLine("sweep.time", "time limit", empty="none")
        yield FieldLine("sweep.finalists")
        yield FieldLine("sweep.repeats", "new seeds")
        yield FieldLine("sweep.pruning")

    def show(self, form: Form, *, keep_typed: bool = True) -> None:
        """Show the search of a draft.

        Args:
            form: The draft.
            keep_typed: Whether the text that the user types stays.
        """
        self.set_class(form.draft.options.sweep or form.tables.get("sweep") is not None, "-any")
        area, lines = self.query_one("#over", TextArea), list_lines(form.tables)
        if split_lines(area.text) != lines and not (keep_typed and area.has_focus):
            with self.prevent(TextArea.Changed):
                area.load_text("\n".join(lines))
        self.set_class(bool(form.arms), "-arms")
        self.query_one("#sweep-arm", FieldLine).offer((NO_ARM, *form.arms))
        if task := TASKS.get(form.task):
            metrics = dict.fromkeys([task.searched_metric, *task.held_out_metrics])
            self.query_one("#sweep-metric", FieldLine).offer([metric.name for metric in metrics])
        runs = f", {format_quantity(form.search.most_runs, 'run')} at most" if form.search else ""
        set_text(self.query_one(".section", Static), f"Sweep{runs}")

    def show_error(self, message: str) -> None:
        """Show what is wrong with the values to try; "" for nothing."""
        self.set_class(bool(message), "-wrong")
        set_text(self.query_one("#over-wrong", Static), message)

    def focus_last(self) -> None:
        """Give the focus to the last line of the values to try, to be edited."""
        area = self.query_one("#over", TextArea)
        area.move_cursor(area.document.end)
        self.call_after_refresh(area.focus)  # once it has its place

    @on(TextArea.Changed, "#over")
    def _post_lines(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(split_lines(event.text_area.text)))
