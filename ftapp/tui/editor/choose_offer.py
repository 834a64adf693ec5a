"""The choice of a data source, a pretrained model or a target from a list, by typing a part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ftapp.tui.editor.offers import Offer
from ftapp.tui.widgets.text_line import TextLine, shorten

_NAMES = 34  # columns of the names, which the notes follow


class ChooseOffer(ModalScreen[Offer | None]):
    """A dialog with a list of offers. Its result is the chosen offer, or None after Escape."""

    DEFAULT_CSS = """
    ChooseOffer #sheet {
        width: 110; max-width: 96%; height: auto; max-height: 90%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    ChooseOffer #wanted { background: $panel; margin-bottom: 1; }
    ChooseOffer OptionList, ChooseOffer OptionList:focus { background: $surface; height: auto; max-height: 24; }
    ChooseOffer #keys { color: $text-muted; margin-top: 1; }
    ChooseOffer.-short #sheet { padding: 0 2; }
    ChooseOffer.-short #dialog-title, ChooseOffer.-short #wanted { margin-bottom: 0; }
    ChooseOffer.-short OptionList { max-height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", show=False),
        Binding("down", "move('cursor_down')", show=False),
        Binding("up", "move('cursor_up')", show=False),
        Binding("pagedown", "move('page_down')", show=False),
        Binding("pageup", "move('page_up')", show=False),
    ]
    AUTO_FOCUS = "#wanted"

    def __init__(self, title: str, offers: Sequence[Offer], chosen: str) -> None:
        """Make the dialog.

        Args:
            title: The title.
            offers: The offers.
            chosen: The value of the field, on which the cursor starts.
        """
        super().__init__()
        self._title, self._offers, self._chosen = title, list(offers), chosen
        self._shown: list[Offer] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield Label(self._title, id="dialog-title")
            yield TextLine(id="wanted", placeholder="Type a part of the name")
            found = OptionList()
            found.can_focus = False  # what is typed always goes to the line above
            yield found
            yield Static("Enter chooses, Escape cancels", id="keys")

    def on_resize(self) -> None:
        """List the offers for the new width."""
        self.call_after_refresh(self._list, self._chosen)

    @on(Input.Changed)
    def _narrow(self) -> None:
        self._list()

    def _list(self, chosen: str = "") -> None:
        """List the offers that contain each typed word, with the cursor on that of a value, else on the first."""
        words = self.query_one(TextLine).value.casefold().split()
        self._shown = [
            offer for offer in self._offers if all(word in f"{offer.name} {offer.note}".casefold() for word in words)
        ]
        found = self.query_one(OptionList)
        width = found.scrollable_content_region.width - 2
        found.clear_options()
        found.add_options(Option(_row(offer, width)) for offer in self._shown)
        values = [offer.value for offer in self._shown]
        found.highlighted = values.index(chosen) if chosen in values else 0 if values else None

    def action_move(self, action: str) -> None:
        getattr(self.query_one(OptionList), f"action_{action}")()

    @on(Input.Submitted)
    def _take_highlighted(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._shown[at])

    @on(OptionList.OptionSelected)
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])


def _row(offer: Offer, width: int) -> Content:
    """The name of an offer and its note, in two columns."""
    names = min(_NAMES, width // 2)
    name, note = shorten(offer.name, names - 2, is_path=True), shorten(offer.note, width - names, is_path=False)
    return Content.assemble(name, " " * (names - cell_len(name)), (note, "$foreground 60%"))
