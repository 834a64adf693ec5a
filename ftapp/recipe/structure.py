"""The layers of a model with their sizes, as the interface draws them and rules decide about them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import msgspec

from ftapp.recipe.layer_rules import Adapter, Rule, Treatment, WeightedLayer, add_adapters


class Layer(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A layer that holds weights: its own, so that rules decide about it, or in layers inside of it (a container).

    Attributes:
        path: Names from the top of the model down, joined by "/".
        kind: The name of its class.
        parameters: How many of its own it has, moving statistics included, without an adapter.
        trainable: How many of those the optimizer changes when the layer trains.
        weighted: Whether it holds weights of its own.
        shape: Of its output for one example; None where Keras cannot tell it.
        flops: Of its own part of the forward pass for one example; None likewise.
        groups: As in `ftapp.recipe.layer_rules.WeightedLayer`.
        block: Likewise; a container's block is that of the layers inside, None where they lie in several.
        biases: Likewise.
        kernel: Likewise.
        adapter: Likewise.
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
    biases: int = 0
    kernel: tuple[int, int] | None = None
    adapter: Adapter | None = None

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
            WeightedLayer(
                path=layer.path,
                groups=frozenset(layer.groups),
                block=layer.block,
                blocks=self.blocks,
                biases=layer.biases,
                kernel=layer.kernel,
                adapter=layer.adapter,
            )
            for layer in self.weighted
        )

    @functools.cached_property
    def parameters(self) -> int:
        """Of the whole model, moving statistics included."""
        return sum(layer.parameters for layer in self.layers)

    def carry_adapters(self, phases: Iterable[Sequence[Rule]]) -> Structure:
        """Give the layers the adapters that they have after some phases.

        Args:
            phases: The rules of each phase, in order.
        """
        layers: Sequence[WeightedLayer] = self.weighted_layers
        for rules in phases:
            layers = add_adapters(rules, layers)
        adapters = {layer.path: layer.adapter for layer in layers}
        return msgspec.structs.replace(
            self,
            layers=tuple(msgspec.structs.replace(each, adapter=adapters.get(each.path)) for each in self.layers),
        )

    def count_trained(self, treatments: Sequence[Treatment]) -> int:
        """Count the parameters that the optimizer changes. treatments: of the weighted layers."""
        return sum(
            ("weights" in each.parts) * (layer.trainable - layer.biases)
            + ("biases" in each.parts) * layer.biases
            + ("adapters" in each.parts) * each.layer.adapter_parameters
            for layer, each in zip(self.weighted, treatments, strict=True)
        )

    def count_parameters(self, treatments: Sequence[Treatment]) -> int:
        """Count the parameters of the whole model with its adapters. treatments: of the weighted layers."""
        return self.parameters + sum(each.layer.adapter_parameters for each in treatments)
