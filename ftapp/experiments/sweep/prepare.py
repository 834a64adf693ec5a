"""A sweep's folder: its recipe and its search are checked before anything starts."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.trials import OWN
from ftapp.recipe import Recipe, Sweep
from ftapp.recipe.files import RecipeWithArms
from ftapp.recipe.metrics import LOSS, Metric, get_metric
from ftapp.recipe.overrides import merge, parse_override
from ftapp.recipe.spaces import Space, parse_over, parse_space
from ftapp.recipe.tasks import TASKS
from ftapp.recipe.toml_text import format_override
from ftapp.recipe.validation import find_unknown_keys, validate
from ftapp.runs.environment import check_installed

# Keys that no sweep changes, with the reason.
_SAME_DATA = "all trials are measured on the same validation examples"
_FIXED = {
    "seed": "the best trials are compared over new seeds, so the luckiest seed is of no use",
    "task": "all trials have the same metric",
    "data": _SAME_DATA,
    "evaluate": _SAME_DATA,
    "sweep": "a sweep does not change itself",
    "arm": "a sweep is of one recipe; --arm NAME chooses an arm",
    "finding": "findings are about arms",
}
# Keys that decide how large the losses of equally good models are.
_LOSSES = ("model.head", "balance.class_weights", "balance.focal_gamma")


@dataclass(frozen=True)
class Search:
    """What a sweep searches.

    Attributes:
        base: The recipe without the sweep.
        sweep: Its table [sweep], complete.
        spaces: The values to try, by key.
        metric: The metric of the validation split that is to become best.
    """

    base: Recipe
    sweep: Sweep
    spaces: dict[str, Space]
    metric: Metric

    @classmethod
    def of(cls, experiment: Experiment) -> Search:
        """Read the search of a sweep from its folder.

        Raises:
            RecipeError: The recipe in the folder is not valid.
        """
        loaded = recipes.load_experiment(experiment.recipe_file)
        if loaded.sweep is None or loaded.sweep.metric is None:
            message = "the table [sweep] or its metric is missing, which a sweep writes into its folder"
            raise RecipeError([Problem(str(experiment.recipe_file), "sweep", message)])
        return cls(loaded.base, loaded.sweep, loaded.sweep.spaces, get_metric(loaded.sweep.metric))


def prepare_sweep(
    path: Path,
    profile: str | None,
    overrides: Sequence[str],
    runs_dir: Path,
    *,
    command: Sequence[str],
    over: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    arm: str | None = None,
    jobs: int = 1,
    offline: bool = False,
    verify_cache: bool = False,
    on: str = "local",
) -> Experiment:
    """Make the folder of a sweep.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.
        runs_dir: The folder of all runs.
        command: The command line, to be written down.
        over: Texts `key=values`, in the place of the keys that the recipe's table [sweep] names.
        settings: Other keys of [sweep] with their values; None for those that stay.
        arm: The arm of the recipe; None for the recipe without its arms.
        jobs: How many runs go on at once.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        on: The target of the runs (`ftapp.launchers.target`).

    Returns:
        The sweep.

    Raises:
        RecipeError: Optuna is not installed, or the recipe or the search is not valid.
        OSError: The folder cannot be made.
    """
    check_optuna()
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    try:
        loaded = recipes.load_experiment(path, profile, [*overrides, *_write_settings(over, given)])
    except RecipeError as error:
        raise RecipeError([_name_option(problem) for problem in error.problems]) from None
    base, sweep = _choose_base(loaded, arm, path), loaded.sweep
    if sweep is None or not sweep.over:
        message = (
            "no values to try are given; name them in the recipe's table [sweep], or by --over, such as --over "
            f"'phase.{base.phase[0].name}.learning_rate=log(1e-5, 1e-2)'"
        )
        raise RecipeError([Problem(str(path), "sweep.over", message)])
    metric = get_metric(sweep.metric or TASKS[base.task].held_out_metrics[:2][-1].name)  # the loss where it is alone
    if problems := list(_find_problems(base, sweep.spaces, metric)):
        raise RecipeError(problems)
    check_installed(base)
    sweep = sweep.model_copy(update={"metric": metric.name})
    text = RecipeWithArms(base, {}, {}, [], sweep).to_toml()
    return experiment_folder.create(
        path.stem,
        profile,
        text,
        [OWN],
        sweep.repeats,
        jobs,
        runs_dir,
        offline=offline,
        verify_cache=verify_cache,
        on=on,
        command=list(command),
        hubless_profiles=recipes.list_hubless_profiles(path),
        sweep={"planned": sweep.trials + sweep.repeats * (sweep.finalists + 1), "searched": 0.0},
    )


def check_optuna() -> None:
    """Check that Optuna is installed, without importing it.

    Raises:
        RecipeError: It is not.
    """
    if importlib.util.find_spec("optuna") is None:
        message = "the package 'optuna' is not installed; a sweep needs it: pip install 'ftapp[sweep]'"
        raise RecipeError([Problem("", "", message)])


def read_value(recipe: Recipe, key: str) -> Any:
    """Read the value of a dotted key of a recipe, in which phases are found by their names; None where it has none.

    Args:
        recipe: The recipe.
        key: The key.
    """
    tables: Any = recipe.to_tables()
    tables["phase"] = {phase["name"]: phase for phase in tables["phase"]}
    for part in key.split("."):
        tables = tables.get(part) if isinstance(tables, Mapping) else None
    return tables


def apply_values(experiment: Experiment, values: Mapping[str, Any]) -> Recipe:
    """Make the recipe of a trial.

    Args:
        experiment: The sweep.
        values: The values to try, by key; none for the recipe's own.

    Raises:
        RecipeError: The values are not valid together.
    """
    return recipes.load(experiment.recipe_file, None, [format_override(key, value) for key, value in values.items()])


def _write_settings(over: Sequence[str], settings: Mapping[str, Any]) -> Iterator[str]:
    """Write options of the command line as overrides of the table [sweep].

    Raises:
        RecipeError: Values to try cannot be parsed.
    """
    problems = []
    for number, text in enumerate(over):
        try:
            key, values = parse_over(text)
            parse_space(values)
        except ValueError as error:
            problems.append(Problem("--over", text.partition("=")[0].strip() if "=" in text else "", str(error)))
            continue
        if not number:
            yield "sweep.over="
        yield format_override(f'sweep.over."{key}"', values)
    if problems:
        raise RecipeError(problems)
    yield from (format_override(f"sweep.{key}", value) for key, value in settings.items())


def _name_option(problem: Problem) -> Problem:
    """Name the option of the command line that an override stands for."""
    prefix = "--set sweep."
    if not problem.file.startswith(prefix):
        return problem
    return Problem(f"--{problem.file.removeprefix(prefix).partition('=')[0].partition('.')[0]}", "", problem.message)


def _choose_base(loaded: RecipeWithArms, arm: str | None, path: Path) -> Recipe:
    """Choose the recipe that is searched, and let its runs evaluate the validation split.

    Raises:
        RecipeError: There is no such arm, there are folds, or no validation split.
    """
    if arm is not None and arm not in loaded.arms:
        raise RecipeError([Problem("--arm", "", f"there is no arm '{arm}'; {suggest_nearest(arm, loaded.arms)}")])
    base = loaded.base if arm is None else loaded.arms[arm]
    if loaded.folds:
        message = "a sweep takes no folds, since each of them has other validation examples; --set data.folds="
        raise RecipeError([Problem(str(path), "data.folds", message)])
    if not base.data.validation:
        message = (
            "there is no validation split, on which a sweep measures its trials; take for example --set "
            "data.validation=0.2"
        )
        raise RecipeError([Problem(str(path), "data.validation", message)])
    return base.model_copy(update={"evaluate": base.evaluate.model_copy(update={"split": "validation"})})


def _find_problems(base: Recipe, spaces: Mapping[str, Space], metric: Metric) -> Iterator[Problem]:
    """Find keys that cannot be searched, and values that the schema refuses."""
    tables = base.to_tables()
    for key, space in spaces.items():
        section = key.partition(".")[0]
        if section in _FIXED:
            yield Problem("--over", key, f"this key cannot be searched: {_FIXED[section]}")
            continue
        if metric is LOSS and key in _LOSSES:
            yield Problem("--over", key, "this key changes what the loss is; choose another metric by --metric")
            continue
        found: dict[tuple[str, str], None] = {}
        for value in space.extremes:
            found |= dict.fromkeys(_check_change(tables, format_override(key, value)))
        yield from (Problem("--over", *each) for each in found)


def _check_change(tables: dict[str, Any], override: str) -> list[tuple[str, str]]:
    """List what is wrong with a recipe after an override, each a key and a message."""
    try:
        change = parse_override(override)
        if unknown := list(find_unknown_keys(change, tables)):
            return unknown
        return validate(merge(tables, change))[1]
    except ValueError as error:
        return [("", str(error))]
