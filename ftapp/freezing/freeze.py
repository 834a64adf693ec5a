"""Which layers of a model train: its layers as the rules' language sees them, and `layer.trainable` set by rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ftapp.models.layers import describe_layers, drops, own_variables, size_of
from ftapp.recipe import layer_rules
from ftapp.recipe.layer_rules import Rule, Unit


@dataclass(frozen=True)
class Decision:
    """What the rules made of one layer: whether it trains, and the rule that said so (None: no rule spoke of it)."""

    unit: Unit
    layer: Any
    trainable: bool
    rule: Rule | None

    @property
    def parameters(self) -> int:
        """How many parameters the layer has, moving statistics included."""
        return size_of(own_variables(self.layer))

    @property
    def trainable_parameters(self) -> int:
        """How many of them the optimizer changes: none when frozen, and never moving statistics."""
        return size_of(self.layer._trainable_variables) if self.trainable else 0


def decide(model: Any, backbone: Any, phase_rules: Sequence[str]) -> list[Decision]:
    """What the rules make of each weighted layer, without changing the model."""
    parsed = [layer_rules.parse_rule(text) for text in phase_rules]
    found, layers = describe_layers(model, backbone)
    trainable, deciding = layer_rules.decide(parsed, found)
    return [Decision(*parts) for parts in zip(found, layers, trainable, deciding, strict=True)]


def problems(model: Any, backbone: Any, phase_rules: Sequence[str]) -> list[str]:
    """Why a phase cannot train this model with these rules: selections that match nothing, or nothing that trains."""
    decisions = decide(model, backbone, phase_rules)
    messages = layer_rules.unmatched(
        [layer_rules.parse_rule(text) for text in phase_rules], [each.unit for each in decisions]
    )
    if not messages and not any(decision.trainable_parameters for decision in decisions):
        messages.append(layer_rules.nothing_trains(phase_rules))
    return messages


def apply(model: Any, decisions: Sequence[Decision]) -> None:
    """Set `layer.trainable` on the model and all its layers as decided. The model must be compiled anew afterwards.

    Enclosing layers are trainable, since a frozen one would freeze all in it; BatchNormalization that is frozen runs
    in inference mode and keeps its moving statistics (Keras's own rule);
    so does one that holds nothing but these, as the normalization of a new head.
    """
    model.trainable = True
    for decision in decisions:
        decision.layer.trainable = decision.trainable and bool(decision.layer._trainable_variables)


@contextmanager
def quiet(model: Any, below: Iterable[Any] = ()) -> Iterator[None]:
    """While the context lasts, dropout in frozen layers is off: they compute in training what they do in inference.

    These are the layers that hold weights, none of which train, with all layers inside of them (an attention with the
    dropout of its scores), and those of `below`, layers without weights among frozen ones. A model that trains in the
    context must be compiled in it.
    """
    frozen = [layer for layer in model._flatten_layers() if layer is not model and layer.weights]
    frozen = [layer for layer in frozen if not layer.trainable_weights]
    inside = {id(part): part for layer in (*frozen, *below) for part in layer._flatten_layers()}
    with dropping((part, 0.0) for part in inside.values() if drops(part)):
        yield


@contextmanager
def dropping(rates: Iterable[tuple[Any, float]]) -> Iterator[None]:
    """While the context lasts, these layers drop at these rates."""
    wanted = list(rates)
    former = [(layer, layer.rate) for layer, _ in wanted]
    try:
        for layer, rate in wanted:
            layer.rate = rate
        yield
    finally:
        for layer, rate in former:
            layer.rate = rate
