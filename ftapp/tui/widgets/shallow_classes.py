"""Classes that change how a few widgets look, and not the hundred that these hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.widget import Widget


def update_classes(widget: Widget, classes: Mapping[str, bool], further: Iterable[Widget] = ()) -> None:
    """Add and remove classes of a widget, and style the widget and its children anew.

    Textual would style all that is below the widget.

    Args:
        widget: The widget.
        classes: Whether the widget has a class, by name. Rules with these classes are about the widget, its children
            and the further widgets alone.
        further: Widgets farther below that such rules are about.
    """
    former = widget.classes
    widget.update_classes(classes, update=False)
    if widget.classes != former:
        widget.app.stylesheet.update_nodes([widget, *widget.children, *further], animate=True)
