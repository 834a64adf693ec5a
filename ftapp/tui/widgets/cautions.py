"""Warnings about a recipe or a run, in a few lines; hidden where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from ftapp.common.formatting import make_printable
from ftapp.recipe.cautions import Caution
from ftapp.tui.widgets.texts import set_text

_MOST = 3  # that are shown; the others are counted


class Cautions(Static):
    """Shows warnings, the most important first."""

    DEFAULT_CSS = """
    Cautions { display: none; height: auto; max-height: 6; padding: 0 1; color: $text-warning; }
    Cautions.-any { display: block; }
    """

    def show(self, cautions: Sequence[Caution]) -> None:
        """Replace the warnings."""
        self.set_class(bool(cautions), "-any")
        lines = [f"! {make_printable(str(caution))}" for caution in cautions[:_MOST]]
        if len(cautions) > _MOST:
            lines.append(f"! and {len(cautions) - _MOST} more")
        # As content, since a caution may quote text that looks like markup.
        set_text(self, Content("\n".join(lines)))
