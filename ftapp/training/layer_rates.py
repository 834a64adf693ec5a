"""The learning rate of each layer: a phase's table of rates by selections, and layer-wise decay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.adapters import find_part
from ftapp.recipe import Phase, rule_problems
from ftapp.recipe.layer_rules import Part, WeightedLayer


def find_depths(layers: Sequence[WeightedLayer]) -> list[int]:
    """Count the layers of the network above each layer, a block being one. layers: from the input to the output.

    With n blocks it is 0 for the head, which is all that is not in the backbone, and for what the backbone has above
    its last block (pooler, final norm); 1 for the last block, n for the first; and n + 1 for what lies below them
    (embeddings, stem). What lies between two blocks counts with the lower one.
    """
    # How many blocks begin at a layer or before it.
    reached = accumulate((layer.block + 1 if layer.block is not None else 0 for layer in layers), max)
    return [_depth(layer, blocks) for layer, blocks in zip(layers, reached, strict=True)]


def _depth(layer: WeightedLayer, blocks: int) -> int:
    if "backbone" not in layer.groups:
        return 0
    if layer.block is not None:
        return layer.blocks - layer.block
    if "embeddings" in layer.groups or blocks == 0:
        return layer.blocks + 1
    return 0 if blocks == layer.blocks else layer.blocks - blocks + 1


def rates_by_layer(phase: Phase, layers: Sequence[WeightedLayer], part: Part = "weights") -> list[float | None]:
    """Give the learning rate of a part of each layer when the phase's schedule is at its height.

    It is None where the table names none.

    Discriminative fine-tuning (Howard & Ruder 2018, ULMFiT, section 3.2): the rate of the layers at depth d is
    `layer_decay` ** d times what the recipe gives them; depths are those of BEiT (Bao et al. 2022).
    """
    rates: list[float | None] = []
    for layer, depth in zip(layers, find_depths(layers), strict=True):
        found = [rate for chosen, rate in phase.rates.items() if part in chosen.find_parts(layer)]
        rates.append(found[-1] * phase.layer_decay**depth if found else None)
    return rates


def find_problems(phase: Phase, plan: LayerPlan) -> list[str]:
    """Find why a phase's table of rates does not fit a model: selections that match nothing, layers without a rate."""
    if not isinstance(phase.learning_rate, dict):
        return []
    messages = rule_problems.find_unmatched(list(phase.rates), plan.descriptions)
    without = list(dict.fromkeys(path for path, _, rate in _list_rates(phase, plan) if rate is None))
    if without and not messages:
        others = f" and {len(without) - 1} more" if len(without) > 1 else ""
        messages.append(
            f"every layer that trains has a learning rate; no selection reaches '{without[0]}'{others}; "
            f"put 'all' first, for example all = {min(phase.learning_rate.values())}"
        )
    return messages


def list_multipliers(phase: Phase, plan: LayerPlan) -> list[tuple[Any, float]]:
    """List each variable that trains, with its rate as a multiple of the phase's base rate."""
    rates = _list_rates(phase, plan)
    return [(variable, rate / phase.base_rate) for _, variable, rate in rates if rate is not None]


def _list_rates(phase: Phase, plan: LayerPlan) -> list[tuple[str, Any, float | None]]:
    """List the path of the layer, the variable and the rate of all that trains."""
    rates = {part: rates_by_layer(phase, plan.descriptions, part) for part in ("weights", "biases", "adapters")}
    return [
        (decision.path, variable, rates[find_part(variable)][index])
        for index, decision in enumerate(plan.decisions)
        for variable in decision.trained
    ]
