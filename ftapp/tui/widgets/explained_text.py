"""A text whose words are shaded by what they say for an answer."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ftapp.common.formatting import make_printable
from ftapp.common.word_shades import find_word_style
from ftapp.runs.explanations import Explanation
from ftapp.tui.widgets import names


class ExplainedText(VerticalScroll, can_focus=False):
    """Shows the words of a text, what their colours mean, and what is being done until they are there."""

    DEFAULT_CSS = """
    ExplainedText { height: 1fr; border-top: solid $foreground 20%; display: none; }
    ExplainedText.-shown { display: block; }
    """

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def say(self, text: str, style: str = "$foreground-muted") -> None:
        """Show a sentence in the place of a text."""
        self.query_one(Static).update(Content.styled(text, style))

    def show(self, found: Explanation) -> None:
        """Show a text."""
        self.query_one(Static).update(Content.assemble(*_describe_colors(found), "\n", *_shade(found)))


def _describe_colors(found: Explanation) -> Iterable[tuple[str, str]]:
    """Describe what the colours mean, on one line."""
    label = names.make_visible(found.label)
    speaks = (f" for {label} ", f" against {label} ") if label else (" raises the number ", " lowers the number ")
    yield speaks[0], find_word_style(1.0)
    yield " ", ""
    yield speaks[1], find_word_style(-1.0)


def _shade(found: Explanation) -> Iterable[tuple[str, str]]:
    for word, (text, shade) in zip(found.words, found.shades, strict=True):
        piece = make_printable(text)
        inside = piece.lstrip()
        yield piece[: len(piece) - len(inside)], ""
        yield inside, "$foreground-muted" if word.share is None else find_word_style(shade)
