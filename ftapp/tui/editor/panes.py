"""The panes of Configure, and which of them are in sight."""

from __future__ import annotations

import itertools

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from ftapp.tui.editor.augment_pane import AugmentPane
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.model_pane import ModelPane
from ftapp.tui.editor.training_pane import TrainingPane

TITLES = {"layers": "Layers", "training": "Training", "data": "Data", "augment": "Augmentation", "model": "Model"}
"""The titles of the panes by their ids."""


class Panes(Container):
    """The five panes. A narrow screen shows one of them, a medium one two, a wide one all."""

    def __init__(self) -> None:
        super().__init__(id="panes")

    def compose(self) -> ComposeResult:
        yield LayersPane()
        yield TrainingPane()
        yield DataPane()
        yield AugmentPane()
        yield ModelPane()

    @property
    def active(self) -> Widget:
        """The pane that a narrow screen shows."""
        return self.query_one("#panes > .-active", Widget)

    def activate(self, name: str) -> None:
        """Bring a pane into sight. On a medium screen the layers stay, and the pane stands beside them."""
        self._mark("-active", name)
        if name != "layers" or not self.query("#panes > .-beside"):
            self._mark("-beside", name if name != "layers" else "training")

    def _mark(self, mark: str, name: str) -> None:
        """Give a class to one pane alone. It styles the panes, not the hundred widgets that a pane holds."""
        changed = [pane for pane in self.children if pane.has_class(mark) != (pane.id == name)]
        for pane in changed:
            pane.set_class(pane.id == name, mark, update=False)
        self.app.stylesheet.update_nodes(changed, animate=True)

    def find_field(self, name: str) -> Widget | None:
        """Find the first widget of a pane that takes the focus."""
        return find_first_field(self.query_one(f"#panes > #{name}"))


def find_first_field(pane: Widget) -> Widget | None:
    """Find the first widget that takes the focus.

    Args:
        pane: The pane to search.

    Returns:
        The widget, which is displayed; None where the pane has none.
    """
    for widget in pane.walk_children(Widget):
        around = itertools.takewhile(lambda each: each is not pane, widget.ancestors_with_self)
        if widget.focusable and all(each.display for each in around if isinstance(each, Widget)):
            return widget
    return None
