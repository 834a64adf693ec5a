"""Low-rank adapters of kernels (LoRA: Hu et al. 2022), with Keras's own `enable_lora` of its layers.

An adapter is two factors, A and B; the layer computes with its kernel + alpha / rank * A @ B. For a kernel of more than
two dimensions, such as that of a convolution or of the heads of an attention, Keras takes all dimensions but the last
as rows. B is zero at first, so that a new adapter changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ftapp.models.keras_internals import adapted_kernel, flatten_layers, own_weights, weights_hidden
from ftapp.recipe.layer_rules import Adapter, Part

_FACTORS = "lora_"  # with which the names of factors begin
_BIASES = ("bias", "beta")


@dataclass(frozen=True)
class PlannedFactor:
    """A factor that a model does not have yet."""

    name: str
    shape: tuple[int, ...]


def find_part(variable: Any) -> Part:
    """Find which part of its layer a weight is.

    Biases are the vectors that are added: those of layers, and the shifts of norms (Ben Zaken et al. 2022, section 3).
    T5's tables of relative positions are no biases, whatever their name.
    """
    name: str = variable.name
    if name.startswith(_FACTORS):
        return "adapters"
    is_bias = name in _BIASES or (name.endswith("_bias") and "relative" not in name)
    return "biases" if is_bias else "weights"


def find_kernel(layer: Any) -> tuple[int, int] | None:
    """Return the rows and columns of the kernel that an adapter can be added to; None where the layer takes none."""
    constraint = getattr(layer, "kernel_constraint", None) or getattr(layer, "embeddings_constraint", None)
    if isinstance(layer, keras.Model) or not hasattr(layer, "enable_lora") or not layer.built or constraint:
        return None
    shape = adapted_kernel(layer).shape
    return math.prod(shape[:-1]), shape[-1]


def list_weights(layer: Any, adapter: Adapter | None) -> list[Any]:
    """List the weights of the layer itself, with the factors that an adapter will add if it is not there yet."""
    weights = own_weights(layer)
    if adapter is None or layer.lora_enabled:
        return weights
    shape = tuple(adapted_kernel(layer).shape)
    first = PlannedFactor(f"{_FACTORS}kernel_a", (*shape[:-1], adapter.rank))
    return [*weights, first, PlannedFactor(f"{_FACTORS}kernel_b", (adapter.rank, shape[-1]))]


def is_factor(name: str) -> bool:
    """Whether a name is that of a factor of an adapter."""
    return name.rpartition("/")[2].startswith(_FACTORS)


def is_first_factor(name: str) -> bool:
    """Whether a name is that of a factor A, which has no gradient until B has moved."""
    return name.rpartition("/")[2] in ("lora_kernel_a", "lora_embeddings_a")


def add_adapters(adapters: Iterable[tuple[str, Any, Adapter]], seed: int) -> None:
    """Add adapters to layers that have none.

    Args:
        adapters: Paths of layers, the layers, and their adapters.
        seed: The first factor of a layer follows from this seed and the layer's path.
    """
    for path, layer, adapter in adapters:
        own = int.from_bytes(hashlib.blake2b(f"{seed} {path}".encode(), digest_size=4).digest()) >> 1
        layer.enable_lora(adapter.rank, lora_alpha=adapter.alpha, a_initializer=keras.initializers.HeUniform(seed=own))


@contextmanager
def adapters_added(adapters: Sequence[tuple[str, Any, Adapter]], seed: int) -> Iterator[None]:
    """While the context lasts, layers have these adapters, as `add_adapters` adds them. Then they have none again."""
    add_adapters(adapters, seed)
    try:
        yield
    finally:
        for _, layer, _ in adapters:
            for name in [each.name for each in own_weights(layer) if find_part(each) == "adapters"]:
                delattr(layer, name)
            layer.lora_enabled, layer.lora_rank = False, None


@contextmanager
def adapters_merged(model: Any) -> Iterator[None]:
    """While the context lasts, kernels have their adapters added, and no layer computes with one or names one.

    A model that is saved meanwhile is one without adapters, of equal outputs. The kernels are put back bitwise.
    """
    kept = []
    for layer in flatten_layers(model):
        if not getattr(layer, "lora_enabled", False):
            continue
        kernel = adapted_kernel(layer)
        value = np.array(keras.ops.convert_to_numpy(kernel.value))
        kept.append((layer, kernel, value, layer.lora_rank))
        first, second = (each.value for each in own_weights(layer) if find_part(each) == "adapters")
        product = keras.ops.convert_to_numpy(keras.ops.matmul(first, second))
        kernel.assign(value + product * np.float32(layer.lora_alpha / layer.lora_rank))
        layer.lora_enabled, layer.lora_rank = False, None
    with ExitStack() as hidden:
        for layer, *_ in kept:
            factors = [each for each in own_weights(layer) if find_part(each) == "adapters"]
            hidden.enter_context(weights_hidden(layer, factors))
        try:
            yield
        finally:
            for layer, kernel, value, rank in kept:
                kernel.assign(value)
                layer.lora_enabled, layer.lora_rank = True, rank
