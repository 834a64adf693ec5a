"""Freezes a model's layers as a plan decides, and switches dropout off in frozen layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.layers import get_dropout_rate, has_dropout, set_dropout_rate


def apply(model: Any, plan: LayerPlan) -> None:
    """Set `trainable` of the model, its layers and variables as planned; the model must be compiled anew afterwards.

    Enclosing layers are trainable, since a frozen one would freeze all in it. A frozen BatchNormalization runs in
    inference mode and keeps its moving statistics (Keras's own rule); so does a layer that holds nothing but these,
    such as the normalization of a new head.
    """
    model.trainable = True
    for decision in plan.decisions:
        decision.layer.trainable = bool(decision.trained)
        if decision.trained:  # Keras leaves the variables as they are where the layer's flag does not change
            for variable in decision.trained:
                variable.trainable = True
            for variable in decision.frozen:
                variable.trainable = False


@contextmanager
def dropout_disabled(model: Any, below: Iterable[Any] = ()) -> Iterator[None]:
    """Switch dropout off in frozen layers until the context ends, so that they compute the same as in inference.

    Frozen layers are those that hold weights, none of which train, with all layers inside of them (an attention with
    the dropout of its scores). A model that trains in the context must be compiled in it.

    Args:
        model: The whole model.
        below: Layers without weights among frozen ones.
    """
    frozen = [layer for layer in flatten_layers(model) if layer is not model and layer.weights]
    frozen = [layer for layer in frozen if not layer.trainable_weights]
    inside = {id(part): part for layer in (*frozen, *below) for part in flatten_layers(layer)}
    with dropout_rates((part, 0.0) for part in inside.values() if has_dropout(part)):
        yield


@contextmanager
def dropout_rates(rates: Iterable[tuple[Any, float]]) -> Iterator[None]:
    """Set the dropout rates of layers until the context ends."""
    wanted = list(rates)
    former = [(layer, get_dropout_rate(layer)) for layer, _ in wanted]
    try:
        for layer, rate in wanted:
            set_dropout_rate(layer, rate)
        yield
    finally:
        for layer, rate in former:
            set_dropout_rate(layer, rate)
