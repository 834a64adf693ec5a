"""Why the rules of a phase do not fit a model, each problem in a sentence with the nearest valid choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ftapp.common.errors import suggest_nearest
from ftapp.recipe.layer_rules import (
    GROUPS,
    Rule,
    Selections,
    Term,
    WeightedLayer,
    add_adapters,
    decide,
    find_adapter_rule,
    selects,
)
from ftapp.recipe.phase_schema import Phase


def find_problems(rules: Sequence[Rule], layers: Sequence[WeightedLayer]) -> list[str]:
    """Find why a phase cannot train a model.

    Args:
        rules: The rules of the phase, in order.
        layers: The weighted layers of the model, with the adapters of the phases before.

    Returns:
        Messages about selections that match no layer and adapters that layers cannot have; without these, about a phase
        in which nothing trains.
    """
    messages = [*find_unmatched(rules, add_adapters(rules, layers)), *_find_adapter_problems(rules, layers)]
    if not messages and not any(each.trains for each in decide(rules, layers)[0]):
        messages.append(say_nothing_trains(rules))
    return messages


def find_phase_problems(phases: Sequence[Phase], layers: Sequence[WeightedLayer]) -> Iterator[tuple[str, str]]:
    """Find why the phases of a recipe cannot train a model.

    Args:
        phases: The phases, in order.
        layers: The weighted layers of the model before the first phase.

    Yields:
        The key of the rules or of the table of learning rates, and a message.
    """
    for phase in phases:
        yield from ((f"phase.{phase.name}.layers", message) for message in find_problems(phase.layers, layers))
        layers = add_adapters(phase.layers, layers)
        if isinstance(phase.learning_rate, dict):
            for message in find_unmatched(list(phase.learning_rate), layers):
                yield f"phase.{phase.name}.learning_rate", message


def find_unmatched(rules: Sequence[Selections], layers: Sequence[WeightedLayer]) -> list[str]:
    """Find the selections that match no layer.

    Args:
        rules: The rules of a phase, or the keys of a table of learning rates.
        layers: The weighted layers of a model.

    Returns:
        A message for each such selection, with the nearest names.
    """
    groups = [group for group in GROUPS if group == "all" or any(group in layer.groups for layer in layers)]
    names = dict.fromkeys([*groups, *(part for layer in layers for part in layer.path.split("/"))])
    parts = [(layer, part) for layer in layers for part in layer.parts]
    messages = []
    for rule in rules:
        for selection in rule.selections:
            if not any(all(term.matches(*each) for term in selection) for each in parts):
                alone = [term for term in selection if not any(term.matches(*each) for each in parts)]
                if [term.text for term in alone] == ["adapters"]:
                    messages.append(f"no layer has an adapter yet, for '{rule}'; 'lora:8 attention' adds some")
                    continue
                subject = alone[0].text if alone else " & ".join(term.text for term in selection)
                place = f", in '{rule}'" if subject != rule else ""
                messages.append(f"'{subject}' matches no layer of this model{place}; {suggest_nearest(subject, names)}")
    return messages


def _find_adapter_problems(rules: Sequence[Rule], layers: Sequence[WeightedLayer]) -> list[str]:
    """Find the rules that give adapters to layers that cannot have them.

    Args:
        rules: The rules of a phase.
        layers: The weighted layers of the model, with the adapters of the phases before.

    Returns:
        A message for each such rule.
    """
    messages = []
    for rule in rules:
        selections = rule.selections if rule.adapter else ()
        found = [message for each in selections for message in _refuse_adapters(rules, rule, each, layers)]
        messages += found[:1]
    return messages


def _refuse_adapters(
    rules: Sequence[Rule], rule: Rule, selection: Sequence[Term], layers: Sequence[WeightedLayer]
) -> Iterator[str]:
    """Say why layers of a selection cannot have the adapter of a rule.

    Layers without a kernel stand among those of a group or name, such as query_norm beside query. They are frozen, and
    refused where a selection has no others.
    """
    chosen = [layer for layer in layers if any(selects(selection, layer, part) for part in layer.parts)]
    # Another rule may come after it for a layer that could have an adapter.
    able = [layer for layer in chosen if layer.kernel]
    for layer in [layer for layer in able if find_adapter_rule(rules, layer) is rule] if able else chosen:
        if message := _refuse_adapter(rule, layer, layers):
            yield message


def _refuse_adapter(rule: Rule, layer: WeightedLayer, layers: Sequence[WeightedLayer]) -> str:
    """Say why a layer cannot have the adapter of a rule; "" where it can."""
    assert rule.adapter
    if layer.kernel is None:
        able = [each.path for each in layers if each.kernel and "head" not in each.groups]
        others = [path for path in able if path.rpartition("/")[0] == layer.path.rpartition("/")[0]]
        return (
            f"'{layer.path}' has no kernel that Keras adds an adapter to, in '{rule}'; name layers that take one; "
            f"{suggest_nearest(layer.path, others or able)}"
        )
    if rule.adapter.rank > min(layer.kernel):
        rows, columns = layer.kernel
        return (
            f"rank {rule.adapter.rank} is too large for the kernel of '{layer.path}', in '{rule}', which has {rows:,} "
            f"rows and {columns:,} columns; the most is {min(layer.kernel)}"
        )
    if layer.adapter and layer.adapter != rule.adapter:
        kept = layer.adapter
        verb = f"lora:{kept.rank}" + (f":{kept.alpha}" if kept.alpha != kept.rank else "")
        return (
            f"'{layer.path}' has an adapter of rank {kept.rank} and alpha {kept.alpha} from an earlier phase, which "
            f"'{rule}' cannot change; an adapter keeps its rank and alpha: '{verb} {rule.partition(' ')[2]}'"
        )
    return ""


def say_nothing_trains(rules: Sequence[str]) -> str:
    """Write the message about a phase whose rules freeze everything."""
    return f"{list(rules)} freeze all layers; a phase trains at least one layer; add for example 'train head'"
