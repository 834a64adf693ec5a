"""The plans of a run's segments: what trains by the rules of the recipe and by those that were commanded."""

from __future__ import annotations

from collections.abc import Sequence

from ftapp.freezing.layer_plan import LayerPlan, carry_adapters, plan_layers
from ftapp.recipe.layer_rules import Rule
from ftapp.training.setup import Setup
from ftapp.training.state import TrainState


def plan_segment(setup: Setup, index: int, commanded: Sequence[str]) -> LayerPlan:
    """Plan a segment of a phase.

    Args:
        setup: What the run works on.
        index: The index of the phase, from 0.
        commanded: The commanded rules that are in force, which override those of the recipe.
    """
    if not commanded:
        return setup.plans[index]
    layers = carry_adapters(setup.plans[index], setup.layers)
    return plan_layers(layers, [*setup.recipe.phase[index].layers, *map(Rule, commanded)])


def list_plans(setup: Setup, state: TrainState) -> list[LayerPlan]:
    """List the plans of all segments so far, in order.

    Args:
        setup: What the run works on.
        state: The state of the training.
    """
    plans = []
    for index in range(state.position.phase + 1):
        rules = state.rules.get(index, [])
        in_force = state.in_force if index == state.position.phase else len(rules)
        plans += [plan_segment(setup, index, rules[:count]) for count in range(in_force + 1)]
    return plans
