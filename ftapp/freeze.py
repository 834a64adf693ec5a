"""Which layers of a model train: its layers as the rules' language sees them, and `layer.trainable` set by rules."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ftapp import rules
from ftapp.rules import Rule, Unit

# Names by which KerasHub's backbones number their repeated blocks: stack0_block1 (ResNet), block5_conv1 (VGG),
# block2a (EfficientNet), transformer_layer_3 (BERT, GPT-2), transformer_block_3 (ViT).
_BLOCK_NAMES = (
    re.compile(r"stack\d+_block\d+"),
    re.compile(r"block\d+[a-z]?(?=_|$)"),
    re.compile(r"\w*(?:layer|block)_\d+(?=_|$)"),
)


# Endings of classes that are whole blocks, even where their names speak of attention (DeBERTa).
_BLOCK_KINDS = ("Encoder", "Decoder", "Layer", "Block")


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
        return _size(own_variables(self.layer))

    @property
    def trainable_parameters(self) -> int:
        """How many of them the optimizer changes: none when frozen, and never moving statistics."""
        return _size(self.layer._trainable_variables) if self.trainable else 0


def _size(variables: Sequence[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def own_variables(layer: Any) -> list[Any]:
    """The weights that belong to the layer itself, not to layers inside of it. Random layers' seeds are not weights."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def weighted_layers(model: Any) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """(path, layer, enclosing layers) of each layer that holds weights of its own, parents before children."""
    seen: set[int] = set()

    def walk(layer: Any, path: tuple[str, ...], parents: tuple[Any, ...]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        if own_variables(layer):
            yield "/".join(path), layer, parents
        for child in layer._layers:
            yield from walk(child, (*path, child.name), (*parents, layer))

    for layer in model.layers:
        yield from walk(layer, (layer.name,), ())


def units(model: Any, backbone: Any) -> tuple[list[Unit], list[Any]]:
    """The model's weighted layers as units of the rules, and the layers themselves in the same order.

    model: the Functional model that trains; backbone: the pretrained model whose layers it contains.
    """
    pretrained = {id(layer) for layer in backbone._flatten_layers()}
    found = list(weighted_layers(model))
    names = [_block_name(path) if id(layer) in pretrained else None for path, layer, _ in found]
    blocks = list(dict.fromkeys(name for name in names if name is not None))
    made = [
        Unit(
            path=path,
            groups=frozenset(_groups(path, layer, parents, id(layer) in pretrained, name is not None)),
            block=None if name is None else blocks.index(name),
            blocks=len(blocks),
        )
        for (path, layer, parents), name in zip(found, names, strict=True)
    ]
    return made, [layer for _, layer, _ in found]


def decide(model: Any, backbone: Any, phase_rules: Sequence[str]) -> list[Decision]:
    """What the rules make of each weighted layer, without changing the model."""
    parsed = [rules.parse_rule(text) for text in phase_rules]
    found, layers = units(model, backbone)
    trainable, deciding = rules.decide(parsed, found)
    return [Decision(*parts) for parts in zip(found, layers, trainable, deciding, strict=True)]


def problems(model: Any, backbone: Any, phase_rules: Sequence[str]) -> list[str]:
    """Why a phase cannot train this model with these rules: selections that match nothing, or nothing that trains."""
    decisions = decide(model, backbone, phase_rules)
    messages = rules.unmatched([rules.parse_rule(text) for text in phase_rules], [each.unit for each in decisions])
    if not messages and not any(decision.trainable_parameters for decision in decisions):
        messages.append(
            f"a phase trains at least one layer; {list(phase_rules)} freeze all; add for example 'train head'"
        )
    return messages


def apply(model: Any, decisions: Sequence[Decision]) -> None:
    """Set `layer.trainable` on the model and all its layers as decided. The model must be compiled anew afterwards.

    Enclosing layers are trainable, since a frozen one would freeze all in it; BatchNormalization that is frozen runs
    in inference mode and keeps its moving statistics (Keras's own rule).
    """
    model.trainable = True
    for decision in decisions:
        decision.layer.trainable = decision.trainable


def _block_name(path: str) -> str | None:
    for part in path.split("/"):
        for pattern in _BLOCK_NAMES:
            if match := pattern.match(part):
                return match[0]
    return None


def _groups(path: str, layer: Any, parents: tuple[Any, ...], pretrained: bool, in_block: bool) -> Iterator[str]:
    """The component groups of a layer, by the names and classes that KerasHub and Keras use."""
    if not pretrained:
        yield "head"
        return
    yield "backbone"
    kinds = [type(each).__name__ for each in (*parents, layer)]
    name = path.rsplit("/", 1)[-1]
    if "Norm" in kinds[-1]:
        yield "norms"
        if "embeddings" in path:
            yield "embeddings"
    elif any("Attention" in kind and not kind.endswith(_BLOCK_KINDS) for kind in kinds):
        yield "attention"
    elif any("Embedding" in kind for kind in kinds) or "embedding" in name:
        yield "embeddings"
    elif "pooled" in name or "pooler" in name:
        yield "pooler"
    elif in_block and ("Dense" in kinds[-1] or any("MLP" in kind.upper() for kind in kinds)):
        yield "mlp"
