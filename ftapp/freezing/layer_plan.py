"""What the rules of a phase decide for each variable of a model: which weights train and which stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftapp.models.adapters import find_part, list_weights
from ftapp.models.keras_internals import own_statistics
from ftapp.models.layers import ModelLayer, own_variables, size_of
from ftapp.recipe import Recipe, layer_rules, rule_problems
from ftapp.recipe.layer_rules import Adapter, Rule, Treatment, WeightedLayer


@dataclass(frozen=True)
class LayerDecision:
    """What the rules decide for one layer and for each of its own variables.

    Attributes:
        treatment: What the rules make of the layer.
        layer: The Keras layer.
        rule: The last rule that matches; None where no rule does, and the layer trains.
        trained: The variables that the optimizer changes. Before adapters are added to the model, their factors are
            planned ones (`ftapp.models.adapters.PlannedFactor`).
        frozen: The variables that stay bitwise as they are. Variables that are neither are moving statistics of a layer
            that trains: they follow the data.
    """

    treatment: Treatment
    layer: Any
    rule: Rule | None
    trained: tuple[Any, ...]
    frozen: tuple[Any, ...]

    @property
    def description(self) -> WeightedLayer:
        """The layer as the rules see it, with its adapter."""
        return self.treatment.layer

    @property
    def trainable(self) -> bool:
        """Whether a part of the layer trains."""
        return self.treatment.trains

    @property
    def path(self) -> str:
        """The names of the layer and of those around it, joined by "/"."""
        return self.description.path

    @property
    def variables(self) -> list[Any]:
        """The layer's own variables, moving statistics included."""
        return own_variables(self.layer)

    @property
    def parameters(self) -> int:
        """The number of the layer's parameters, moving statistics and planned factors included."""
        return size_of(self.planned_variables)

    @property
    def planned_variables(self) -> list[Any]:
        """The layer's own variables, moving statistics and planned factors included."""
        return list({id(each): each for each in (*self.variables, *self.trained, *self.frozen)}.values())

    @property
    def trainable_parameters(self) -> int:
        """The number of parameters that the optimizer changes; moving statistics are never among them."""
        return size_of(self.trained)


@dataclass(frozen=True)
class LayerPlan:
    """The decisions of one phase about all weighted layers of a model, in the model's order.

    Attributes:
        rules: The rules of the phase.
        before: The layers as the rules see them, with the adapters of the phases before.
        decisions: The decisions.
    """

    rules: tuple[Rule, ...]
    before: tuple[WeightedLayer, ...]
    decisions: tuple[LayerDecision, ...]

    @property
    def descriptions(self) -> list[WeightedLayer]:
        """The layers as the rules see them, with the adapters that they have in the phase."""
        return [decision.description for decision in self.decisions]

    @property
    def trained_layers(self) -> list[LayerDecision]:
        """The decisions about the layers that train."""
        return [decision for decision in self.decisions if decision.trainable]

    @property
    def changing(self) -> list[Any]:
        """The variables that training changes: weights that train, and moving statistics of the layers that train."""
        kept = {id(variable) for decision in self.trained_layers for variable in decision.frozen}
        variables = [variable for decision in self.trained_layers for variable in decision.variables]
        return [variable for variable in variables if id(variable) not in kept]

    @functools.cached_property
    def parameters(self) -> int:
        """The number of all parameters, moving statistics included."""
        return sum(decision.parameters for decision in self.decisions)

    @functools.cached_property
    def trainable_parameters(self) -> int:
        """The number of parameters that the optimizer changes."""
        return sum(decision.trainable_parameters for decision in self.decisions)

    @property
    def trainable_share(self) -> float:
        """R: the share of the parameters that train, from 0 to 1."""
        return self.trainable_parameters / max(1, self.parameters)

    @property
    def adapter_parameters(self) -> int:
        """The number of parameters of adapters that train."""
        return size_of([each for layer in self.decisions for each in layer.trained if find_part(each) == "adapters"])

    @functools.cached_property
    def problems(self) -> list[str]:
        """The reasons why the phase cannot train, in sentences."""
        return rule_problems.find_problems(self.rules, self.before)


def plan_phases(recipe: Recipe, layers: Sequence[ModelLayer]) -> list[LayerPlan]:
    """Plan all phases of a recipe.

    Args:
        recipe: The recipe, whose rules are parsed.
        layers: The weighted layers of its model.
    """
    plans: list[LayerPlan] = []
    for phase in recipe.phase:
        layers = carry_adapters(plans[-1], layers) if plans else layers
        plans.append(plan_layers(layers, phase.layers))
    return plans


def plan_phase(recipe: Recipe, index: int, layers: Sequence[ModelLayer], rules: Sequence[Rule]) -> LayerPlan:
    """Plan a phase of a recipe with rules in place of its own.

    Args:
        recipe: The recipe, whose rules give adapters in the phases before.
        index: The index of the phase, from 0.
        layers: The weighted layers of its model.
        rules: The rules of the phase.
    """
    for phase in recipe.phase[:index]:
        layers = carry_adapters(plan_layers(layers, phase.layers), layers)
    return plan_layers(layers, rules)


def carry_adapters(plan: LayerPlan, layers: Sequence[ModelLayer]) -> list[ModelLayer]:
    """Give layers the adapters that they have in a plan, and keep in what follows it."""
    return [replace(each, description=now) for each, now in zip(layers, plan.descriptions, strict=True)]


def list_adapters(plan: LayerPlan) -> list[tuple[str, Any, Adapter]]:
    """List the path, the layer and the adapter of each layer that has one in a plan."""
    return [(each.path, each.layer, each.description.adapter) for each in plan.decisions if each.description.adapter]


def plan_layers(layers: Sequence[ModelLayer], rules: Sequence[Rule]) -> LayerPlan:
    """Decide what the rules of a phase make of a model's layers.

    The moving statistics of a layer that trains follow the data; those of a frozen layer stay.

    Args:
        layers: The weighted layers of the model, with the adapters of the phases before.
        rules: The rules of the phase, in order.
    """
    before = tuple(each.description for each in layers)
    treatments, deciding = layer_rules.decide(rules, before)
    decided = zip(layers, treatments, deciding, strict=True)
    return LayerPlan(tuple(rules), before, tuple(_decide(each.layer, made, rule) for each, made, rule in decided))


def _decide(layer: Any, treatment: Treatment, rule: Rule | None) -> LayerDecision:
    weights = list_weights(layer, treatment.layer.adapter)
    trained = tuple(each for each in weights if find_part(each) in treatment.parts)
    frozen = [each for each in weights if find_part(each) not in treatment.parts]
    if not treatment.trains:
        frozen += own_statistics(layer)
    return LayerDecision(treatment=treatment, layer=layer, rule=rule, trained=trained, frozen=tuple(frozen))
