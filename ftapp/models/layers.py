"""The layers of a model as the rules' language sees them: paths, groups, and repeated blocks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.models.adapters import find_kernel, find_part
from ftapp.models.keras_internals import flatten_layers, inner_layers, own_statistics, own_weights
from ftapp.recipe.layer_rules import WeightedLayer

# Names by which KerasHub's backbones number their repeated blocks: stack0_block1 (ResNet), block5_conv1 (VGG), block2a
# (EfficientNet), transformer_layer_3 (BERT, GPT-2), decoder_block_3 (Gemma), blocks_0 (Swin), layers_3 (DINOv2),
# block_2_1 (MobileNet's stage and block), stage_0_block_1 (CSPNet), hierarchical_encoder_0_1 (MiT), conformer_0 (audio
# encoders).
_BLOCK_NAME = re.compile(
    r"stack\d+_block\d+|block\d+[^_\d]?(?=_|$)|\w*?(?:layers?|blocks?|conformer|encoder_\d+)(?:_\d+)+(?=_|$)"
)


# Classes that are blocks where they stand in a model itself: MobileNetV5 leaves it to Keras to name its blocks.
_BLOCK_CLASS = re.compile(r"Residual|MobileAttention")


# What names and classes say of the layers in a block. RWKV's time mixing stands in the place of attention and its
# channel mixing in that of the feed-forward network (Peng et al. 2023).
_ATTENTION = re.compile(r"attention|attn|mha|time_?mix", re.IGNORECASE)


_FEED_FORWARD = re.compile(r"mlp|ffn|ffw|feed_?forward|moe|expert|router|channel_?mix", re.IGNORECASE)


# Dense layers of blocks that are neither: Gemma's inputs per layer and low-rank residuals, conformers' convolutions.
_BESIDE = re.compile(r"per_layer|altup|laurel|lconv", re.IGNORECASE)


# Not what leads out of an embedding, nor the stem of a convolution net.
_EMBEDDING = re.compile(r"(?<!un)embed(?!\w*stem)", re.IGNORECASE)


def size_of(variables: Sequence[Any]) -> int:
    """Count the numbers that variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)


def own_variables(layer: Any) -> list[Any]:
    """Return the weights and statistics of the layer itself, without those of layers inside and seeds."""
    return [*own_weights(layer), *own_statistics(layer)]


def copy_value(variable: Any) -> NDArray[Any]:
    """Copy the value of a variable to main memory, in C order. Waits for the device.

    TensorFlow hands out a copy, which is not copied again: memory for a second one costs as much as the first.
    """
    value: NDArray[Any] = keras.ops.convert_to_numpy(variable.value)
    return value if value.flags.owndata and value.flags.c_contiguous else np.array(value, order="C")


