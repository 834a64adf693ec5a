"""The structure of a model: its layers with their parents, sizes, shapes and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ftapp.models import flops
from ftapp.models.adapters import find_part
from ftapp.models.flops import Call
from ftapp.models.keras_internals import own_statistics, own_weights
from ftapp.models.layers import ModelLayer, size_of
from ftapp.recipe.layer_rules import WeightedLayer
from ftapp.recipe.structure import Layer, Structure


def describe_structure(
    weighted: Sequence[ModelLayer], classes: int | None, calls: Sequence[Call] | None = None
) -> Structure:
    """Describe the layers of a model.

    Args:
        weighted: The layers that hold weights.
        classes: As in `Structure`.
        calls: What the model computes for one example; without it, shapes and costs stay unknown.
    """
    shapes: dict[int, tuple[int, ...] | None] = {}
    for call in calls or ():
        shapes.setdefault(id(call.layer), call.shape)
    by_layer = {id(layer): cost.flops for layer, cost in flops.by_layer(calls or ()).items()}
    layers: list[Layer] = []
    places: dict[int, int] = {}  # of layers in the list
    inside: dict[int, set[int | None]] = {}  # blocks of the weighted layers in a container

    def add(path: str, layer: Any, description: WeightedLayer | None) -> None:
        places[id(layer)] = len(layers)
        weights = [each for each in own_weights(layer) if find_part(each) != "adapters"] if description else []
        layers.append(
            Layer(
                path=path,
                kind=type(layer).__name__,
                parameters=size_of([*weights, *own_statistics(layer)]) if description else 0,
                trainable=size_of(weights),
                weighted=description is not None,
                shape=shapes.get(id(layer)),
                flops=by_layer.get(id(layer), 0) if calls is not None else None,
                groups=tuple(sorted(description.groups)) if description else (),
                block=description.block if description else None,
                biases=description.biases if description else 0,
                kernel=description.kernel if description else None,
            )
        )

    for each in weighted:
        description = each.description
        for depth, parent in enumerate(each.parents, start=1):
            if id(parent) not in places:
                add("/".join(description.path.split("/")[:depth]), parent, None)
            inside.setdefault(places[id(parent)], set()).add(description.block)
        add(description.path, each.layer, description)
    for place, blocks in inside.items():
        if len(blocks) == 1 and not layers[place].weighted:
            layers[place] = msgspec.structs.replace(layers[place], block=blocks.pop())
    return Structure(layers=tuple(layers), blocks=weighted[0].description.blocks if weighted else 0, classes=classes)
