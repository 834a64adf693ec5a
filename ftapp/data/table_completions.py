"""Prompts with completions, and chats, in the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from ftapp.common.errors import quote
from ftapp.common.formatting import join_names
from ftapp.data import table_texts
from ftapp.data.completions import Exchanges
from ftapp.data.examples import DataProblems
from ftapp.data.table_labels import KINDS, LEAVE_OUT
from ftapp.data.table_rows import TableRow
from ftapp.data.texts import prepare
from ftapp.recipe import Data
from ftapp.recipe.templates import LEARNED_ROLE, Turn

_TURN = '{"role": …, "content": …}'


def name_columns(spec: Data) -> dict[str, str]:
    """Name the columns that hold the examples: column -> the recipe's key that names it."""
    if spec.chat_column is not None:
        return {spec.chat_column: "data.chat_column"}
    return {spec.prompt_column: "data.prompt_column", spec.completion_column: "data.completion_column"}


def read(rows: Sequence[TableRow], spec: Data, findings: DataProblems) -> list[Exchanges]:
    """Read and render the examples of a table.

    Args:
        rows: The rows.
        spec: The recipe's [data].
        findings: Gets a problem for each row without an example, unless such rows are left out.

    Returns:
        The exchanges of each row; empty where there are none.
    """
    template = spec.prompt_template
    if spec.chat_column is not None:
        chats = (_read_chat(row, spec.chat_column, spec, findings) for row in rows)
        return [template.render_chat(turns) for turns in chats]
    prompts = table_texts.read(rows, "prompt_column", spec, findings, name="prompt")
    # A completion may be any word, such as None.
    completions = table_texts.read(rows, "completion_column", spec, findings, name="completion", missing=frozenset())
    return [
        template.render(prompt, completion) if prompt and completion else ()
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _read_chat(row: TableRow, column: str, spec: Data, findings: DataProblems) -> list[Turn]:
    """Read the turns of a chat; none where it cannot be used."""
    value = row.values.get(column)
    if not value and (value is None or isinstance(value, list | str)):
        if not spec.skip_incomplete:
            findings.add(
                row.file, f"there is no chat; each example has one; {LEAVE_OUT}", "data.chat_column", row.place
            )
        return []
    found = _check_turns(value)
    if isinstance(found, str):
        findings.add(row.file, found, "data.chat_column", row.place)
        return []
    roles = list(dict.fromkeys(turn.role for turn in found))
    if LEARNED_ROLE not in roles:
        said = f"no turn has the role '{LEARNED_ROLE}', on which the loss is; the roles are {join_names(roles)}"
        if not spec.skip_incomplete:
            findings.add(row.file, f"{said}; {LEAVE_OUT}", "data.chat_column", row.place)
        return []
    return found


def _check_turns(value: object) -> list[Turn] | str:
    """Check the turns of a chat; return what is wrong in words."""
    if not isinstance(value, list):
        kind = "a text" if isinstance(value, str) else KINDS.get(type(value).__name__, "a number")
        return f"the chat is {kind}; a chat is a list of turns, {_TURN}"
    turns = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, dict) or not {"role", "content"} <= set(turn):
            got = f"has the keys {join_names(list(turn))}" if isinstance(turn, dict) else f"is {quote(turn)}"
            return f"turn {number} of the chat {got}; each turn is {_TURN}"
        role, content = turn["role"], turn["content"]
        if not isinstance(role, str) or not role.strip():
            return f"turn {number} of the chat has the role {quote(role)}; a role is a word, such as '{LEARNED_ROLE}'"
        if not isinstance(content, str):
            return f"turn {number} of the chat has the content {quote(content)}; the content is a string"
        if role == LEARNED_ROLE and not content.strip():
            return f"turn {number} of the chat, which the model is to learn, is empty; it has words"
        turns.append(Turn(prepare(role), prepare(content)))
    return turns
