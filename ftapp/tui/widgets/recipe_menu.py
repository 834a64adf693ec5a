"""The list of recipes, grouped by task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ftapp.tui.catalog import RecipeEntry

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_MUTED = "$foreground-muted"


class RecipeMenu(OptionList):
    """Lists recipes below the headings of their groups. Its Enter is in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Configure")]

    app: FtApp

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse Enter to people who may only look."""
        return action != "select" or self.app.person.find_obstacle("use") is None

    @property
    def current(self) -> str | None:
        """The path of the highlighted recipe."""
        return self.highlighted_option.id if self.highlighted_option else None

    def show(self, entries: Sequence[RecipeEntry], wanted: Path | None, *, empty: str) -> None:
        """List recipes.

        Args:
            entries: The recipes, in order.
            wanted: The path of the recipe to highlight; the first recipe where it is not listed.
            empty: What to say where there are no recipes.
        """
        options: list[Option | None] = []
        group = None
        for entry in entries:
            if entry.group != group:
                if group is not None:
                    options.append(Option("", disabled=True))
                group = entry.group
                options.append(Option(Content.styled(group, _MUTED), disabled=True))
            label = Content.assemble("  ", entry.path.stem if entry.bundled else entry.name)
            broken = Content.styled("  broken", "$error") if entry.problems else ""
            options.append(Option(Content.assemble(label, broken), id=str(entry.path)))
        if not entries:
            options = [Option(Content(f"  {empty}"), disabled=True)]
        self.set_options(options)
        if entries:
            paths = [entry.path for entry in entries]
            self.highlighted = self.get_option_index(str(wanted if wanted in paths else paths[0]))
