"""Changes to a draft that make it a sweep: the option, and the values to try as lines `key = values`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftapp.common.errors import Problem, RecipeError
from ftapp.experiments.options import Options
from ftapp.experiments.sweep import search
from ftapp.experiments.sweep.check_values import check_value, find_rule_problems
from ftapp.recipe import parse_value
from ftapp.recipe.raw_tables import flatten_tables
from ftapp.recipe.spaces import propose_space
from ftapp.recipe.structure import Structure
from ftapp.recipe.toml_text import format_value
from ftapp.tui.editor.draft import OVER, Draft

if TYPE_CHECKING:
    from ftapp.recipe.files import RecipeWithArms
    from ftapp.tui.editor.edits import Form
    from ftapp.tui.editor.fields import Field

KEY = OVER.removesuffix(".")
"""The key of the table of the values to try."""
NO_ARM = "the recipe"


def set_option(options: Options, name: str, value: Any) -> Options:
    """Set an option of an experiment. A sweep repeats by its own keys, and has no control.

    Args:
        options: The options.
        name: The name of one.
        value: Its new value, as the form has it.
    """
    if name == "arm":
        return replace(options, arm=None if value == NO_ARM else value)
    if name == "sweep":
        return Options(jobs=options.jobs, sweep=True) if value else replace(options, sweep=False, arm=None)
    made: dict[str, Any] = {name: value if isinstance(value, bool) else int(value)}
    return replace(options, **made)


def make_search(draft: Draft, loaded: RecipeWithArms) -> search.Search | None:
    """Make what a draft searches; None where it is no sweep.

    Args:
        draft: The draft.
        loaded: Its recipe.

    Raises:
        RecipeError: The search is not valid; the keys are those of the form.
    """
    if not draft.options.sweep:
        return None
    try:
        search.check_optuna()
        return search.make_search(loaded, draft.options.arm, draft.path)
    except RecipeError as error:
        raise RecipeError(name_keys(error.problems)) from None


def find_unfit_rules(found: search.Search | None, structure: Structure) -> list[Problem]:
    """Find values to try that name layers which the recipe's model does not have.

    Args:
        found: What is searched, if anything.
        structure: The layers of the recipe's model.
    """
    return name_keys(find_rule_problems(found, structure)) if found else []


def name_keys(problems: Sequence[Problem]) -> list[Problem]:
    """Name the keys of the table [sweep] in the place of options of the command line."""
    return [Problem("", f"{OVER}{each.key}", each.message) if each.file == "--over" else each for each in problems]


def list_lines(tables: Mapping[str, Any]) -> list[str]:
    """List the values to try of raw tables as lines.

    Args:
        tables: The tables of a recipe, valid or not.
    """
    sweep = tables.get("sweep")
    over = sweep.get("over") if isinstance(sweep, Mapping) else None
    flat = flatten_tables(over) if isinstance(over, Mapping) else {}
    return [make_line(key, values) for key, values in flat.items()]


def make_line(key: str, values: Any) -> str:
    """Write a key with its values to try as a line."""
    text = values if isinstance(values, str) else format_value(values)
    return f"{key} = {text}" if text else key


def search_field(form: Form, field: Field) -> Draft:
    """Make a form a sweep that searches a field too, around its value.

    Args:
        form: The form.
        field: The field, which can be searched.
    """
    key, lines = form.key(field.key), list_lines(form.tables)
    value = form.value(key)
    choices = field.choices if field.kind == "choice" else ()

    def fits(each: Any) -> bool:
        return not any(where.startswith(key) for where, _ in check_value(form.tables, key, each))

    line = make_line(key, propose_space(field.default if value is None else value, choices, fits))
    if not any(each.partition("=")[0].strip() == key for each in lines):
        lines = [*lines, line]
    draft = form.draft
    options = draft.options if draft.options.sweep else set_option(draft.options, "sweep", True)
    return replace_lines(replace(draft, options=options), lines)


def replace_lines(draft: Draft, lines: Sequence[str]) -> Draft:
    """Replace the values to try of a draft. Those of the file are no change.

    Args:
        draft: The draft.
        lines: The new lines, valid or not. A line without values is a key without values, which the schema refuses.
    """
    for key in draft.changes:
        if key == KEY or key.startswith(OVER):
            draft = draft.without_change(key)
    parts = [line.partition("=") for line in lines]
    wanted = {key.strip().replace('"', ""): parse_value(values.strip()) or "" for key, _, values in parts}
    if list_lines(draft.tables()) == [make_line(*each) for each in wanted.items()]:
        return draft
    draft = draft.with_change(KEY, None)
    for key, values in wanted.items():
        draft = draft.with_change(f'{OVER}"{key}"', values)
    return draft
