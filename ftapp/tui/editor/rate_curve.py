"""The learning rate over the steps of a phase, as a small curve without axes."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ftapp.common.dot_plot import DotPlot

_MUTED = "$foreground 60%"


class RateCurve(Widget):
    """Draws the learning rate over the steps of a phase.

    Attributes:
        values: The rates at even distances, none below 0.
        ends: The texts below the left and the right end.
    """

    DEFAULT_CSS = """
    RateCurve { height: 6; width: 1fr; color: $primary; }
    """

    values: reactive[tuple[float, ...]] = reactive(())
    ends: reactive[tuple[str, str]] = reactive(("", ""))

    def render(self) -> Content:
        width, height = self.content_size.width, self.content_size.height - 1
        highest = max(self.values, default=0.0)
        label = f"{highest:.3g} "
        room = width - len(label)
        if room < 4 or height < 1 or not highest:
            return Content("")
        rows = draw_rows(self.values, room, height)
        left, right = self.ends
        labels = {0: label, height - 1: "0 ".rjust(len(label))}
        lines = [Content.assemble((labels.get(index, " " * len(label)), _MUTED), row) for index, row in enumerate(rows)]
        foot = f"{' ' * len(label)}{left}{right.rjust(max(0, room - len(left)))}"
        return Content("\n").join([*lines, Content.styled(foot, _MUTED)])


def draw_rows(values: tuple[float, ...], width: int, height: int) -> list[str]:
    """Draw a line through values at even distances.

    Args:
        values: None of them below 0, and one above.
        width: Of the picture, in cells.
        height: Of the picture, in cells.

    Returns:
        Rows of characters, from the top. The highest value is at the top, 0 at the bottom.
    """
    points = values if len(values) > 1 else values * 2
    plot = DotPlot(width, height, (0, len(points) - 1), (0, max(points)))
    plot.draw_line(range(len(points)), points, "")
    return [row.plain for row in plot.text({})]
