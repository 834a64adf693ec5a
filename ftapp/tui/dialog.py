"""A dialog that works while it is open."""

from __future__ import annotations

from textual.await_remove import AwaitRemove
from textual.screen import ModalScreen, ScreenResultType


class WorkingDialog(ModalScreen[ScreenResultType]):
    """A dialog with workers, which end when it is left."""

    def remove(self) -> AwaitRemove:
        self.workers.cancel_node(self)  # before their widgets go
        return super().remove()
