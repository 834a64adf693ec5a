"""Which panes of a screen have the focus inside."""

from __future__ import annotations

from textual.widget import Widget


def mark_focused_panes(widget: Widget) -> None:
    """Give the class `-focused` to the panes around the widget that has the focus, and to no others of its screen.

    Only the panes that change get new styles.

    Args:
        widget: A widget that has taken or left the focus, and may have been removed since.
    """
    if not widget.is_attached:
        return
    screen = widget.screen
    around = screen.focused.ancestors_with_self if screen.focused else ()
    panes = [each for each in screen.walk_children(Widget) if each.has_class("pane")]
    changed = [pane for pane in panes if pane.has_class("-focused") != (pane in around)]
    for pane in changed:
        pane.set_class(pane in around, "-focused", update=False)
    screen.app.stylesheet.update_nodes(changed, animate=True)
