"""The model as a run begins with it, checked against the phases of its recipe."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from ftapp.common.errors import Problem, RecipeError
from ftapp.data.dataset import EncodedSplits
from ftapp.freezing.layer_plan import LayerPlan, list_adapters, plan_phases
from ftapp.models import build
from ftapp.models.adapters import add_adapters
from ftapp.models.build import Pretrained
from ftapp.models.layers import ModelLayer, describe_layers
from ftapp.recipe import Phase, Recipe
from ftapp.training import layer_rates

# Examples of a batch whose statistics normalize. With 2 in place of 32 the error of a ResNet-50 grows from 24% to 35%,
# with 4 to 27% (Wu & He 2018, "Group Normalization", table 2).
_LEAST_BATCH = 4


def build_model(
    recipe: Recipe, pretrained: Pretrained, splits: EncodedSplits
) -> tuple[keras.Model, list[ModelLayer], list[LayerPlan]]:
    """Build the model as the run begins with it, and plan its phases.

    Returns:
        (the model, its layers that hold weights, the plan of each phase).

    Raises:
        RecipeError: The phases do not fit the model.
    """
    # Right before the new layers are drawn, so that nothing else of the recipe has a say in their first weights.
    keras.utils.set_random_seed(recipe.seed)
    model = build.build(recipe, pretrained, len(splits.classes), splits.scale)
    layers = describe_layers(model, pretrained.backbone)
    plans = plan_phases(recipe, layers)
    check_phases(recipe, plans, model)
    if adapters := list_adapters(plans[-1]):
        add_adapters(adapters, recipe.seed)
        plans = plan_phases(recipe, layers)  # with the factors, which are there now
    return model, layers, plans


def check_phases(recipe: Recipe, plans: Sequence[LayerPlan], model: keras.Model) -> None:
    """Check that the rules, learning rates and batch sizes of all phases fit the model.

    Raises:
        RecipeError: Some do not; it has all problems.
    """
    problems = [
        Problem("", f"phase.{phase.name}.{key}", message)
        for phase, plan in zip(recipe.phase, plans, strict=True)
        for key, message in find_problems(phase, plan, model)
    ]
    if problems:
        raise RecipeError(problems)


def find_problems(phase: Phase, plan: LayerPlan, model: keras.Model) -> list[tuple[str, str]]:
    """Find why a phase cannot train with a plan: keys of the phase, each with a message."""
    problems = [("layers", message) for message in plan.problems]
    problems += [("learning_rate", message) for message in layer_rates.find_problems(phase, plan)]
    if message := _batch_problem(phase, model, plan):
        problems.append(("batch_size", message))
    return problems


def _batch_problem(phase: Phase, model: keras.Model, plan: LayerPlan) -> str | None:
    """Give the reason why the batches of a phase are too small for what trains in it; None if they are not."""
    trained = {id(decision.layer) for decision in plan.trained_layers}
    count = sum(id(layer) in trained for layer in build.find_batch_normalization(model))
    if phase.batch_size >= _LEAST_BATCH or not count:
        return None
    layers = ", ".join(f'"{rule}"' for rule in (*phase.layers, "freeze norms"))
    return (
        f"batches of {phase.batch_size} are too small for the {count} layers of batch normalization that train in this "
        f"phase; they take mean and variance from each batch, which needs {_LEAST_BATCH} examples or more; --set "
        f"phase.{phase.name}.batch_size=16, or keep their pretrained statistics: --set 'phase.{phase.name}.layers="
        f"[{layers}]'"
    )
