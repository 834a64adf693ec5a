"""`ftapp parity`: the first steps of a recipe on all backends, side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse_bad_recipes, suggest_profile
from ftapp.cli.options import (
    ArmOption,
    JsonOption,
    OfflineOption,
    Precision,
    ProfileOption,
    RecipeArgument,
    SeedOption,
    SetOption,
    combine_overrides,
)

if TYPE_CHECKING:
    from ftapp.cli.backend_trials import BackendTrials
    from ftapp.recipe import Recipe


def parity(
    recipe_name: RecipeArgument,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends", metavar="NAMES", help="Backends with commas, the reference first. [default: all installed]"
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of each phase, at most.")] = 10,
    arm: ArmOption = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    precision: Annotated[
        Precision | None, typer.Option(help="The dtype of layers. [default: the recipe's; float32 for auto]")
    ] = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Compare backends: train the first steps of a recipe on each, from the same weights and on the same batches.

    It shows how losses, changes of weights, and held-out metrics differ, times, and memory. No run is made. Exit code
    1: a backend differs by more than rounding, or fails.
    """
    from ftapp import recipe as recipes
    from ftapp.cli import activity, backend_trials, range_test

    chosen = combine_overrides(overrides, precision=precision, seed=seed)
    comparison = backend_trials.BackendTrials()
    with refuse_bad_recipes(), fail_on_run_errors(), suggest_profile(recipe_name, profile):
        recipe = range_test.load_recipe(recipes.find(recipe_name), profile, chosen, arm)
        if recipe.precision == "auto":  # which may be another one on each backend
            recipe = recipe.model_copy(update={"precision": "float32"})
        names, missing = backend_trials.choose_backends(backends, recipe)
        for message in missing:
            print(message, file=sys.stderr)
        activity.check([recipe.model_copy(update={"backend": names[0]})])
        try:
            backend_trials.compare_backends(recipe, names, steps, comparison, offline=offline)
        except KeyboardInterrupt:
            if comparison.trials and not as_json:
                _print(recipe, comparison)
            raise
    if as_json:
        facts = {"recipe": Path(recipe_name).stem, "profile": profile, "arm": arm, "steps": steps, "seed": recipe.seed}
        print(json.dumps(facts | _describe(recipe, comparison)))
    else:
        _print(recipe, comparison)
    if comparison.failures or any(comparison.find_differences().values()):
        raise typer.Exit(1)


def _print(recipe: Recipe, comparison: BackendTrials) -> None:
    from ftapp.cli.parity_text import print_comparison

    print_comparison(recipe, comparison)


def _describe(recipe: Recipe, comparison: BackendTrials) -> dict[str, Any]:
    """Describe a comparison for JSON."""
    from msgspec import to_builtins

    from ftapp.analysis.parity import TOLERANCES, compare_losses, compute_step_seconds

    trials = {name: to_builtins(trial) for name, trial in comparison.trials.items()}
    for name, trial in comparison.trials.items():
        reference = comparison.trials[comparison.reference or name]
        for phase, expected, made in zip(trial.phases, reference.phases, trials[name]["phases"], strict=True):
            made["step_seconds"] = compute_step_seconds(phase)
            made["difference"] = to_builtins(compare_losses(phase, expected))
    return {
        "precision": recipe.precision,
        "tolerance": to_builtins(TOLERANCES[recipe.precision]),
        "reference": comparison.reference,
        "backends": trials,
        "differences": comparison.find_differences(),
        "failures": comparison.failures,
    }
