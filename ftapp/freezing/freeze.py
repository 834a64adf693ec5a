"""`layer.trainable` set as a plan decides, and dropout switched off in what is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.layers import has_dropout


def apply(model: Any, plan: LayerPlan) -> None:
    """Set what trains in the model and all its layers as planned. The model must be compiled anew afterwards.

    Enclosing layers are trainable, since a frozen one would freeze all in it. A frozen BatchNormalization runs in
    inference mode and keeps its moving statistics (Keras's own rule); so does a layer that holds nothing but these,
    such as the normalization of a new head.
    """
    model.trainable = True
    for decision in plan.decisions:
        decision.layer.trainable = bool(decision.trained)
        if decision.trained:
            for variable in decision.frozen:
                variable.trainable = False


@contextmanager
def dropout_disabled(model: Any, below: Iterable[Any] = ()) -> Iterator[None]:
    """While the context lasts, dropout in frozen layers is off: they compute in training what they do in inference.

    These are the layers that hold weights, none of which train, with all layers inside of them (an attention with the
    dropout of its scores), and those of `below`, layers without weights among frozen ones. A model that trains in the
    context must be compiled in it.
    """
    frozen = [layer for layer in flatten_layers(model) if layer is not model and layer.weights]
    frozen = [layer for layer in frozen if not layer.trainable_weights]
    inside = {id(part): part for layer in (*frozen, *below) for part in flatten_layers(layer)}
    with dropout_rates((part, 0.0) for part in inside.values() if has_dropout(part)):
        yield


@contextmanager
def dropout_rates(rates: Iterable[tuple[Any, float]]) -> Iterator[None]:
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
