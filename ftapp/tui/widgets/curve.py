"""A small curve in Braille dots with its highest value and its ends, for what needs no axes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

# Bits of the dots of a Braille character, by column and row (Unicode 16, block U+2800).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


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
        rows = braille([value / highest for value in self.values], room, height)
        left, right = self.ends
        lines = [
            Content.assemble((label if index == 0 else "0 ".rjust(len(label)), "$text-muted"), row)
            if index in (0, height - 1)
            else Content(" " * len(label) + row)
            for index, row in enumerate(rows)
        ]
        foot = f"{' ' * len(label)}{left}{right.rjust(max(0, room - len(left)))}"
        return Content("\n").join([*lines, Content.styled(foot, "$text-muted")])


def braille(values: Sequence[float], width: int, height: int) -> list[str]:
    """Rows of Braille characters, from the top, that draw values from 0 to 1 from left to right."""
    cells = [[0] * width for _ in range(height)]
    dots = height * 4 - 1
    before: int | None = None
    for x in range(width * 2):
        value = values[min(len(values) - 1, round(x * (len(values) - 1) / (width * 2 - 1)))]
        y = round((1 - value) * dots)
        # A steep course is drawn as a line without gaps.
        for row in range(min(y, y if before is None else before), max(y, y if before is None else before) + 1):
            cells[row // 4][x // 2] |= _DOTS[x % 2][row % 4]
        before = y
    return ["".join(chr(0x2800 + cell) for cell in row) for row in cells]
