"""The layers of a model with their sizes, as the interface draws them and rules decide about them."""

from __future__ import annotations

import functools

import msgspec

from ftapp.recipe.layer_rules import WeightedLayer


class Layer(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A layer that holds weights: its own, so that rules decide about it, or in layers inside of it (a container).

    Attributes:
        path: Names from the top of the model down, joined by "/".
        kind: The name of its class.
        parameters: How many of its own it has, moving statistics included.
        trainable: How many of those the optimizer changes when the layer trains.
        weighted: Whether it holds weights of its own.
        shape: Of its output for one example; None where Keras cannot tell it.
        flops: Of its own part of the forward pass for one example; None likewise.
        groups: As in `ftapp.recipe.layer_rules.WeightedLayer`.
        block: Likewise; a container's block is that of the layers inside, None where they lie in several.
    """

    path: str
    kind: str
    parameters: int
    trainable: int
    weighted: bool
    shape: tuple[int, ...] | None
    flops: int | None
    groups: tuple[str, ...]
    block: int | None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The path of the layer around it; "" at the top."""
        return self.path.rpartition("/")[0]


class Structure(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The layers of a model, parents before children, each group of siblings in the order of the network.

    Attributes:
        layers: The layers.
        blocks: How many repeated blocks there are.
        classes: How many the head tells apart; None for language models, and where the data did not tell and the
            head is drawn for two.
    """

    layers: tuple[Layer, ...]
    blocks: int
    classes: int | None

    @functools.cached_property
    def weighted(self) -> tuple[Layer, ...]:
        """The layers that rules decide about, in the order of `weighted_layers`."""
        return tuple(layer for layer in self.layers if layer.weighted)

    @functools.cached_property
    def weighted_layers(self) -> tuple[WeightedLayer, ...]:
        """What `ftapp.recipe.layer_rules.decide` takes."""
        return tuple(
            WeightedLayer(layer.path, frozenset(layer.groups), layer.block, self.blocks) for layer in self.weighted
        )

    @functools.cached_property
    def parameters(self) -> int:
        """Of the whole model, moving statistics included."""
        return sum(layer.parameters for layer in self.layers)
