"""Recipes in files: read from TOML, changed by a profile, arms and --set, and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ftapp.common.errors import Problem, RecipeError, quote, suggest_nearest
from ftapp.recipe import presets, sources
from ftapp.recipe.lookup import find
from ftapp.recipe.overrides import NAMED, merge, parse_override, remove_overridden
from ftapp.recipe.raw_tables import parse_tables, read
from ftapp.recipe.schema import Finding, Recipe
from ftapp.recipe.sweep_schema import Sweep
from ftapp.recipe.validation import find_unknown_keys, validate

_OF_ARMS = ("arm", "finding")
_OF_SOURCE = {"classes", "splits"}  # keys of the data that are true of one source alone
_LONGEST = 200  # characters of an override that a message quotes
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+_-]{0,39}")


@dataclass(frozen=True)
class RecipeWithArms:
    """A recipe with its arms, which are variants of one job to compare.

    Attributes:
        base: The recipe without its arms.
        arms: The resolved recipe of each arm by its name, in order; empty without arms.
        changes: The keys that each arm overrides, as the recipe writes them, without those that --set changes too.
        findings: The results that the arms are expected to show.
        sweep: What `ftapp sweep` tries; None where the recipe does not say.
    """

    base: Recipe
    arms: dict[str, Recipe]
    changes: dict[str, dict[str, Any]]
    findings: list[Finding]
    sweep: Sweep | None = None

    @property
    def folds(self) -> int:
        """The number of folds that an experiment of the recipe runs; 0 for none."""
        data = self.base.data
        return data.folds if data.folds and data.fold is None else 0

    @property
    def is_experiment(self) -> bool:
        """Whether the recipe has several runs: its arms, or its folds."""
        return bool(self.arms) or self.folds > 0

    def to_toml(self) -> str:
        """Write the recipe with its arms as TOML text that reads back to the same experiment."""
        arms = [{"name": name} | change for name, change in self.changes.items()]
        findings = [finding.model_dump(exclude_none=True) for finding in self.findings]
        sweep = self.sweep.model_dump(exclude_none=True) if self.sweep else {}
        lists = {"arm": arms, "finding": findings, "sweep": sweep}
        return tomli_w.dumps(self.base.to_tables() | {name: tables for name, tables in lists.items() if tables})


def load(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, apply a profile and overrides, and check everything, its arms included.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.

    Returns:
        The resolved recipe without its arms.

    Raises:
        RecipeError: The recipe has problems; the error has all of them.
    """
    return load_experiment(path, profile, overrides).base


def read_tables(
    path: Path, profile: str | None = None, overrides: Sequence[str] = (), arm: str | None = None
) -> dict[str, Any]:
    """Read the raw tables of a recipe file, with a profile and overrides as far as they apply, unchecked.

    Args:
        path: The recipe's file.
        profile: The name of a profile.
        overrides: Texts `key=value`.
        arm: The name of an arm; None for the recipe without its arms.

    Returns:
        The tables.

    Raises:
        RecipeError: The file is not TOML.
    """
    problems: list[Problem] = []
    stages = _build_stages(path, profile, overrides, problems)
    change = _collect_arms(stages, problems).get(arm or "", {})
    found = _add_stages(stages, [("", change)], problems)[-1][1]
    return {key: value for key, value in found.items() if key not in _OF_ARMS}


def is_experiment(name: str, profile: str | None = None, overrides: Sequence[str] = ()) -> bool:
    """Return whether a recipe has several runs, its arms or its folds; False for one that is not valid.

    Args:
        name: A recipe's name or file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.
    """
    try:
        return load_experiment(find(name), profile, overrides).is_experiment
    except RecipeError:
        return False


