"""Whether the values of a sweep make valid recipes: by the schema, and by the layers of their models."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import Recipe
from ftapp.recipe.metrics import LOSS, Metric
from ftapp.recipe.overrides import do_overlap, merge, parse_override
from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS
from ftapp.recipe.rule_problems import find_phase_problems
from ftapp.recipe.spaces import Space
from ftapp.recipe.structure import Structure
from ftapp.recipe.toml_text import format_override, format_value
from ftapp.recipe.validation import find_unknown_keys, validate
from ftapp.runs.environment import check_installed

if TYPE_CHECKING:
    from ftapp.experiments.sweep.search import Search

# Keys and tables that no sweep changes, with the reason. Keys of phases have no name of a phase.
_SAME_DATA = "all trials are measured on the same validation examples"
_FIXED = {
    "seed": "the best trials are compared over new seeds, so the luckiest seed is of no use",
    "task": "all trials have the same metric",
    "data": _SAME_DATA,
    "evaluate": _SAME_DATA,
    "sweep": "a sweep does not change itself",
    "arm": "a sweep is of one recipe; --arm NAME chooses an arm",
    "finding": "findings are about arms",
    **dict.fromkeys((*DESCRIPTIVE_KEYS, "phase.name"), "a name changes nothing in the training"),
    **dict.fromkeys(("track", "checkpoint"), "this table changes nothing in the training"),
}
# Keys that decide how large the losses of equally good models are.
_LOSSES = ("model.head", "balance.class_weights", "balance.focal_gamma")
_OF_LAYERS = re.compile(r"model\..+|phase\.[^.]+\.(layers|learning_rate)(\..+)?")
_OF_RULES = re.compile(r"phase\..+")

Found = dict[tuple[str, str], list[Any]]
"""The values that have a problem, by its key and its message."""


def find_value_problems(base: Recipe, spaces: Mapping[str, Space], metric: Metric) -> Iterator[Problem]:
    """Find keys that cannot be searched, and values that the schema refuses.

    Args:
        base: The recipe that is searched.
        spaces: The values to try, by key.
        metric: The metric that judges them.
    """
    for first, second in itertools.combinations(spaces, 2):
        if do_overlap(first, second):
            yield Problem("--over", second, f"{first} is searched too, and one of them overrides the other; search one")
    tables = base.to_tables()
    for key, space in spaces.items():
        if reason := find_obstacle(re.sub(r"^phase\.[^.]+\.", "phase.", key)):
            yield Problem("--over", key, f"this key cannot be searched: {reason}")
            continue
        if metric is LOSS and key in _LOSSES:
            yield Problem("--over", key, "this key changes what the loss is; choose another metric by --metric")
            continue
        found: Found = {}
        for value in space.extremes:
            for each in dict.fromkeys(check_value(tables, key, value)):
                found.setdefault(each, []).append(value)
        yield from _name_values(key, space, found)


def check_value(tables: Mapping[str, Any], key: str, value: Any) -> list[tuple[str, str]]:
    """List what is wrong with a recipe after a key has got a value, each a key and a message.

    Args:
        tables: The recipe's raw tables.
        key: The dotted key, with the name of a phase.
        value: Its value.
    """
    try:
        change = parse_override(format_override(key, value))
        if unknown := list(find_unknown_keys(change, tables)):
            return unknown
        changed, problems = validate(merge(tables, change))
        if changed and not problems:
            check_installed(changed)
    except ValueError as error:
        return [("", str(error))]
    except RecipeError as error:
        return [(each.key, each.message) for each in error.problems]
    return problems


def find_obstacle(key: str) -> str | None:
    """Find why a sweep cannot change a key.

    Args:
        key: The dotted key, without the name of a phase (phase.epochs).

    Returns:
        The reason; None where a sweep can change it.
    """
    return _FIXED.get(key) or _FIXED.get(key.partition(".")[0])


async def find_layer_problems(
    search: Search, describe_structure: Callable[[Recipe], Awaitable[Structure]]
) -> list[Problem]:
    """Find values that name layers which their models do not have, and models that cannot be built.

    Args:
        search: What is searched.
        describe_structure: Describes the layers of a recipe's model; raises RecipeError where it cannot be built.
    """
    problems: list[Problem] = []
    for key, space in list_layer_spaces(search.spaces).items():
        found: Found = {}
        for value, changed in _list_changed(search.base, key, space):
            try:
                wrong = list(find_phase_problems(changed.phase, (await describe_structure(changed)).weighted_layers))
            except RecipeError as error:
                wrong = [(each.key, each.message) for each in error.problems]
            for each in dict.fromkeys(wrong):
                found.setdefault(each, []).append(value)
        problems += _name_values(key, space, found)
    return list(dict.fromkeys(problems))


def find_rule_problems(search: Search, structure: Structure) -> list[Problem]:
    """Find values of rules that name layers which the recipe's own model does not have.

    Args:
        search: What is searched. Of spaces that change the model, `find_layer_problems` finds more.
        structure: The layers of the recipe's own model.
    """
    problems: list[Problem] = []
    for key, space in list_layer_spaces(search.spaces).items():
        if _OF_RULES.fullmatch(key):
            found: Found = {}
            for value, changed in _list_changed(search.base, key, space):
                for each in find_phase_problems(changed.phase, structure.weighted_layers):
                    found.setdefault(each, []).append(value)
            problems += _name_values(key, space, found)
    return problems


def list_layer_spaces(spaces: Mapping[str, Space]) -> dict[str, Space]:
    """List the spaces whose values name layers or change which layers there are."""
    return {key: space for key, space in spaces.items() if _OF_LAYERS.fullmatch(key) and _names_layers(key, space)}


def _names_layers(key: str, space: Space) -> bool:
    """Tell whether values of a key can name layers; a plain number does not."""
    return not key.endswith(".learning_rate") or any(isinstance(each, dict) for each in space.choices)


def _list_changed(base: Recipe, key: str, space: Space) -> Iterator[tuple[Any, Recipe]]:
    """List the recipe with each value that has to be valid, as far as the schema takes it."""
    tables = base.to_tables()
    for value in space.extremes:
        if changed := validate(merge(tables, parse_override(format_override(key, value))))[0]:
            yield value, changed


def _name_values(key: str, space: Space, found: Found) -> Iterator[Problem]:
    """Name the values that have a problem, unless all of them have it."""
    for (where, message), values in found.items():
        place = "" if where.startswith(key) or key.startswith(where) else f"{where}: "
        kind = ("choice" if space.kind == "choices" else "end") + "s" * (len(values) > 1)
        named = f"the {kind} {', '.join(map(format_value, values))}: " if len(values) < len(space.extremes) else ""
        yield Problem("--over", key, f"{named}{place}{message}")
