"""What a phase will cost, from the shapes of its model: the operations of a step, and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models import flops
from ftapp.models.distribution import measure_held
from ftapp.models.flops import Call
from ftapp.models.graph import find_feeding
from ftapp.models.keras_internals import graph_nodes
from ftapp.recipe import Phase, Recipe
from ftapp.runs.phase_events import Estimate

_SLOTS = {"adam": 2, "adamw": 2, "sgd": 1, "rmsprop": 1, "lion": 1}
"""How many values of the size of a weight each optimizer keeps for it."""
_WEIGHT = 4  # bytes: weights, gradients and slots are float32 in any precision


def _example_size(recipe: Recipe) -> tuple[int, ...]:
    """The dimensions that the recipe gives to an example: (height, width), or (tokens,) of the longest."""
    if recipe.model.image_size is not None:
        return tuple(recipe.model.image_size)
    assert recipe.model.sequence_length is not None
    return (recipe.model.sequence_length,)


def list_calls(recipe: Recipe, model: keras.Model) -> list[Call] | None:
    """List what a model computes for one example of the largest size.

    Returns:
        The calls of its layers, with their costs. None where shapes alone do not say: a few of KerasHub's families
        (GPT-NeoX, models of several kinds of input) raise errors of their own there. A run goes on without an estimate.
    """
    try:
        return flops.measure(model, _example_size(recipe))
    except Exception:
        return None


def list_calls_below(model: keras.Model, calls: Sequence[Call], features: Iterable[Any]) -> list[Call]:
    """List the calls of a model's frozen half, among those of the whole model.

    Args:
        model: The Functional model.
        calls: What it computes for one example.
        features: The tensors of its graph that cross the cut.
    """
    nodes = [node for node in graph_nodes(model) if not node.is_input]
    inside = dict(zip(map(id, nodes), flops.outermost(calls), strict=True))
    return [calls[index] for node in find_feeding(model, list(features)) for index in inside[id(node)]]


def forward_flops(calls: Sequence[Call]) -> int:
    """Sum the FLOPs of a forward pass, a multiply-add counted as 2."""
    return sum(call.cost.flops for call in calls)


def estimate_cost(
    recipe: Recipe,
    phase: Phase,
    calls: Sequence[Call] | None,
    plan: LayerPlan,
    below: Sequence[Call] | None,
    *,
    cached: bool,
) -> Estimate | None:
    """Estimate the cost of a phase's steps, each example at its largest size.

    Weights count as they lie on the devices; a model that is not built for several devices has all of them on each.

    Args:
        recipe: The recipe, which says how many devices there are.
        phase: The phase.
        calls: What the whole model computes for one example; None where shapes alone do not say.
        plan: What trains in the phase.
        below: The same of the frozen layers at the bottom.
        cached: Whether these layers are computed once and not in steps.

    Returns:
        FLOPs of a step, and bytes of weights, gradients, optimizer and activations on each device; None where calls are
        not known.
    """
    if calls is None or below is None:
        return None
    biased = [decision.layer for decision in plan.trained_layers if decision.treatment.parts == {"biases"}]
    per_example = flops.training_flops(calls, [decision.layer for decision in plan.trained_layers], biased)
    trained = measure_held(variable for decision in plan.decisions for variable in decision.trained)
    shares = recipe.parallel == "data" and phase.batch_size % recipe.devices == 0
    examples = phase.batch_size // recipe.devices if shares else phase.batch_size
    width = 2 if keras.config.dtype_policy().compute_dtype in ("bfloat16", "float16") else 4
    return Estimate(
        flops=phase.batch_size * (per_example - (forward_flops(below) if cached else 0)),
        flops_uncut=phase.batch_size * per_example,
        weights=_WEIGHT
        * measure_held(variable for decision in plan.decisions for variable in decision.planned_variables),
        gradients=_WEIGHT * trained,
        optimizer=_WEIGHT
        * (_SLOTS[phase.optimizer] + (phase.accumulate > 1) + (phase.averaged_by is not None))
        * trained,
        activations=width * examples * (_activations(calls) - _activations(below)),
        devices=recipe.devices,
    )


def _activations(calls: Sequence[Call]) -> int:
    return sum(call.cost.activations for call in calls)
