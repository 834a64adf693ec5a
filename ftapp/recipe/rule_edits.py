"""Changes to a phase's rules that make chosen layers of a model train or not, in the fewest and most readable words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from ftapp.recipe.layer_rules import GROUPS, Rule, Selections, WeightedLayer, decide


def name_selection(path: str, inside: Collection[int], layers: Sequence[WeightedLayer]) -> str:
    """Name a layer with all layers inside by the most readable selection that matches nothing else.

    Args:
        path: The path of the layer.
        inside: The indices of the weighted layers that are meant.
        layers: All weighted layers of the model.

    Returns:
        A group where one fits, else the layer's name, its name in its block, or its path.
    """
    wanted = [index in inside for index in range(len(layers))]
    chosen = [layer for layer, holds in zip(layers, wanted, strict=True) if holds]
    name = path.rpartition("/")[2]
    candidates = [*GROUPS, name, f"{name} & !{name}_*"]
    if len(blocks := {layer.block for layer in chosen} - {None}) == 1:
        candidates.append(f"blocks[{blocks.pop()}] & {name}")
    candidates += [path, f"{path}/*", f"{path}, {path}/*"]
    for text in candidates:
        with suppress(ValueError):
            selections = Selections(text)
            if [selections.matches(layer) for layer in layers] == wanted:
                return text
    # A name with signs that the language does not have; a `?` of a glob stands for any.
    return ", ".join(re.sub(r"[^A-Za-z0-9_./-]", "?", layer.path) for layer in chosen)


def add_rule(rules: Sequence[str], rule: str, layers: Sequence[WeightedLayer]) -> list[str]:
    """Add a rule to a phase's rules, and remove the selections that have no effect on these layers any more.

    The earliest selections are removed first. The new rule joins the last one where both have the same verb.

    Args:
        rules: The rules of the phase, in order.
        rule: The new rule.
        layers: The weighted layers of the model.

    Returns:
        The changed rules.

    Raises:
        ValueError: A text is no rule.
    """
    parsed = [Rule(text) for text in [*rules, rule]]
    wanted, _ = decide(parsed, layers)
    atoms = [(number, atom) for number, each in enumerate(parsed) for atom in _split(each)]
    index = 0
    while index < len(atoms):
        rest = atoms[:index] + atoms[index + 1 :]
        if decide([atom for _, atom in rest], layers)[0] == wanted:
            atoms = rest
        else:
            index += 1
    left = [[atom for owner, atom in atoms if owner == number] for number in range(len(parsed))]
    kept = [_join(each, parts) for each, parts in zip(parsed, left, strict=True) if parts]
    if left[-1] and len(kept) > 1 and kept[-2].verb == kept[-1].verb:
        kept[-2:] = [_join(None, [*_split(kept[-2]), *_split(kept[-1])])]
    return list(map(str, kept))


def prune_changes(base: Sequence[str], changes: Sequence[str], layers: Sequence[WeightedLayer]) -> list[str]:
    """Remove those changes of a phase's rules that have no effect, the earliest first.

    Args:
        base: The rules of the phase, in order.
        changes: Rules that override them, in order.
        layers: The weighted layers of the model.

    Returns:
        The other changes; none where they come to the phase's own rules.

    Raises:
        ValueError: A text is no rule.
    """
    parsed, left = [Rule(text) for text in base], [Rule(text) for text in changes]
    wanted, _ = decide([*parsed, *left], layers)
    for each in tuple(left):
        rest = [other for other in left if other is not each]
        if decide([*parsed, *rest], layers)[0] == wanted:
            left = rest
    return list(map(str, left))


def count_last_blocks(rules: Sequence[str], layers: Sequence[WeightedLayer]) -> int:
    """Count the blocks at the end that train as a whole.

    Args:
        rules: The rules of the phase, in order.
        layers: The weighted layers of the model.

    Returns:
        The number of blocks.
    """
    treatments, _ = decide([Rule(text) for text in rules], layers)
    frozen = [each.layer.block for each in treatments if each.layer.block is not None and not each.is_whole]
    blocks = layers[0].blocks if layers else 0
    return blocks - 1 - max(frozen, default=-1)


def set_last_blocks(rules: Sequence[str], count: int, layers: Sequence[WeightedLayer]) -> list[str]:
    """Change a phase's rules so that the last `count` blocks train as a whole, and no other block that did.

    Layers in other blocks and outside of blocks stay as they are.

    Args:
        rules: The rules of the phase, in order.
        count: How many blocks at the end train.
        layers: The weighted layers of the model.

    Returns:
        The changed rules.

    Raises:
        ValueError: A text is no rule.
    """
    now = count_last_blocks(rules, layers)
    if count > now:
        return add_rule(rules, f"train last:{count}", layers)
    if count == now:
        return list(map(str, rules))
    blocks = layers[0].blocks
    treatments, _ = decide([Rule(text) for text in rules], layers)
    frozen_below = not any(each.trains for each in treatments if each.layer.block in range(blocks - now))
    span = f"first:{blocks - count}" if frozen_below else f"blocks[{blocks - now}:{blocks - count}]"
    longer = add_rule(rules, f"freeze {span}", layers)
    # `last:4` with a smaller number reads better than a second rule, where it comes to the same.
    shorter = [re.sub(rf"\blast:{now}\b", f"last:{count}", text) for text in rules]
    if not count:
        shorter = [text for text in shorter if "last:0" not in text]
    states = [decide([Rule(text) for text in each], layers)[0] for each in (longer, shorter)]
    return shorter if states[0] == states[1] else longer


def _split(rule: Rule) -> Iterator[Rule]:
    """Split a rule into rules of one selection each."""
    for text in rule.partition(" ")[2].split(","):
        yield Rule(f"{rule.verb} {text.strip()}")


def _join(rule: Rule | None, atoms: Sequence[Rule]) -> Rule:
    """Join rules of one verb; return `rule` itself, as it was written, where it is complete."""
    if rule and len(rule.selections) == len(atoms):
        return rule
    text = f"{atoms[0].verb} {', '.join(atom.partition(' ')[2] for atom in atoms)}"
    return Rule(text)
