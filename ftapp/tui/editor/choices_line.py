"""The line of Configure that chooses a profile and a phase, and counts the changes."""

from __future__ import annotations

from contextlib import suppress

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Label, Static

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import format_quantity
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.phase_chips import PhaseChips
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.texts import set_text

_NO_PROFILE = "none"


class ChoicesLine(Horizontal):
    """Shows the profile of a draft, its phases and the number of its changes."""

    class ProfileChosen(Message):
        """The user chose a profile; None stands for the recipe's own values."""

        def __init__(self, profile: str | None) -> None:
            super().__init__()
            self.profile = profile

    def __init__(self) -> None:
        super().__init__(id="choices")

    def compose(self) -> ComposeResult:
        yield Label("Profile")
        yield Dropdown([_NO_PROFILE], id="profile")
        yield PhaseChips()
        yield Static(id="changes", markup=False)

    def show(self, form: Form) -> None:
        """Show the phases of a form and how many changes it has."""
        self.query_one(PhaseChips).show(form.phases, form.phase)
        count = len(form.draft.changes)
        set_text(self.query_one("#changes", Static), format_quantity(count, "change") if count else "")

    def offer_profiles(self, draft: Draft) -> None:
        """Let the user choose from the profiles of the draft's file."""
        names: list[str] = []
        with suppress(RecipeError):
            names = recipe.list_profiles(draft.path)
        choice = self.query_one("#profile", Dropdown)
        choice.choices = (*names, _NO_PROFILE)
        choice.value = draft.profile or _NO_PROFILE

    @on(Dropdown.Changed)
    def _choose(self, event: Dropdown.Changed) -> None:
        event.stop()
        self.post_message(self.ProfileChosen(None if event.value == _NO_PROFILE else event.value))
