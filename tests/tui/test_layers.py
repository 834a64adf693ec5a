"""The tree of layers, what is toggled in it, and small drawings: all pure."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ftapp.recipe import rule_problems
from ftapp.recipe.layer_rules import Rule
from ftapp.recipe.structure import Layer, Structure
from ftapp.tui.editor import layers
from ftapp.tui.editor.layers import Node, State
from ftapp.tui.editor.rate_curve import draw_rows
from tests.tui.structures import bert, layer


def find_wrong(structure: Structure, rules: list[str]) -> list[str]:
    return rule_problems.find_problems([Rule(rule) for rule in rules], structure.weighted_layers)


def node(root: Node, path: str) -> Node:
    found = [each for each in walk(root) if each.path == path]
    assert len(found) == 1, path
    return found[0]


def walk(root: Node) -> list[Node]:
    return [root, *(inside for child in root.children for inside in walk(child))]


def test_the_tree_holds_every_layer_once_with_its_parameters() -> None:
    structure = bert()
    root = layers.build_tree(structure)
    assert root.parameters == structure.parameters
    assert sorted(root.weighted) == list(range(len(structure.weighted)))
    block = node(root, "transformer_layer_1")
    assert [child.name for child in block.children] == ["self_attention", "dense"]
    assert (block.parameters, block.block) == (300 + 400, 1)
    assert node(root, "transformer_layer_1/self_attention").shape == (16, 8)


def test_layers_of_a_block_that_nothing_holds_together_are_put_together() -> None:
    names = [("block1_conv1", 0), ("block1_conv2", 0), ("block2_conv1", 1), ("stem_a", None), ("stem_b", None)]
    flat = Structure(layers=tuple(layer(name, 10, (), block) for name, block in names), blocks=2, classes=2)
    root = layers.build_tree(flat)
    assert [child.path for child in root.children] == ["block1", "block2_conv1", "stem_a", "stem_b"]
    choice = layers.apply_rules(flat, [])
    assert choice.toggle(root.children[0]) == "freeze block1"
    assert choice.toggle(root.children[0].children[1]) == "freeze block1_conv2"


@pytest.mark.parametrize(
    ("rules", "path", "state"),
    [
        ([], "", State.TRAINS),
        (["freeze all"], "", State.FROZEN),
        (["freeze attention"], "transformer_layer_0", State.PARTLY),
        (["freeze attention"], "transformer_layer_0/self_attention", State.FROZEN),
        (["freeze attention"], "transformer_layer_0/dense", State.TRAINS),
    ],
)
def test_a_layer_has_one_of_three_states(rules: list[str], path: str, state: State) -> None:
    structure = bert()
    assert layers.apply_rules(structure, rules).state(node(layers.build_tree(structure), path).weighted) is state


def test_toggling_freezes_what_trains_as_a_whole_and_trains_the_rest() -> None:
    structure = bert()
    root = layers.build_tree(structure)
    rules: list[str] = []
    course = [
        ("transformer_layer_1", ["freeze transformer_layer_1"]),
        ("transformer_layer_1/dense", ["freeze transformer_layer_1", "train blocks[1] & dense"]),
        ("transformer_layer_1", []),  # a part trained, so that all of it trains now
        ("", ["freeze all"]),
        ("classifier", ["freeze all", "train head"]),
        ("classifier", ["freeze all"]),
    ]
    for path, expected in course:
        choice = layers.apply_rules(structure, rules)
        rules = choice.add(choice.toggle(node(root, path)))
        assert rules == expected
    choice = layers.apply_rules(structure, rules)
    assert choice.toggle_group("attention") == "train attention"
    assert choice.add("train attention") == ["freeze all", "train attention"]
    assert choice.toggle_group("pooler") is None


def test_the_share_counts_weights_that_an_optimizer_changes() -> None:
    normalized = Layer(
        path="norm",
        kind="BatchNormalization",
        parameters=40,
        trainable=20,
        weighted=True,
        shape=None,
        flops=None,
        groups=("backbone", "norms"),
        block=None,
    )
    structure = Structure(layers=(normalized, layer("head", 60, ("head",), None)), blocks=0, classes=2)
    assert layers.apply_rules(structure, []).share == 80 / 100
    assert layers.apply_rules(structure, ["freeze norms"]).share == 60 / 100


def test_rules_that_fit_no_layer_or_leave_nothing_are_problems() -> None:
    structure = bert()
    assert find_wrong(structure, ["freeze attention"]) == []
    assert "'poler' matches no layer" in find_wrong(structure, ["freeze poler"])[0]
    assert "trains at least one layer" in find_wrong(structure, ["freeze all"])[0]
    with pytest.raises(ValueError, match="neither 'freeze', 'train' nor 'lora:RANK'"):
        layers.apply_rules(structure, ["thaw all"])


def test_which_rule_decided_is_told_where_it_was_one() -> None:
    structure = bert()
    root = layers.build_tree(structure)
    choice = layers.apply_rules(structure, ["freeze attention", "train classifier"])
    assert choice.rule(node(root, "transformer_layer_0/self_attention").weighted) == "freeze attention"
    assert choice.rule(node(root, "transformer_layer_0").weighted) == ""
    assert choice.rule(node(root, "classifier").weighted) == "train classifier"


def test_a_curve_is_drawn_from_the_first_to_the_last_value() -> None:
    rising = draw_rows(tuple(index / 99 for index in range(100)), 20, 4)
    starts = [len(row) - len(row.lstrip()) for row in rising]
    assert starts == sorted(starts, reverse=True)
    assert (starts[-1], rising[0].rstrip()) == (0, rising[0])
    assert max(len(row.strip()) for row in rising) < 8  # a line, no area below it
    for constant in ((0.01,), (0.01,) * 80):
        top, *below = draw_rows(constant, 12, 4)
        assert top == "⠉" * 12
        assert not "".join(below).strip()


def test_adapters_and_biases_count_as_parts_of_layers() -> None:
    query = replace(layer("block_0/query", 100, ("attention",), 0), biases=10, kernel=(10, 9))
    norm = replace(layer("block_0/norm", 20, ("norms",), 0), biases=10)
    structure = Structure(layers=(layer("block_0", 0, (), 0), query, norm), blocks=1, classes=2)
    adapted = layers.apply_rules(structure, ["freeze all", "lora:2 attention"])
    assert (adapted.trained, adapted.parameters) == (2 * 19, 120 + 2 * 19)
    assert adapted.state([0]) is State.PARTLY
    assert layers.apply_rules(structure, ["freeze !biases"]).trained == 20
    later = structure.carry_adapters([[Rule("lora:2 attention")]])
    assert layers.apply_rules(later, ["freeze all", "train adapters"]).trained == 2 * 19
    assert "adapter of rank 2" in find_wrong(later, ["lora:3 attention"])[0]
    root = layers.build_tree(structure)
    assert adapted.add(adapted.toggle(node(root, "block_0/query"))) == ["freeze all", "train attention"]
