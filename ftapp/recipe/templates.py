"""The template of completion data: how a row of a table becomes the text that a language model reads and continues."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ftapp.common.errors import suggest_nearest

LEARNED_ROLE = "assistant"
"""The role of a chat whose turns the model learns to write."""
ASKING_ROLE = "user"
"""The role that a single prompt of a chat model has."""


class Exchange(NamedTuple):
    """A text, and how a model is to continue it.

    Attributes:
        prompt: The text that is given.
        completion: The text that the model learns to write after it, up to its end token.
    """

    prompt: str
    completion: str


class Turn(NamedTuple):
    """A turn of a chat.

    Attributes:
        role: Who says it, such as "user".
        content: What is said.
    """

    role: str
    content: str


@dataclass(frozen=True)
class Template:
    """A template. What stands before its last placeholder is given to the model, and what follows is learned.

    Attributes:
        text: The text with the placeholders, {prompt} and {completion}, or for turns of a chat {role} and {content}.
        is_chat: Whether it is written for each turn of a chat.
    """

    text: str
    is_chat: bool

    def render(self, prompt: str, completion: str) -> tuple[Exchange, ...]:
        """Render a prompt and its completion."""
        before, after = self._split(prompt)
        return (Exchange(before, completion + after),)

    def render_chat(self, turns: Sequence[Turn]) -> tuple[Exchange, ...]:
        """Render a chat: an exchange for each of the model's turns. Turns behind the last of them are left out."""
        exchanges, given = [], ""
        for turn in turns:
            before, after = self._split(turn.role)
            if turn.role == LEARNED_ROLE:
                exchanges.append(Exchange(given + before, turn.content + after))
                given = ""
            else:
                given += before + turn.content + after
        return tuple(exchanges)

    def render_prompt(self, prompt: str) -> str:
        """Render a prompt that the model is to continue; of a chat the first turn of the user."""
        if not self.is_chat:
            return self._split(prompt)[0]
        before, after = self._split(ASKING_ROLE)
        return before + prompt + after + self._split(LEARNED_ROLE)[0]

    def find_fault(self) -> str | None:
        """Explain what is wrong with the template; None if nothing is."""
        first, last = _PLACEHOLDERS[self.is_chat]
        rule = f"a template has {{{first}}}, and after it {{{last}}} once, as in {_DEFAULTS[self.is_chat]!r}"
        before, found, after = self.text.partition(f"{{{last}}}")
        for name, is_there in ((first, f"{{{first}}}" in self.text), (last, bool(found))):
            if not is_there:
                others = [each for each in re.findall(r"\{(\w+)\}", self.text) if each not in (first, last)]
                close = [each for each in others if suggest_nearest(each, [name]).startswith("did you mean")]
                mend = f"; did you mean {{{name}}} by {{{close[0]}}}?" if close else ""
                return f"{self.text!r} has no {{{name}}}{mend}; {rule}"
        if f"{{{last}}}" in after:
            return f"{self.text!r} has {{{last}}} twice; {rule}"
        if f"{{{first}}}" not in before:
            return f"{self.text!r} has {{{first}}} after {{{last}}}; {rule}"
        return None

    def _split(self, first: str) -> tuple[str, str]:
        """Split the template at its last placeholder, with the first one replaced."""
        name, last = _PLACEHOLDERS[self.is_chat]
        before, _, after = self.text.partition(f"{{{last}}}")
        return before.replace(f"{{{name}}}", first), after.replace(f"{{{name}}}", first)


_PLACEHOLDERS = {False: ("prompt", "completion"), True: ("role", "content")}
_DEFAULTS = {False: "{prompt}{completion}", True: "{role}:\n{content}\n"}


def make_template(text: str | None, *, is_chat: bool) -> Template:
    """Make a template.

    Args:
        text: Its text; None for the usual one.
        is_chat: Whether it is written for each turn of a chat.
    """
    return Template(_DEFAULTS[is_chat] if text is None else text, is_chat)
