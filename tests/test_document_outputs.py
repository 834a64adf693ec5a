"""The outputs of commands in the documents: pages get those that they ask for, and quote what is in them."""

from __future__ import annotations

import re

import pytest

import outputs
from tests.support.documents import PAGES, blocks


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if "\n<!-- output -->\n" in text])
def test_outputs_that_pages_ask_for_can_be_shown(name: str) -> None:
    shown = outputs.insert_outputs(PAGES[name])
    assert "\n<!-- output -->\n" not in shown
    assert shown.count("```text\n") == PAGES[name].count("\n<!-- output -->\n")


def test_quotes_of_outputs_are_in_the_outputs() -> None:
    quotes = 0
    for text in PAGES.values():
        if "\n<!-- output -->\n" in text:
            printed = "".join(blocks("text", outputs.insert_outputs(text)))
            for quote in re.findall(r"^- `([^`]+)`[:,]", text, re.MULTILINE):
                assert quote in printed
                quotes += 1
    assert quotes > 5
