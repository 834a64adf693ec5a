"""What the interface says of its screens: the text of their help and their keys, for the page about the interface.

A page writes `<!-- screen NAME -->`, where NAME is a module of `ftapp.tui`, such as screens.runs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from textual.binding import Binding
from textual.keys import key_to_character

from ftapp.tui.page import Page

ASKED = re.compile(r"^<!-- screen ([\w.]+) -->$", re.MULTILINE)
_NAMED = {"space": "space", "enter": "Enter", "escape": "Escape", "question_mark": "?", "slash": "/"}


def insert_screens(markdown: str) -> str:
    """Insert the help and the keys of the screens that a page asks for."""
    return ASKED.sub(lambda asked: _describe(find_screen(asked[1])), markdown)


def find_screen(module: str) -> type[Page]:
    """Find the screen of a module.

    Raises:
        LookupError: If the module has none.
    """
    found = vars(importlib.import_module(f"ftapp.tui.{module}")).values()
    for value in found:
        if isinstance(value, type) and issubclass(value, Page) and value.__module__.endswith(f".{module}"):
            return value
    raise LookupError(f"no screen in ftapp.tui.{module}")


def _describe(screen: type[Page]) -> str:
    _, _, text = (screen.HELP or "").strip().partition("\n")
    return f"{text.strip()}\n\n| key | what it does |\n|---|---|\n" + "\n".join(dict.fromkeys(_rows(screen)))


def _rows(screen: type[Page]) -> Iterator[str]:
    for binding in screen.BINDINGS:
        if isinstance(binding, Binding) and (binding.show or binding.description):
            keys = binding.key_display or " ".join(_format_key(key) for key in binding.key.split(","))
            yield f"| `{keys}` | {binding.tooltip or binding.description} |"


def _format_key(key: str) -> str:
    """Format a key as a person reads it, such as { for left_curly_bracket."""
    *modifiers, name = key.split("+")
    return "+".join([*modifiers, _NAMED.get(name) or key_to_character(name) or name])
