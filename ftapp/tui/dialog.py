"""A dialog that waits for answers while it is open."""

from __future__ import annotations

from textual.screen import ModalScreen, ScreenResultType


class AskingDialog(ModalScreen[ScreenResultType]):
    """A dialog with a worker that asks a helper process, which may answer while the dialog is being left."""

    @property
    def is_left(self) -> bool:
        """Whether the dialog has been left, so that its widgets may be gone."""
        return self not in self.app.screen_stack
