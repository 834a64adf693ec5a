"""What the rules of a phase decide for each variable of a model: which weights train and which stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftapp.models.keras_internals import own_weights
from ftapp.models.layers import ModelLayer, own_variables, size_of
from ftapp.recipe import Recipe, layer_rules
from ftapp.recipe.layer_rules import Rule, WeightedLayer


@dataclass(frozen=True)
class LayerDecision:
    """What the rules decide for one layer and for each of its own variables.

    Attributes:
        description: The layer as the rules see it.
        layer: The Keras layer.
        trainable: Whether the layer trains.
        rule: The rule that decided; None where no rule matches, and the layer trains.
        trained: The variables that the optimizer changes.
        frozen: The variables that stay bitwise as they are. Variables that are neither are moving statistics of a layer
            that trains: they follow the data.
    """

    description: WeightedLayer
    layer: Any
    trainable: bool
    rule: Rule | None
    trained: tuple[Any, ...]
    frozen: tuple[Any, ...]

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
        """The number of the layer's parameters, moving statistics included."""
        return size_of(self.variables)

    @property
    def trainable_parameters(self) -> int:
        """The number of parameters that the optimizer changes; moving statistics are never among them."""
        return size_of(self.trained)


@dataclass(frozen=True)
class LayerPlan:
    """The decisions of one phase about all weighted layers of a model, in the model's order."""

    rules: tuple[Rule, ...]
    decisions: tuple[LayerDecision, ...]

    @property
    def descriptions(self) -> list[WeightedLayer]:
        """The layers as the rules see them."""
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

    @functools.cached_property
    def problems(self) -> list[str]:
        """The reasons why the phase cannot train: selections that match no layer, or no layer that trains."""
        messages = layer_rules.find_unmatched(self.rules, self.descriptions)
        if not messages and not self.trainable_parameters:
            messages.append(layer_rules.say_nothing_trains(self.rules))
        return messages


def plan_phases(recipe: Recipe, layers: Sequence[ModelLayer]) -> list[LayerPlan]:
    """Plan all phases of a recipe.

    Args:
        recipe: The recipe, whose rules are parsed.
        layers: The weighted layers of its model.
    """
    return [plan_layers(layers, phase.layers) for phase in recipe.phase]


def plan_layers(layers: Sequence[ModelLayer], rules: Sequence[Rule]) -> LayerPlan:
    """Decide what the rules of a phase make of a model's layers.

    A layer that trains trains all of its weights, and its moving statistics follow the data; of a frozen layer, weights
    and statistics stay.
    """
    trainable, deciding = layer_rules.decide(rules, [each.description for each in layers])
    return LayerPlan(
        rules=tuple(rules),
        decisions=tuple(
            LayerDecision(
                description=each.description,
                layer=each.layer,
                trainable=trains,
                rule=rule,
                trained=tuple(own_weights(each.layer)) if trains else (),
                frozen=() if trains else tuple(own_variables(each.layer)),
            )
            for each, trains, rule in zip(layers, trainable, deciding, strict=True)
        ),
    )
