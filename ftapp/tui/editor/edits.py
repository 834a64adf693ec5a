"""Changes to a draft as a form makes them: values of keys, and phases that are added, removed and renamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import Phase, Recipe, of_arm
from ftapp.tui.editor import fields
from ftapp.tui.editor.draft import Draft

if TYPE_CHECKING:
    from ftapp.analysis.advice import Recommendation

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


def changed(draft: Draft, key: str, value: Any, arm: str | None = None) -> Draft:
    """The draft with another value of a key, None taking it away; without the change where it has none.

    arm: the one that is changed alone; an arm without a value of its own has the recipe's. An epochs or steps takes the
    other's place, as in an override. Options of an experiment are keys too.
    """
    if key.startswith(fields.EXPERIMENT):
        made: dict[str, Any] = {key.removeprefix(fields.EXPERIMENT): value if isinstance(value, bool) else int(value)}
        return replace(draft, options=replace(draft.options, **made))
    whole = of_arm(arm) + key
    kept = draft.unchanged(whole)
    if generic(key) in ("phase.epochs", "phase.steps"):
        stem = whole.rpartition(".")[0]
        kept = kept.unchanged(f"{stem}.epochs").unchanged(f"{stem}.steps")
    before = value_at(kept.tables(arm), key)
    default = fields.field(generic(key)).default
    if value == before or (before is None and value == default is not None):
        return kept
    made_draft = kept.changed(whole, value)
    return kept if value is None and value_at(made_draft.tables(arm), key) == before else made_draft


def with_phases(draft: Draft, wanted: Sequence[Tables], arm: str | None = None) -> Draft:
    """The draft, or one arm of it, with other phases altogether."""
    whole = f"{of_arm(arm)}phase"
    for key in draft.changes:
        if key == whole or key.startswith(f"{whole}."):
            draft = draft.unchanged(key)
    if phases(draft.tables(arm)) == list(wanted):
        return draft
    return draft.changed(whole, [dict(phase) for phase in wanted])


def phase_added(draft: Draft, name: str, arm: str | None = None) -> tuple[Draft, str]:
    """The draft with a copy of a phase after it, and the copy's name."""
    found = phases(draft.tables(arm))
    names = phase_names({"phase": found})
    index = names.index(name)
    number = next(number for number in range(len(names) + 1, 2 * len(names) + 2) if f"phase-{number}" not in names)
    fresh = f"phase-{number}"
    wanted = [*found[: index + 1], {**found[index], "name": fresh}, *found[index + 1 :]]
    return with_phases(draft, wanted, arm), fresh


def phase_removed(draft: Draft, name: str, arm: str | None = None) -> Draft:
    """The draft without a phase. The last one stays."""
    found = phases(draft.tables(arm))
    if len(found) < 2:
        return draft
    index = phase_names({"phase": found}).index(name)
    return with_phases(draft, [*found[:index], *found[index + 1 :]], arm)


def phase_renamed(draft: Draft, name: str, other: str, arm: str | None = None) -> Draft:
    """The draft with another name for a phase."""
    found = phases(draft.tables(arm))
    index = phase_names({"phase": found}).index(name)
    return with_phases(draft, [*found[:index], {**found[index], "name": other}, *found[index + 1 :]], arm)


def wrong_name(name: object, others: Sequence[str]) -> str | None:
    """Why a phase cannot be called so, in the words of a recipe's check; None where it can."""
    if name in others:
        return "phases have different names; got this one twice"
    try:
        Phase.model_validate({"name": name, "steps": 1})
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}; got {name!r}"
    return None


def table_used(draft: Draft, name: str, used: bool, arm: str | None = None) -> Draft:
    """The draft with an optional table, as its file has it or with all defaults, or without it.

    An arm cannot be without a table that the recipe has; the draft is without the arm's own changes of it then.
    """
    whole = of_arm(arm) + name
    for key in draft.changes:
        if key == whole or (not used and key.startswith(f"{whole}.")):
            draft = draft.unchanged(key)
    if (value_at(draft.tables(arm), name) is not None) == used:
        return draft
    made = draft.changed(whole, {} if used else None)
    return made if (value_at(made.tables(arm), name) is not None) == used else draft


def advised(draft: Draft, course: Recommendation) -> Draft:
    """The draft after an advice: its own recipe with more changes, or the recipe that is advised; options stay."""
    made = Draft.of(course)
    if made.path == draft.path:
        made = replace(draft, changes={**draft.changes, **made.changes})
    return replace(made, options=draft.options)


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


_PLACE_OF_ARM = re.compile(r"\[arm\.(.*)\]$")


def arm_of(problem: Problem) -> str | None:
    """The arm that has a problem which the recipe itself has not."""
    found = _PLACE_OF_ARM.search(problem.file)
    return found[1] if found else None


@dataclass(frozen=True)
class Form:
    """A draft as its panes show it.

    tables: raw, valid or not; recipe: None while there are problems; phase: the name of the one that is chosen; arms:
    what each overrides, by its name, as far as it is known; arm: the one that tables and recipe are of, None for the
    recipe itself.
    """

    draft: Draft
    tables: Tables
    recipe: Recipe | None
    problems: tuple[Problem, ...]
    phase: str
    arms: Tables = field(default_factory=dict)
    arm: str | None = None

    @classmethod
    def of(cls, draft: Draft, phase: str | None = None, arm: str | None = None) -> Form:
        """phase, arm: kept where there still is one of that name, else the first and the recipe itself are chosen.

        Raises RecipeError when the draft's file cannot be read.
        """
        loaded, problems = None, list[Problem]()
        try:
            loaded = draft.load_experiment()
        except RecipeError as error:
            problems = error.problems
        arms: Tables = loaded.changes if loaded else {name: {} for name in draft.arms()}
        arm = arm if arm in arms else None
        tables = draft.tables(arm)
        names = phase_names(tables)
        chosen = phase if phase in names else next(iter(names), "")
        resolved = (loaded.arms[arm] if arm else loaded.base) if loaded else None
        return cls(draft, tables, resolved, tuple(problems), chosen, arms, arm)

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
