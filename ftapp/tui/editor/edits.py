"""Changes to a draft that a form makes: values of keys, and phases that are added, removed and renamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import TASKS, Phase, Recipe, make_arm_prefix
from ftapp.tui.editor import fields, sweep_edits
from ftapp.tui.editor.draft import Draft

if TYPE_CHECKING:
    from ftapp.analysis.advice import Recommendation
    from ftapp.experiments.sweep.search import Search

Tables = Mapping[str, Any]


def find_value(tables: Tables, key: str) -> Any:
    """Find the value of a dotted key in raw tables, a phase by its name; None where there is none."""
    found: Any = tables
    for part in key.split("."):
        if isinstance(found, list):
            found = next((each for each in list_phases(tables) if each.get("name") == part), None)
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def list_phases(tables: Tables) -> list[dict[str, Any]]:
    """List the raw phases that are tables."""
    found = tables.get("phase")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def list_phase_names(tables: Tables) -> list[str]:
    """List the names of the raw phases; a phase without a name has its number."""
    return [str(phase.get("name", index)) for index, phase in enumerate(list_phases(tables))]


def generic_key(key: str) -> str:
    """Remove the name of the phase from a key, as `fields.find_field` takes it."""
    first, _, rest = key.partition(".")
    return f"phase.{rest.partition('.')[2]}" if first == "phase" else key


def set_value(draft: Draft, key: str, value: Any, arm: str | None = None) -> Draft:
    """Set a value of a draft. A change to the value of the file is no change.

    Args:
        draft: The draft.
        key: A dotted key of the recipe, or an option of an experiment. `epochs` and `steps` replace each other.
        value: The new value; None removes the key.
        arm: The arm to change alone; None for the recipe.

    Returns:
        The changed draft.
    """
    if key == fields.TARGET:
        return replace(draft, on=value)
    if key.startswith(fields.EXPERIMENT):
        return replace(draft, options=sweep_edits.set_option(draft.options, key.removeprefix(fields.EXPERIMENT), value))
    whole = make_arm_prefix(arm) + key
    kept = draft.without_change(whole)
    if generic_key(key) in ("phase.epochs", "phase.steps"):
        stem = whole.rpartition(".")[0]
        kept = kept.without_change(f"{stem}.epochs").without_change(f"{stem}.steps")
    before = find_value(kept.tables(arm), key)
    default = fields.find_field(generic_key(key)).default
    if value == before or (before is None and value == default is not None):
        return kept
    made_draft = kept.with_change(whole, value)
    return kept if value is None and find_value(made_draft.tables(arm), key) == before else made_draft


def replace_phases(draft: Draft, wanted: Sequence[Tables], arm: str | None = None) -> Draft:
    """Replace all phases of a draft or of one of its arms."""
    whole = f"{make_arm_prefix(arm)}phase"
    for key in draft.changes:
        if key == whole or key.startswith(f"{whole}."):
            draft = draft.without_change(key)
    if list_phases(draft.tables(arm)) == list(wanted):
        return draft
    return draft.with_change(whole, [dict(phase) for phase in wanted])


def add_phase(draft: Draft, name: str, arm: str | None = None) -> tuple[Draft, str]:
    """Add a copy of a phase after it, and return the draft with the name of the copy."""
    found = list_phases(draft.tables(arm))
    names = list_phase_names({"phase": found})
    index = names.index(name)
    number = next(number for number in range(len(names) + 1, 2 * len(names) + 2) if f"phase-{number}" not in names)
    fresh = f"phase-{number}"
    wanted = [*found[: index + 1], {**found[index], "name": fresh}, *found[index + 1 :]]
    return replace_phases(draft, wanted, arm), fresh


def remove_phase(draft: Draft, name: str, arm: str | None = None) -> Draft:
    """Remove a phase, unless it is the only one."""
    found = list_phases(draft.tables(arm))
    if len(found) < 2:
        return draft
    index = list_phase_names({"phase": found}).index(name)
    return replace_phases(draft, [*found[:index], *found[index + 1 :]], arm)


def rename_phase(draft: Draft, name: str, other: str, arm: str | None = None) -> Draft:
    """Rename a phase."""
    found = list_phases(draft.tables(arm))
    index = list_phase_names({"phase": found}).index(name)
    return replace_phases(draft, [*found[:index], {**found[index], "name": other}, *found[index + 1 :]], arm)


def check_phase_name(name: object, others: Sequence[str]) -> str | None:
    """Check the name of a phase.

    Args:
        name: The new name.
        others: The names of the recipe's phases.

    Returns:
        What is wrong with the name, in the words of `ftapp validate`; None where nothing is.
    """
    if name in others:
        return f"phase {name!r} exists already; phases have different names"
    try:
        Phase.model_validate({"name": name, "steps": 1})
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}; got {name!r}"
    return None


def use_table(draft: Draft, name: str, used: bool, arm: str | None = None) -> Draft:
    """Add or remove an optional table of a draft.

    Args:
        draft: The draft.
        name: The name of the table.
        used: Whether to add it, as the file has it or with all defaults, or to remove it.
        arm: The arm to change alone; None for the recipe. An arm cannot remove a table of the recipe: it then loses
            its own changes of the table.

    Returns:
        The changed draft.
    """
    whole = make_arm_prefix(arm) + name
    for key in draft.changes:
        if key == whole or (not used and key.startswith(f"{whole}.")):
            draft = draft.without_change(key)
    if (find_value(draft.tables(arm), name) is not None) == used:
        return draft
    made = draft.with_change(whole, {} if used else None)
    return made if (find_value(made.tables(arm), name) is not None) == used else draft


def apply_advice(draft: Draft, advised: Recommendation) -> Draft:
    """Apply an advice: make its changes, in its recipe if that is another one. The options stay."""
    made = Draft.of(advised)
    if made.path == draft.path:
        made = replace(draft, changes={**draft.changes, **made.changes})
    return replace(made, options=draft.options)


def assign_problems(problems: Iterable[Problem], keys: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """Assign problems to the fields of a form.

    Args:
        problems: The problems of a draft.
        keys: The keys of the fields.

    Returns:
        The messages by the key of the field, and the problems that belong to no field.
    """
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


def find_arm(problem: Problem) -> str | None:
    """Find the arm of a problem; None for a problem of the recipe itself."""
    found = _PLACE_OF_ARM.search(problem.file)
    return found[1] if found else None


@dataclass(frozen=True)
class Form:
    """A draft as the panes show it.

    Attributes:
        draft: The draft.
        tables: The raw tables, valid or not, of the arm or of the recipe.
        recipe: The resolved recipe of the arm or of the recipe; None while there are problems.
        problems: The problems of all arms.
        phase: The name of the chosen phase.
        arms: What each arm overrides, by its name, as far as it is known.
        arm: The name of the chosen arm; None for the recipe itself.
        search: What is searched; None where it is no sweep, and while there are problems.
    """

    draft: Draft
    tables: Tables
    recipe: Recipe | None
    problems: tuple[Problem, ...]
    phase: str
    arms: Tables = field(default_factory=dict)
    arm: str | None = None
    search: Search | None = None

    @classmethod
    def of(cls, draft: Draft, phase: str | None = None, arm: str | None = None) -> Form:
        """Make the form of a draft.

        Args:
            draft: The draft.
            phase: The phase to choose; the first where there is none of that name.
            arm: The arm to choose; the recipe itself where there is none of that name.

        Raises:
            RecipeError: The draft's file cannot be read.
        """
        loaded, search, problems = None, None, list[Problem]()
        try:
            loaded = draft.load_experiment()
            search = sweep_edits.make_search(draft, loaded)
        except RecipeError as error:
            problems = error.problems
        try:
            draft.parse_target()
        except RecipeError as error:
            problems = [*problems, *(Problem("", fields.TARGET, each.message) for each in error.problems)]
        arms: Tables = loaded.changes if loaded else {name: {} for name in draft.arms()}
        arm = arm if arm in arms else None
        tables = draft.tables(arm)
        names = list_phase_names(tables)
        chosen = phase if phase in names else next(iter(names), "")
        resolved = (loaded.arms[arm] if arm else loaded.base) if loaded else None
        return cls(draft, tables, resolved, tuple(problems), chosen, arms, arm, search)

    @property
    def phases(self) -> list[str]:
        """The names of the phases."""
        return list_phase_names(self.tables)

    @property
    def task(self) -> str:
        """The task of the recipe."""
        return str(self.tables.get("task", ""))

    @property
    def layers(self) -> list[str]:
        """The rules of the chosen phase, valid or not."""
        found = self.value(f"phase.{self.phase}.layers")
        return [str(rule) for rule in found] if isinstance(found, list) else []

    def key(self, generic_key: str) -> str:
        """Insert the name of the chosen phase into the key of a field of phases."""
        first, _, rest = generic_key.partition(".")
        return f"phase.{self.phase}.{rest}" if first == "phase" else generic_key

    def value(self, key: str) -> Any:
        """Find the value of a dotted key or of an option; of a head that is not named, the usual one of the task."""
        if key == fields.TARGET:
            return self.draft.on
        if key.startswith(fields.EXPERIMENT):
            return getattr(self.draft.options, key.removeprefix(fields.EXPERIMENT))
        found = find_value(self.tables, key)
        task = TASKS.get(self.task)
        if key == "model.head" and found is None and task and task.heads:
            return task.heads[0]
        return found
