"""What a sweep searches: the recipe without the sweep, the values to try by key, and the metric that judges them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.check_values import find_value_problems
from ftapp.recipe import Recipe, Sweep
from ftapp.recipe.files import RecipeWithArms
from ftapp.recipe.metrics import Metric, get_metric
from ftapp.recipe.spaces import Space, parse_over, parse_space
from ftapp.recipe.tasks import TASKS
from ftapp.recipe.toml_text import format_override


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

    @property
    def most_runs(self) -> int:
        """The number of runs that the sweep comes to at most."""
        return self.sweep.trials + self.sweep.repeats * (self.sweep.finalists + 1)

    def to_toml(self) -> str:
        """Write the recipe with its sweep as TOML text, from which `of` reads it back."""
        return RecipeWithArms(self.base, {}, {}, [], self.sweep).to_toml()


def load_search(
    path: Path,
    profile: str | None,
    overrides: Sequence[str],
    over: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    arm: str | None = None,
) -> Search:
    """Load what a sweep of a recipe searches, and check it.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.
        over: Texts `key=values`, in the place of the keys that the recipe's table [sweep] names.
        settings: Other keys of [sweep] with their values; None for those that stay.
        arm: The arm of the recipe; None for the recipe without its arms.

    Raises:
        RecipeError: Optuna is not installed, or the recipe or the search is not valid; the error has all problems.
    """
    check_optuna()
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    try:
        loaded = recipes.load_experiment(path, profile, [*overrides, *write_settings(over, given)])
    except RecipeError as error:
        raise RecipeError([_name_option(problem) for problem in error.problems]) from None
    return make_search(loaded, arm, path)


def make_search(loaded: RecipeWithArms, arm: str | None, path: Path) -> Search:
    """Make the search of a loaded recipe.

    Args:
        loaded: The recipe with its table [sweep].
        arm: The arm that is searched; None for the recipe without its arms.
        path: The recipe's file, for messages.

    Raises:
        RecipeError: The search is not valid; the error has all problems.
    """
    base, sweep = _choose_base(loaded, arm, path), loaded.sweep
    if sweep is None or not sweep.over:
        message = (
            "no values to try are given; name them in the recipe's table [sweep], or by --over, such as --over "
            f"'phase.{base.phase[0].name}.learning_rate=log(1e-5, 1e-2)'"
        )
        raise RecipeError([Problem(str(path), "sweep.over", message)])
    metric = get_metric(sweep.metric or TASKS[base.task].searched_metric.name)
    if problems := list(find_value_problems(base, sweep.spaces, metric)):
        raise RecipeError(problems)
    return Search(base, sweep.model_copy(update={"metric": metric.name}), sweep.spaces, metric)


def check_optuna() -> None:
    """Check that Optuna is installed, without importing it.

    Raises:
        RecipeError: It is not.
    """
    if importlib.util.find_spec("optuna") is None:
        message = "the package 'optuna' is not installed; a sweep needs it: pip install 'ftapp[sweep]'"
        raise RecipeError([Problem("", "", message)])


def write_settings(over: Sequence[str], settings: Mapping[str, Any]) -> Iterator[str]:
    """Write options of the command line as overrides of the table [sweep].

    Args:
        over: Texts `key=values`, in the place of the keys that the table names.
        settings: Other keys of the table with their values.

    Raises:
        RecipeError: Values to try cannot be parsed.
    """
    problems, found = [], dict[str, Any]()
    for text in over:
        try:
            key, values = parse_over(text)
            parse_space(values)
            if key in found:
                raise ValueError("the key is given twice; all values to try of a key stand in one --over")
        except ValueError as error:
            problems.append(Problem("--over", text.partition("=")[0].strip() if "=" in text else "", str(error)))
            continue
        found[key] = values
    if problems:
        raise RecipeError(problems)
    if found:
        yield "sweep.over="
    yield from (format_override(f'sweep.over."{key}"', values) for key, values in found.items())
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
