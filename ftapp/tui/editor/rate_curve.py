"""A small curve drawn as a line, with its highest value and its ends, for what needs no axes."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ftapp.common.braille import Canvas

_MUTED = "$foreground 60%"


class Curve(Widget):
    """values: at even distances, none below 0; ends: what stands below the left and the right end."""

    DEFAULT_CSS = """
    Curve { height: 6; width: 1fr; color: $primary; }
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
        rows = drawn(self.values, room, height)
        left, right = self.ends
        labels = {0: label, height - 1: "0 ".rjust(len(label))}
        lines = [Content.assemble((labels.get(index, " " * len(label)), _MUTED), row) for index, row in enumerate(rows)]
        foot = f"{' ' * len(label)}{left}{right.rjust(max(0, room - len(left)))}"
        return Content("\n").join([*lines, Content.styled(foot, _MUTED)])


def drawn(values: tuple[float, ...], width: int, height: int) -> list[str]:
    """Rows of characters, from the top, with a line through values that are not below 0, the highest of them above."""
    points = values if len(values) > 1 else values * 2
    canvas = Canvas(width, height, (0, len(points) - 1), (0, max(points)))
    canvas.line(range(len(points)), points, "")
    return [row.plain for row in canvas.text({})]
