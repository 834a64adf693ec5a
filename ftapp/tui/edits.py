"""Changes to a draft as a form makes them: values of keys, and phases that are added, removed and renamed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from ftapp.errors import Problem, RecipeError
from ftapp.recipe import Phase, Recipe
from ftapp.tui import fields
from ftapp.tui.draft import Draft

Tables = Mapping[str, Any]


def value_at(tables: Tables, key: str) -> Any:
    """The value of a dotted key in raw tables, a phase by its name; None where there is none."""
    found: Any = tables
    for part in key.split("."):
        if isinstance(found, list):
            found = next((each for each in phases(tables) if each.get("name") == part), None)
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def phases(tables: Tables) -> list[dict[str, Any]]:
    """The raw phases that are tables."""
    found = tables.get("phase")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def phase_names(tables: Tables) -> list[str]:
    return [str(phase.get("name", index)) for index, phase in enumerate(phases(tables))]


def generic(key: str) -> str:
    """A key without the name of its phase, as `fields.field` takes it."""
    first, _, rest = key.partition(".")
    return f"phase.{rest.partition('.')[2]}" if first == "phase" else key


def changed(draft: Draft, key: str, value: Any) -> Draft:
    """The draft with another value of a key, None taking it away; without the change where it has none.

    An epochs or steps takes the other's place, as in an override. Options of an experiment are keys too.
    """
    if key.startswith(fields.EXPERIMENT):
        made: dict[str, Any] = {key.removeprefix(fields.EXPERIMENT): value if isinstance(value, bool) else int(value)}
        return replace(draft, options=replace(draft.options, **made))
    kept = draft.unchanged(key)
    if generic(key) in ("phase.epochs", "phase.steps"):
        stem = key.rpartition(".")[0]
        kept = kept.unchanged(f"{stem}.epochs").unchanged(f"{stem}.steps")
    before = value_at(kept.tables(), key)
    default = fields.field(generic(key)).default
    if value == before or (before is None and value == default is not None):
        return kept
    return kept.changed(key, value)


def with_phases(draft: Draft, wanted: Sequence[Tables]) -> Draft:
    """The draft with other phases altogether."""
    for key in draft.changes:
        if key == "phase" or key.startswith("phase."):
            draft = draft.unchanged(key)
    if phases(draft.tables()) == list(wanted):
        return draft
    return draft.changed("phase", [dict(phase) for phase in wanted])


def phase_added(draft: Draft, name: str) -> tuple[Draft, str]:
    """The draft with a copy of a phase after it, and the copy's name."""
    found, names = phases(draft.tables()), phase_names(draft.tables())
    index = names.index(name)
    number = next(number for number in range(len(names) + 1, 2 * len(names) + 2) if f"phase-{number}" not in names)
    fresh = f"phase-{number}"
    return with_phases(draft, [*found[: index + 1], {**found[index], "name": fresh}, *found[index + 1 :]]), fresh


def phase_removed(draft: Draft, name: str) -> Draft:
    """The draft without a phase. The last one stays."""
    found, names = phases(draft.tables()), phase_names(draft.tables())
    if len(found) < 2:
        return draft
    index = names.index(name)
    return with_phases(draft, [*found[:index], *found[index + 1 :]])


def phase_renamed(draft: Draft, name: str, other: str) -> Draft:
    """The draft with another name for a phase."""
    found, names = phases(draft.tables()), phase_names(draft.tables())
    index = names.index(name)
    return with_phases(draft, [*found[:index], {**found[index], "name": other}, *found[index + 1 :]])


def wrong_name(name: object, others: Sequence[str]) -> str | None:
    """Why a phase cannot be called so, in the words of a recipe's check; None where it can."""
    if name in others:
        return "phases have different names; got this one twice"
    try:
        Phase.model_validate({"name": name, "steps": 1})
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}; got {name!r}"
    return None


def table_used(draft: Draft, name: str, used: bool) -> Draft:
    """The draft with an optional table, as its file has it or with all defaults, or without it."""
    for key in draft.changes:
        if key == name or (not used and key.startswith(f"{name}.")):
            draft = draft.unchanged(key)
    present = value_at(draft.tables(), name) is not None
    return draft if present == used else draft.changed(name, {} if used else None)


def placed(problems: Iterable[Problem], keys: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """The messages by the key of the field that each belongs to, and the problems that belong to none of them."""
    known = list(keys)
    messages: dict[str, str] = {}
    rest: list[Problem] = []
    for problem in problems:
        owners = [key for key in known if problem.key == key or problem.key.startswith(f"{key}.")]
        if owners and problem.key:
            key = max(owners, key=len)
            message = problem.message
            messages[key] = f"{messages[key]}; {message}" if key in messages else message
        else:
            rest.append(problem)
    return messages, rest


@dataclass(frozen=True)
class Form:
    """A draft as its panes show it.

    tables: raw, valid or not; recipe: None while there are problems; phase: the name of the one that is chosen; arms:
    what each overrides, by its name, as far as it is known.
    """

    draft: Draft
    tables: Tables
    recipe: Recipe | None
    problems: tuple[Problem, ...]
    phase: str
    arms: Tables = field(default_factory=dict)

    @classmethod
    def of(cls, draft: Draft, phase: str | None = None) -> Form:
        """phase: kept where there still is one of that name, else the first is chosen.

        Raises RecipeError when the draft's file cannot be read.
        """
        tables = draft.tables()
        names = phase_names(tables)
        chosen = phase if phase in names else next(iter(names), "")
        try:
            loaded = draft.load_experiment()
            return cls(draft, tables, loaded.base, (), chosen, loaded.changes)
        except RecipeError as error:
            return cls(draft, tables, None, tuple(error.problems), chosen)

    @property
    def phases(self) -> list[str]:
        return phase_names(self.tables)

    @property
    def task(self) -> str:
        return str(self.tables.get("task", ""))

    @property
    def layers(self) -> list[str]:
        """The rules of the chosen phase, as they stand."""
        found = self.value(f"phase.{self.phase}.layers")
        return [str(rule) for rule in found] if isinstance(found, list) else []

    def key(self, generic_key: str) -> str:
        """The key of a field of the chosen phase with the phase's name; other keys as they are."""
        first, _, rest = generic_key.partition(".")
        return f"phase.{self.phase}.{rest}" if first == "phase" else generic_key

    def value(self, key: str) -> Any:
        if key.startswith(fields.EXPERIMENT):
            return getattr(self.draft.options, key.removeprefix(fields.EXPERIMENT))
        return value_at(self.tables, key)
