"""Updates of texts that rarely change."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.content import Content
from textual.widgets import Static

from ftapp.tui.widgets.texts import set_text


@pytest.mark.parametrize("other", ["b", Content("b"), Content.styled("a", "bold"), Content.styled("a", "$primary")])
async def test_a_text_is_replaced_by_one_of_other_words_or_of_another_style(other: str | Content) -> None:
    async with App[None]().run_test() as pilot:
        place, first, equal = Static(), Content.styled("a", "$error"), Content.styled("a", "$error")
        await pilot.app.mount(place)
        set_text(place, first)
        set_text(place, equal)
        assert place.content is first
        set_text(place, other)
        assert place.content is other
