"""The names of a recipe's phases on one line, each to be clicked. The chosen one is in sight."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.containers import Horizontal
from textual.events import Click, Resize
from textual.message import Message
from textual.widgets import Label, Static


class PhaseChips(Horizontal):
    """Shows the names of several phases; a single phase is not named."""

    class Clicked(Message):
        """The user clicked the name of a phase."""

        def __init__(self, phase: str) -> None:
            super().__init__()
            self.phase = phase

    def __init__(self) -> None:
        super().__init__(id="phases")

    def show(self, phases: Sequence[str], chosen: str) -> None:
        """Show the phases.

        Args:
            phases: Their names, in order.
            chosen: The name of the phase that the panes show.
        """
        names = list(phases) if len(phases) > 1 else []
        if [chip.phase for chip in self.query(_Chip)] != names:
            self.remove_children()
            self.mount_all([*[Label("Phase")] * bool(names), *map(_Chip, names)])
        for chip in self.query(_Chip):
            chip.set_class(chip.phase == chosen, "-here")
        self.call_after_refresh(self._scroll_to_chosen)

    @on(Resize)
    def _scroll_to_chosen(self) -> None:
        for chip in self.query(".-here"):
            self.scroll_to_widget(chip, animate=False, force=True)

    @on(Click, ".phase")
    def _click(self, event: Click) -> None:
        if isinstance(event.widget, _Chip):
            self.post_message(self.Clicked(event.widget.phase))


class _Chip(Static):
    """The name of one phase."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase, classes="phase", markup=False)
        self.phase = phase
