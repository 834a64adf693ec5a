"""The pane of the model: the size of its input, its preset, and the new layers on top."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from ftapp.recipe import TASKS
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.widgets import shallow_classes


class ModelPane(VerticalScroll, can_focus=False):
    """Fields of [model]. The size of the input comes first, since it matters most for cost and quality."""

    DEFAULT_CSS = """
    ModelPane > .for-images, ModelPane > .for-texts, ModelPane > .for-classes { display: none; height: auto; }
    ModelPane.-images > .for-images, ModelPane.-texts > .for-texts { display: block; }
    ModelPane.-classes > .for-classes { display: block; }
    ModelPane > .section { color: $foreground; text-style: bold; margin-top: 1; height: 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="model", classes="pane")
        self.border_title = "Model"

    def compose(self) -> ComposeResult:
        yield Vertical(FieldLine("model.image_size", empty="height, width"), classes="for-images")
        yield Vertical(FieldLine("model.sequence_length"), classes="for-texts")
        yield FieldLine("model.preset")
        yield Vertical(
            FieldLine("model.features", empty="the backbone's output"),
            FieldLine("model.pooling"),
            classes="for-images",
        )
        yield Static("New layers", classes="section for-classes")
        yield Vertical(
            FieldLine("model.normalize"),
            FieldLine("model.hidden", "hidden layers", empty="none"),
            FieldLine("model.dropout"),
            FieldLine("model.head", id="heads"),
            FieldLine("model.label_smoothing"),
            classes="for-classes",
        )

    def show(self, form: Form) -> None:
        """Show the fields that suit the task."""
        task = TASKS.get(form.task)
        shallow_classes.update_classes(
            self,
            {
                "-images": task is not None and task.inputs == "images",
                "-texts": task is None or task.inputs == "texts",
                "-classes": task is None or bool(task.heads),
            },
        )
        if task is not None and task.heads:
            self.query_one("#heads", FieldLine).offer(task.heads)
