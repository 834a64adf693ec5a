"""The number of examples of each class, as horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from ftapp.tui.widgets import names

_MOST = 12  # bars; the other classes are summed up in words


class ClassBars(Widget):
    """Draws a bar for each class, in proportion to the largest count.

    Attributes:
        counts: The classes with their numbers of examples.
        examples: The number of all examples, of which the shares are. An example may have several classes.
    """

    DEFAULT_CSS = """
    ClassBars { height: auto; }
    """

    counts: reactive[Sequence[tuple[str, int]]] = reactive(tuple, layout=True)
    examples: reactive[int] = reactive(0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._visible_counts()) + (len(self.counts) > _MOST)

    def render(self) -> Content:
        shown = self._visible_counts()
        width = self.content_size.width
        labels = [names.make_visible(label) for label, _ in shown]
        edge = min(names.measure_longest(labels), max(6, width // 3))
        room = max(1, width - edge - 17)
        largest = max((count for _, count in shown), default=1)
        lines = []
        for label, (_, count) in zip(labels, shown, strict=True):
            length = max(1 if count else 0, round(room * count / max(1, largest)))
            numbers = f"{count:>8,} {count / max(1, self.examples):>6.1%}"
            lines.append(
                Content.assemble(
                    (f"{names.fit(label, edge)} ", "$foreground 60%"),
                    ("━" * length, "$primary"),
                    (" " * (room - length), ""),
                    (numbers, "$foreground 60%"),
                )
            )
        if rest := [count for _, count in self.counts[_MOST:]]:
            words = f"and {len(rest):,} more of {min(rest):,} to {max(rest):,}"
            lines.append(Content.styled(words, "$foreground 60%"))
        return Content("\n").join(lines)

    def _visible_counts(self) -> Sequence[tuple[str, int]]:
        return self.counts[:_MOST]
