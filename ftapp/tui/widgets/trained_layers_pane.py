"""The layers of a run that train, with their drift."""

from __future__ import annotations

from functools import partial

from rich.table import Table
from rich.text import Text
from textual.content import Content

from ftapp.runs.history import History
from ftapp.tui.widgets.pane import Pane

_BLOCK = 2  # characters at the end of a layer's path's first part that are always shown: the block's number


class TrainedLayersPane(Pane):
    """Shows which layers train, and their drift from the start, ||W - W0|| / ||W0||."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Layers that train", id=id)
        self._shown: object = None

    def show(self, history: History) -> None:
        """Show the layers of the latest phase, with their drift once it was measured."""
        self._again = partial(self.show, history)
        if not history.phases:
            return
        phase = history.phases[-1]
        drift = next((each for each in reversed(history.drifts) if each.phase == phase.phase), None)
        changes = len(history.layer_changes)
        if self._shown == (shown := (phase.phase, changes, drift and drift.time, self.size.width)):
            return
        self._shown = shown
        frozen = f", {history.model.layers - len(phase.trainable_layers)} frozen" if history.model else ""
        self.border_title = "Drift of the layers that train" if drift else "Layers that train"
        self.border_subtitle = Content(f"{len(phase.trainable_layers)} train{frozen}")
        values = [drift.since_start.get(path) if drift else None for path in phase.trainable_layers]
        most = max((value for value in values if value is not None), default=0.0) or 1.0
        room = max(24, self.size.width - 4)
        longest = max(map(len, phase.trainable_layers), default=0)
        names = min(longest, room - 15)
        width = max(4, room - names - 9)
        table = Table.grid(padding=(0, 1, 0, 0))
        for path, value in zip(phase.trainable_layers, values, strict=True):
            filled = 0 if value is None else round(width * value / most)
            bar = Text.assemble(("━" * filled, self.color("primary")), ("━" * (width - filled), self.color("panel")))
            number = Text("" if value is None else _two_digits(value), self.color("secondary"), justify="right")
            table.add_row(Text(shorten_path(path, names)), *([bar, number] if drift else []))
        self.put(table)


def _two_digits(value: float) -> str:
    """Format a number with two digits, also where the second is 0: 0.80, 1.4, 32."""
    return f"{value:#.2g}".rstrip(".")


def shorten_path(path: str, width: int) -> str:
    """Shorten the path of a layer. The ends of its first and its last part are kept, since they distinguish layers.

    Args:
        path: The path.
        width: The width in characters.
    """
    if len(path) <= width:
        return path
    first, *_, last = path.split("/") if "/" in path else ("", path)
    if not first:
        return f"…{path[-width + 1 :]}"
    room = max(min(len(first), _BLOCK), width - len(last) - 2)
    name = f"{first if len(first) <= room else f'…{first[-room:]}'}/"
    room = width - len(name)
    return name + (last if len(last) <= room else f"…{last[-room + 1 :]}")
