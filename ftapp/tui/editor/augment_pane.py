"""The pane of the augmentation: its fields, and a preview of augmented images or texts."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Label, Static, Switch

from ftapp.recipe import TASKS, Augment
from ftapp.rpc.messages import Grid, Rewritten, Span
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.widgets import shallow_classes
from ftapp.tui.widgets.pictures import Pictures, fit_width

VIEWS = 4
"""The number of augmented views of each image in the preview."""
_PICTURE, _LEAST = 20, 14  # columns of a picture at most and at least; views with less room take several rows
_TEXT = 240  # characters of a text that are shown
_STYLES = {"": "", "left out": "$error strike", "moved": "$primary underline"}


class AugmentPane(VerticalScroll, can_focus=False):
    """Fields of [augment], a switch for the whole table, and a grid of images, the unchanged ones first."""

    DEFAULT_CSS = """
    AugmentPane > #why-none { display: none; color: $text-muted; }
    AugmentPane.-none > * { display: none; }
    AugmentPane.-none > #why-none { display: block; }
    AugmentPane > #use { height: 1; }
    AugmentPane > #use Label { width: 17; color: $text-muted; }
    AugmentPane > #use Switch, AugmentPane > #use Switch:focus {
        border: none; padding: 0 1; height: 1; background: $surface;
    }
    AugmentPane > #use Switch:focus { background: $panel; background-tint: $background 0%; }
    AugmentPane > #use .switch--slider { color: $foreground 40%; background: $border; }
    AugmentPane > #use .-on .switch--slider { color: $primary; }
    AugmentPane > Vertical { height: auto; }
    AugmentPane.-off > #augment-fields { display: none; }
    AugmentPane.-texts > Pictures { display: none; }
    AugmentPane.-texts.-off > #grid-state, AugmentPane.-off > #rewritten { display: none; }
    AugmentPane > #rewritten { height: auto; }
    AugmentPane > #grid-state { color: $text-muted; height: auto; margin: 1 0; }
    AugmentPane > #rewritten.-stale { opacity: 40%; }
    """

    class Used(Message):
        """The user switched augmentation on or off."""

        def __init__(self, used: bool) -> None:
            super().__init__()
            self.used = used

    def __init__(self) -> None:
        super().__init__(id="augment", classes="pane")
        self.border_title = "Augmentation"
        self._grid: Grid | None = None

    def compose(self) -> ComposeResult:
        yield Static("Augmentation is for classifiers. This recipe trains a language model.", id="why-none")
        with Horizontal(id="use"):
            yield Label("augment")
            yield Switch(animate=False)
        with Vertical(id="augment-fields"):
            for name in Augment.model_fields:
                yield FieldLine(f"augment.{name}")
        yield Static(id="grid-state", markup=False)
        yield Pictures()
        yield Static(id="rewritten")

    def show(self, form: Form) -> None:
        """Show the fields that suit the task, or why there are none."""
        task = TASKS.get(form.task)
        used = form.value("augment") is not None
        shallow_classes.update_classes(
            self,
            {
                "-none": task is None or not task.augmentations,
                "-texts": task is not None and task.inputs == "texts" and bool(task.augmentations),
                "-off": not used,
            },
        )
        with self.prevent(Switch.Changed):
            self.query_one(Switch).value = used

    def wait(self, message: str | Content) -> None:
        """Show a message. The last preview stays."""
        self.query_one("#grid-state", Static).update(message)

    def mark_stale(self, message: str) -> None:
        """Make the preview faint, since it is of another draft, and show a message."""
        self.query_one("#rewritten").add_class("-stale")
        self.query_one(Pictures).dim(True)
        self.wait(message)

    def _mark_fresh(self) -> None:
        self.query_one("#rewritten").remove_class("-stale")
        self.query_one(Pictures).dim(False)

    def know(self, grid: Grid) -> None:
        """Show images with their augmented views."""
        self._mark_fresh()
        self._grid = grid
        views = len(grid.rows[0]) - 1 if grid.rows else 0
        if views:
            self.wait("Images, and how they may look in training")
        else:
            off = self.has_class("-off")
            self.wait(
                "Images as the model sees them"
                if off
                else "Images as the model sees them: every change is 0, so none changes"
            )
        self.call_later(self._draw)  # by the pane itself, one time after another, whatever ends who asks

    def know_texts(self, texts: Sequence[Rewritten]) -> None:
        """Show texts before and after augmentation."""
        self._mark_fresh()
        left_out, moved = (Content.styled(mark, _STYLES[mark]) for mark in ("left out", "moved"))
        self.wait(Content.assemble("Texts, and how they may look in training; tokens are ", left_out, " or ", moved))
        lines = []
        for text in texts:
            lines.append(Content.styled(text.label, "bold"))
            lines += [_mark_spans("before", text.before), _mark_spans("after", text.after), Content()]
        self.query_one("#rewritten", Static).update(Content("\n").join(lines))

    async def _draw(self) -> None:
        if self._grid and self._grid.rows and self.query(Pictures):  # a screen that is being left has none
            shown = list(self._grid.rows)
            if len(shown[0]) == 1:  # images as they are stand beside each other
                shown = [tuple(row[0] for row in shown)]
            count = len(shown[0])
            lines = -(-count // max(1, self.content_size.width // (_LEAST + 1)))
            across = -(-count // lines)
            rows = [
                [(file, "") for file in row[start : start + across]]
                for row in shown
                for start in range(0, count, across)
            ]
            await self.query_one(Pictures).show(rows, fit_width(self, across, _PICTURE))

    async def on_resize(self) -> None:
        await self._draw()

    @on(Switch.Changed, "#use Switch")
    def _use(self, event: Switch.Changed) -> None:
        event.stop()
        self.post_message(self.Used(event.value))


def _mark_spans(name: str, spans: Sequence[Span]) -> Content:
    """Mark the spans of a text, and cut the text."""
    text = Content()
    for span in spans:
        word = span.text.lstrip()  # the space before it bears no mark
        text += Content(span.text[: len(span.text) - len(word)]) + Content.styled(word, _STYLES[span.mark])
    start = len(text.plain) - len(text.plain.lstrip())
    cut = text[start : start + _TEXT]
    more = "…" if len(text) > start + _TEXT else ""
    return Content.assemble((f"{name:<8}", "$foreground 60%"), cut, more)