def list_arms(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> list[str]:
    """List the names of a recipe's arms, as far as they have names.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.

    Returns:
        The names in order.

    Raises:
        RecipeError: The file is not TOML.
    """
    problems: list[Problem] = []
    return list(_collect_arms(_build_stages(path, profile, overrides, problems), problems))


def load_experiment(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> RecipeWithArms:
    """Read a recipe with its arms; an arm overrides the recipe and its profile.

    Overrides apply in their order to the recipe and every arm or, where they begin with `arm.NAME.`, to one arm.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.

    Returns:
        The recipe with its arms.

    Raises:
        RecipeError: The recipe or an arm has problems; the error has all of them.
    """
    problems: list[Problem] = []
    stages = _build_stages(path, profile, overrides, problems)
    arms = _collect_arms(stages, problems)
    stages = [(place, {key: value for key, value in each.items() if key != "arm"}) for place, each in stages]
    base = _check(stages, problems)
    resolved = {
        name: _check(_add_stages(stages, [(f"{path} [arm.{name}]", change)], problems), problems)
        for name, change in arms.items()
    }
    for number, finding in enumerate(base.finding if base else []):
        for key, arm in (("arm", finding.arm), ("against", finding.against)):
            if arm is not None and arm not in arms:
                message = f"the recipe has no arm '{arm}' for a finding; {suggest_nearest(arm, arms)}"
                problems.append(Problem(str(path), f"finding.{number}.{key}", message))
    for name, made in resolved.items():
        if base and made and (made.data.folds, made.data.fold) != (base.data.folds, base.data.fold):
            message = "this arm has other folds; arms are compared on the same folds, so the recipe says them for all"
            problems.append(Problem(str(path), f"arm.{name}.data.folds", message))
    if problems or base is None:
        raise RecipeError(list(dict.fromkeys(problems)))
    alone: dict[str, Any] = {"finding": [], "sweep": None}  # a single run has nothing to do with them
    resolved_arms = {name: arm.model_copy(update=alone) for name, arm in resolved.items() if arm is not None}
    return RecipeWithArms(base.model_copy(update=alone), resolved_arms, arms, base.finding, base.sweep)


def _build_stages(
    path: Path, profile: str | None, overrides: Sequence[str], problems: list[Problem]
) -> list[tuple[str, dict[str, Any]]]:
    """Build the raw tables after each change, with the place of the change. Wrong changes are added to `problems`."""
    raw = read(path)
    named = raw.pop("profile", {})
    if profile is not None and profile not in named:
        problems.append(
            Problem(str(path), "profile", f"there is no profile '{profile}' here; {suggest_nearest(profile, named)}")
        )
    folder = path.absolute().parent
    raw = _anchor(raw, folder)
    changes = [(f"{path} [profile.{profile}]", _anchor(named[profile], folder))] if profile in named else []
    stages = _add_stages([(str(path), raw)], changes, problems)
    parsed: list[tuple[str, dict[str, Any]]] = []
    for override in overrides:
        try:
            change = parse_override(override)
        except ValueError as error:
            problems.append(Problem("--set", "", str(error)))
            continue
        parsed.append((f"--set {override if len(override) <= _LONGEST else f'{override[:_LONGEST]}…'}", change))
    named_keys = {key for _, change in parsed for key in _get_data(change)}
    for place, change in parsed:
        if wrong := [Problem(place, *found) for found in find_unknown_keys(change, stages[-1][1])]:
            problems += wrong
            continue
        # What the recipe says of its own source is not true of one of another kind, such as a user's own file.
        if _get_scheme(_get_data(change)) not in (None, _get_scheme(_get_data(stages[-1][1]))):
            change = {**change, "data": {**_get_data(change), **dict.fromkeys(_OF_SOURCE - named_keys)}}
        stages = _add_stages(stages, [(place, change)], problems)
        if "arm" not in change:
            stages[-1] = (stages[-1][0], _apply_over_arms(stages[-1][1], change))
    return stages


def _get_data(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Get the table [data] of a recipe or of a change; empty where there is none."""
    data = tables.get("data")
    return data if isinstance(data, Mapping) else {}


def _get_scheme(data: Mapping[str, Any]) -> str | None:
    """Get the kind of source in a table of data, such as "csv"; None where it has no source."""
    source = data.get("source")
    return source.partition(":")[0] if isinstance(source, str) else None


def _anchor(tables: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Make relative paths in the tables of a recipe's file paths from its folder, in its arms as well."""
    found = dict(tables)
    for name, key, anchor in (("data", "source", sources.anchor), ("model", "preset", presets.anchor)):
        table = found.get(name)
        if isinstance(table, dict) and isinstance(value := table.get(key), str):
            found[name] = table | {key: anchor(value, folder)}
    if isinstance(arms := found.get("arm"), list):
        found["arm"] = [_anchor(arm, folder) if isinstance(arm, dict) else arm for arm in arms]
    return found


def _apply_over_arms(tables: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Remove overrides of arms that contradict a change of the whole recipe."""
    arms = tables.get("arm")
    if not isinstance(arms, list):
        return dict(tables)
    change = {key: value for key, value in change.items() if key != "name"}
    return {**tables, "arm": [remove_overridden(arm, change) if isinstance(arm, dict) else arm for arm in arms]}


def _add_stages(
    stages: Sequence[tuple[str, dict[str, Any]]],
    changes: Sequence[tuple[str, Mapping[str, Any]]],
    problems: list[Problem],
) -> list[tuple[str, dict[str, Any]]]:
    """Add a stage for each change, laid over the last stage. Wrong changes are added to `problems`."""
    result = list(stages)
    for place, change in changes:
        try:
            result.append((place, merge(result[-1][1], change)))
        except ValueError as error:
            problems.append(Problem(place, next(key for key in (*NAMED, "") if key in change or not key), str(error)))
    return result


def _collect_arms(stages: Sequence[tuple[str, dict[str, Any]]], problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """Collect the overrides of each arm by its name. Wrong arms are added to `problems`."""
    place, tables = stages[0][0], stages[-1][1].get("arm", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(Problem(place, "arm", f"{quote(tables)} is not a list of arms; an arm is a table [[arm]]"))
        return {}
    if len(tables) == 1:
        problems.append(Problem(place, "arm", "the recipe has one arm; a comparison has two arms or more"))
    arms: dict[str, dict[str, Any]] = {}
    for number, table in enumerate(tables):
        name = table.get("name")
        if not isinstance(name, str) or not _ARM_NAME.fullmatch(name):
            wrong = "this arm has no name" if name is None else f"{quote(name)} is no name of an arm"
            message = (
                f"{wrong}; it is at most 40 of the letters A-Z and a-z, digits, spaces and .+_- and begins with a "
                "letter or a digit, such as 'A full'"
            )
            problems.append(Problem(place, f"arm.{number}.name", message))
        elif name in arms:
            problems.append(Problem(place, f"arm.{name}", "two arms have this name; arms have different names"))
        else:
            arms[name] = {key: value for key, value in table.items() if key != "name"}
    return arms


def parse(text: str) -> Recipe:
    """Parse a resolved recipe, without profiles, from TOML text.

    Args:
        text: The TOML text.

    Returns:
        The recipe.

    Raises:
        RecipeError: The recipe has problems; the error has all of them.
    """
    raw = parse_tables(text)
    problems: list[Problem] = []
    recipe = _check([("", raw)], problems)
    if problems or recipe is None:
        raise RecipeError(problems)
    return recipe


def list_profiles(path: Path) -> list[str]:
    """List the names of the profiles in a recipe file.

    Args:
        path: The recipe's file.

    Returns:
        The names in order.

    Raises:
        RecipeError: The file is not TOML.
    """
    return list(read(path).get("profile", {}))


def list_hubless_profiles(path: Path) -> list[str]:
    """List the profiles of a recipe file whose preset and data come from no hub.

    Args:
        path: The recipe's file.

    Returns:
        The names in order.
    """

    def is_hubless(name: str) -> bool:
        try:
            loaded = load(path, name)
        except RecipeError:
            return False
        return not presets.is_on_hub(loaded.model.preset) and not sources.is_on_hub(loaded.data.source)

    return [name for name in list_profiles(path) if is_hubless(name)]


def _check(stages: Sequence[tuple[str, dict[str, Any]]], problems: list[Problem]) -> Recipe | None:
    """Check the last stage and return its recipe; add its problems, each with the first stage that shows it."""
    recipe, final = validate(stages[-1][1])
    seen = [*(validate(raw)[1] for _, raw in stages[:-1] if final), final]
    for key, message in final:
        origin = next(place for (place, _), shown in zip(stages, seen, strict=True) if (key, message) in shown)
        problems.append(Problem(origin, key, message))
    return recipe
