"""The references and the interface's page hold: they name every key, event, command and screen."""

from __future__ import annotations

import importlib
import pkgutil
import re
import typing

import pytest

import command_reference
import event_reference
import ftapp.tui
import recipe_reference
import screens
from ftapp.recipe import Augment, Data, Model, Phase, Recipe, Section
from ftapp.runs import events
from ftapp.tui.page import Page
from tests.support.documents import page


def test_recipe_reference_has_every_key_with_its_meaning() -> None:
    text = recipe_reference.make_page()
    sections: dict[str, type[Section]] = {
        "model": Model,
        "data": Data,
        "augment": Augment,
        "phase": Phase,
        "top": Recipe,
    }
    for name, section in sections.items():
        part = text.partition(f"{{#{name}}}")[2].partition("\n## ")[0]
        rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", part, re.MULTILINE))
        assert {key for key, info in section.model_fields.items() if info.description} - {
            "finding",
            "phase",
        } <= rows.keys(), name
        assert all(rows.values()), name
    assert "| `batch_size` | whole number from 1 to 65,536 | `32` |" in text
    assert "| `dropout` | number from 0 to below 1 | `0` |" in text
    assert "| `seed` | whole number from 0 to below 2^31 | `0` |" in text


def test_event_reference_has_every_event_with_its_fields() -> None:
    text = event_reference.make_page()
    for event in typing.get_args(events.AnyEvent):
        part = text.partition(f"## `{event.__struct_config__.tag}` ")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        assert rows == [name for name in event.__struct_fields__ if name != "time"]


@pytest.mark.parametrize(
    "docstring",
    [
        "What it is.\n\none: a number; two, three: others.",
        "What it is.\n\nAttributes:\n    one: A number.\n    two, three:\n        Others.\n",
    ],
)
def test_docstrings_explain_fields(docstring: str) -> None:
    about, meanings = event_reference.split_docstring(docstring, ["one", "two", "three", "four"])
    assert about == "What it is."
    assert meanings == {"one": "A number", "two": "Others", "three": "Others"}


def test_command_reference_has_every_command() -> None:
    text = command_reference.make_page()
    headings = re.findall(r"^## ftapp (.+)$", text, re.MULTILINE)
    assert headings == [" ".join(words) for words in command_reference.list_commands()]
    assert {"run", "queue", "queue add", "serve-model"} <= set(headings)


def test_interface_page_shows_every_screen_with_its_keys() -> None:
    for module in pkgutil.walk_packages(ftapp.tui.__path__, "ftapp.tui."):
        importlib.import_module(module.name)
    kinds, found = [Page], set()
    while kinds:
        kinds += (subclasses := kinds.pop().__subclasses__())
        found |= {kind for kind in subclasses if kind.__module__.startswith("ftapp.") and kind.body is not Page.body}
    assert {screens.find_screen(name) for name in screens.ASKED.findall(page("interface"))} == found
    text = screens.insert_screens(page("interface"))
    assert not screens.ASKED.search(text)
    assert "| `c` | Compare the marked runs |" in text
    assert "| `/` | Search |" in text