@contextmanager
def restore_values_after(variables: Iterable[Any]) -> Iterator[None]:
    """While the context lasts variables may change; when it ends they have the values again that they began with.

    Args:
        variables: Keras variables, each of which is copied to main memory.
    """
    kept = [(variable, copy_value(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def weighted_layers(model: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield (path, layer, enclosing layers) of each layer with weights of its own, parents before children.

    A layer with layers inside that the model calls itself has its path there, even where another layer holds it too, as
    Gemma 3n's embeddings hold its decoder.
    """
    seen: set[int] = set()
    called = {id(layer) for layer in model.layers if inner_layers(layer)}

    def walk(layer: Any, path: tuple[str, ...], parents: tuple[Any, ...]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        if own_variables(layer):
            yield "/".join(path), layer, parents
        for child in inner_layers(layer):
            if id(child) not in called:
                yield from walk(child, (*path, child.name), (*parents, layer))

    for layer in model.layers:
        yield from walk(layer, (layer.name,), ())


def name_variables(layers: Iterable[tuple[str, Iterable[Any]]]) -> dict[str, Any]:
    """Name variables by the path of their layer and their own name.

    Args:
        layers: Paths of layers, each with variables of the layer. A name that is taken gets primes, since nothing keeps
            a layer from giving two variables one name.
    """
    named: dict[str, Any] = {}
    for path, variables in layers:
        for variable in variables:
            name = f"{path}/{variable.name}"
            while name in named:
                name += "'"
            named[name] = variable
    return named


def read_settings(layer: Any) -> dict[str, Any]:
    """Return all that decides what a layer computes, beside its weights: its config.

    Layers of KerasHub that cannot tell their config, such as Llama's and Swin's, tell their plain attributes, and those
    of the layers inside.
    """
    try:
        config: dict[str, Any] = layer.get_config()
    except (AttributeError, TypeError):
        config = {key: value for key, value in sorted(vars(layer).items()) if key[0] != "_" and _is_plain(value)}
        config["layers"] = [(type(each).__name__, read_settings(each) | {"name": ""}) for each in inner_layers(layer)]
    return config


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@dataclass(frozen=True)
class ModelLayer:
    """A layer of a model that holds weights of its own.

    Attributes:
        description: The layer as the rules see it.
        layer: The Keras layer.
        parents: The layers around it, outermost first.
    """

    description: WeightedLayer
    layer: Any
    parents: tuple[Any, ...]


def describe_layers(model: Any, backbone: Any) -> list[ModelLayer]:
    """Return the model's weighted layers with what the rules see of them, in the model's order.

    Args:
        model: The Functional model that trains.
        backbone: The pretrained model whose layers it contains.
    """
    pretrained = {id(layer) for layer in flatten_layers(backbone)}
    found = list(weighted_layers(model))
    blocks = [_block((*parents, layer)) if id(layer) in pretrained else None for _, layer, parents in found]
    order = list(dict.fromkeys(block.path for block in blocks if block is not None))
    return [
        ModelLayer(
            WeightedLayer(
                path=path,
                groups=frozenset(_groups((*parents, layer), block) if id(layer) in pretrained else ["head"]),
                block=None if block is None else order.index(block.path),
                blocks=len(order),
                biases=size_of([each for each in own_weights(layer) if find_part(each) == "biases"]),
                kernel=find_kernel(layer),
            ),
            layer,
            parents,
        )
        for (path, layer, parents), block in zip(found, blocks, strict=True)
    ]


def block_ends(backbone: Any) -> dict[str, Any]:
    """Return the last layer of each repeated block, with or without weights, by the block's name, in order.

    Blocks inside of a layer of the backbone are left out.
    """
    found = [(block.path, layer) for layer in backbone.layers if (block := _block((layer,)))]
    weighted = {name for name, layer in found if layer.weights}  # others only sound like blocks, such as input_layer_1
    return {name: layer for name, layer in found if name in weighted}


def inner_blocks(backbone: Any) -> dict[str, Any]:
    """Return the repeated blocks inside of a layer of the backbone, such as a ViT's encoder, by the block's path."""
    lineages = ((*parents, layer) for _, layer, parents in weighted_layers(backbone))
    found = ((block, lineage) for lineage in lineages if (block := _block(lineage)))
    return {block.path: lineage[block.depth] for block, lineage in found if block.depth}


def has_dropout(layer: Any) -> bool:
    """Whether a layer leaves out random parts of its inputs while the model trains: dropout, or a dropped path."""
    return bool(get_dropout_rate(layer))


def get_dropout_rate(layer: Any) -> float:
    """Return the share of its inputs that a layer leaves out while the model trains; 0 of other layers."""
    return float(getattr(layer, _name_dropout_rate(layer), 0)) if "Drop" in type(layer).__name__ else 0.0


def set_dropout_rate(layer: Any, rate: float) -> None:
    """Set the share of its inputs that a layer with dropout leaves out. A compiled model has the share before."""
    setattr(layer, _name_dropout_rate(layer), rate)


def _name_dropout_rate(layer: Any) -> str:
    """Name the attribute with the rate: the dropped paths of Swin and MobileNetV5 have a name of their own."""
    return "drop_prob" if hasattr(layer, "drop_prob") else "rate"


@dataclass(frozen=True)
class _Block:
    """A repeated block: its path, and the depth in a layer's lineage at which the block or a part of it stands."""

    path: str
    depth: int


def _block(lineage: Sequence[Any]) -> _Block | None:
    """Find the block that a layer lies in, the outermost if blocks are nested; None outside of blocks.

    Args:
        lineage: The layer and those around it, outermost first.
    """
    for depth, layer in enumerate(lineage):
        name = _BLOCK_NAME.match(layer.name)
        in_model = depth == 0 or isinstance(lineage[depth - 1], keras.Model)
        if name or (in_model and _BLOCK_CLASS.search(type(layer).__name__)):
            around = [each.name for each in lineage[:depth]]
            return _Block("/".join([*around, name[0] if name else layer.name]), depth)
    return None


def _groups(lineage: Sequence[Any], block: _Block | None) -> Iterator[str]:
    """Yield the component groups of a pretrained layer, by the names and classes that KerasHub and Keras use.

    Args:
        lineage: The layer and those around it, outermost first.
        block: The block that it lies in.
    """
    yield "backbone"
    layer, kind = lineage[-1], type(lineage[-1]).__name__
    # What a block or a tower is called says nothing of its parts: DeBERTa's blocks are named after attention.
    parts = lineage[-2:] if block is None else lineage[block.depth + 1 :]
    words = [f"{part.name} {type(part).__name__}" for part in parts]
    feed_forward = ("Dense" in kind or _any(_FEED_FORWARD, words)) and not _any(_BESIDE, words)
    is_norm = "Norm" in kind
    if is_norm:
        yield "norms"
    # A norm is named after what it stands beside (self_attention_layer_norm), so what it lies in tells: norms of
    # queries, keys or heads are part of the attention, those in a wrapper around an attention are not.
    if _any(_ATTENTION, words[:-1] if is_norm else words):
        if not (is_norm and any("Attention" in type(each).__name__ for each in inner_layers(lineage[-2]))):
            yield "attention"
    elif _any(_EMBEDDING, [*words[-2:], *(variable.name for variable in own_variables(layer))]):
        yield "embeddings"
    elif "pool" in layer.name:
        yield "pooler"
    elif block is not None and parts and not is_norm and feed_forward:
        yield "mlp"


def _any(pattern: re.Pattern[str], words: Sequence[str]) -> bool:
    return any(pattern.search(word) for word in words)
