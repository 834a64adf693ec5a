"""A small curve of block characters with its highest value and its ends, for what needs no axes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

_BLOCKS = " ▁▂▃▄▅▆▇█"  # by eighths of a row


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
        rows = blocks([value / highest for value in self.values], room, height)
        left, right = self.ends
        lines = [
            Content.assemble((label if index == 0 else "0 ".rjust(len(label)), "$foreground 60%"), row)
            if index in (0, height - 1)
            else Content(" " * len(label) + row)
            for index, row in enumerate(rows)
        ]
        foot = f"{' ' * len(label)}{left}{right.rjust(max(0, room - len(left)))}"
        return Content("\n").join([*lines, Content.styled(foot, "$foreground 60%")])


def blocks(values: Sequence[float], width: int, height: int) -> list[str]:
    """Rows of block characters, from the top, that fill what lies below values from 0 to 1, from left to right."""
    at = [round(column * (len(values) - 1) / max(1, width - 1)) for column in range(width)]
    levels = [round(values[index] * height * 8) for index in at]
    return ["".join(_BLOCKS[min(8, max(0, level - 8 * row))] for level in levels) for row in reversed(range(height))]
