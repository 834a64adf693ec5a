"""The learning rate of each layer: a phase's table of rates by selections, and layer-wise decay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ftapp.freezing.freeze import Decision
from ftapp.recipe import Phase, layer_rules
from ftapp.recipe.layer_rules import Unit


def depths(units: Sequence[Unit]) -> list[int]:
    """How many layers of the network, a block being one, lie above each unit. units: from the input to the output.

    With n blocks it is 0 for the head, which is all that is not in the backbone, and for what the backbone has above
    its last block (pooler, final norm); 1 for the last block, n for the first; and n + 1 for what lies below them
    (embeddings, stem). What lies between two blocks counts with the lower one.
    """
    # How many blocks begin at a unit or before it.
    reached = accumulate((unit.block + 1 if unit.block is not None else 0 for unit in units), max)
    return [_depth(unit, begun) for unit, begun in zip(units, reached, strict=True)]


def _depth(unit: Unit, begun: int) -> int:
    if "backbone" not in unit.groups:
        return 0
    if unit.block is not None:
        return unit.blocks - unit.block
    if "embeddings" in unit.groups or begun == 0:
        return unit.blocks + 1
    return 0 if begun == unit.blocks else unit.blocks - begun + 1


def by_unit(phase: Phase, units: Sequence[Unit]) -> list[float | None]:
    """The learning rate of each unit when the phase's schedule is at its height; None where the table names none.

    Discriminative fine-tuning (Howard & Ruder 2018, ULMFiT, section 3.2): the rate of the layers at depth d is
    `layer_decay` ** d times what the recipe gives them; depths are those of BEiT (Bao et al. 2022).
    """
    table = phase.learning_rate if isinstance(phase.learning_rate, dict) else {"all": phase.learning_rate}
    selections = [(layer_rules.parse_selections(text), rate) for text, rate in table.items()]
    made: list[float | None] = []
    for unit, depth in zip(units, depths(units), strict=True):
        given = [rate for chosen, rate in selections if chosen.matches(unit)]
        made.append(given[-1] * phase.layer_decay**depth if given else None)
    return made


def problems(phase: Phase, decisions: Sequence[Decision]) -> list[str]:
    """Why a phase's table of rates does not fit this model: selections that match nothing, layers without a rate."""
    if not isinstance(phase.learning_rate, dict):
        return []
    units = [decision.unit for decision in decisions]
    messages = layer_rules.unmatched([layer_rules.parse_selections(text) for text in phase.learning_rate], units)
    without = [
        decision.unit.path
        for decision, rate in zip(decisions, by_unit(phase, units), strict=True)
        if rate is None and decision.trainable_parameters
    ]
    if without and not messages:
        others = f" and {len(without) - 1} more" if len(without) > 1 else ""
        messages.append(
            f"every layer that trains has a learning rate; no selection reaches '{without[0]}'{others}; "
            f"put 'all' first, for example all = {min(phase.learning_rate.values())}"
        )
    return messages


def multipliers(phase: Phase, decisions: Sequence[Decision]) -> list[tuple[Any, float]]:
    """Each variable that trains, with its layer's rate as a multiple of the phase's base rate."""
    rates = by_unit(phase, [decision.unit for decision in decisions])
    return [
        (variable, rate / phase.base_rate)
        for decision, rate in zip(decisions, rates, strict=True)
        if decision.trainable and rate is not None
        for variable in decision.layer._trainable_variables
    ]
