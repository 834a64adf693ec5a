"""The rules' language on made-up layers."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence

import pytest

from ftapp.recipe import Phase
from ftapp.recipe.layer_rules import Rule, Selections, WeightedLayer, add_adapters, decide
from ftapp.recipe.rule_edits import add_rule, count_last_blocks, name_selection, set_last_blocks
from ftapp.recipe.rule_problems import find_problems, find_unmatched

LAYERS = [
    WeightedLayer("token_embedding", frozenset({"backbone", "embeddings"}), None, 4),
    *(
        WeightedLayer(f"transformer_layer_{block}/{part}", frozenset({"backbone", group}), block, 4)
        for block in range(4)
        for part, group in (("self_attention/query", "attention"), ("feedforward_output_dense", "mlp"))
    ),
    WeightedLayer("layer_norm", frozenset({"backbone", "norms"}), None, 4),
    WeightedLayer("classifier", frozenset({"head"}), None, 4),
]


def training(*rules: str) -> list[str]:
    treatments, _ = decide([Rule(rule) for rule in rules], LAYERS)
    return [each.layer.path for each in treatments if each.trains]


def inside(path: str, layers: Sequence[WeightedLayer]) -> list[int]:
    return [index for index, layer in enumerate(layers) if not path or f"{layer.path}/".startswith(f"{path}/")]


def query(*blocks: int) -> list[str]:
    return [f"transformer_layer_{block}/self_attention/query" for block in blocks]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("head", ["classifier"]),
        ("attention & last:2", query(2, 3)),
        ("attention & first:1", query(0)),
        ("attention & blocks[1:3]", query(1, 2)),
        ("attention & blocks[-1]", query(3)),
        ("attention & blocks[:1]", query(0)),
        ("attention & blocks[2:]", query(2, 3)),
        ("attention & !last:3", query(0)),
        ("attention & last:99", query(0, 1, 2, 3)),
        ("*/query", query(0, 1, 2, 3)),
        ("query", query(0, 1, 2, 3)),
        ("transformer_layer_1/self_attention/query", query(1)),
        ("transformer_layer_1 & attention", query(1)),
        ("layer_norm, head", ["layer_norm", "classifier"]),
        ("backbone & !mlp & !attention", ["token_embedding", "layer_norm"]),
        ("token", ["token_embedding"]),
    ],
)
def test_selections(selection: str, expected: list[str]) -> None:
    assert training("freeze all", f"train {selection}") == expected


def test_without_rules_everything_trains() -> None:
    assert training() == [layer.path for layer in LAYERS]


def test_later_rules_override_earlier_ones() -> None:
    assert training("freeze all", "train attention", "freeze first:3") == query(3)
    assert training("freeze first:3", "freeze all", "train attention") == query(0, 1, 2, 3)


def test_the_deciding_rule_is_told() -> None:
    rules = [Rule("freeze all"), Rule("train head")]
    _, deciding = decide(rules, LAYERS)
    assert deciding[0] is rules[0]
    assert deciding[-1] is rules[1]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("frezze all", "'frezze all' begins with neither 'freeze', 'train' nor 'lora:RANK'; did you mean 'freeze'?"),
        ("freeze", "'freeze' names no layers; name some"),
        ("freeze attention &", "'freeze attention &' lacks a selection; every ',' and '&' stands between two"),
        ("freeze lst:4", "'lst:4' in 'freeze lst:4' is no range; a range is first:N, last:N or blocks"),
        ("freeze last:x", "'last:x' in 'freeze last:x' is no range"),
        (
            "freeze a b",
            "'a b' in 'freeze a b' is neither a group, a range of blocks, nor a layer's",
        ),
        ("", "'' begins with neither"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Rule(rule)


def test_selections_that_match_nothing_are_told_with_the_nearest() -> None:
    rules = [
        Rule("freeze atention"),
        Rule("train pooler & last:1"),
        Rule("train attention & first:2"),
    ]
    first, second = find_unmatched(rules, LAYERS)
    assert first == "'atention' matches no layer of this model, in 'freeze atention'; did you mean 'attention'?"
    assert second.startswith("'pooler' matches no layer of this model, in 'train pooler & last:1'")
    assert find_unmatched([Rule("train head & last:1")], LAYERS)[0].startswith("'head & last:1' matches no layer")


def test_selections_alone_are_read_as_those_of_a_rule() -> None:
    for text in ("head", "attention & !last:3", "layer_norm, head"):
        assert Selections(text).selections == Rule(f"train {text}").selections
    with pytest.raises(
        ValueError, match=re.escape("'lst:4' in 'lst:4' is no range; a range is first:N, last:N or blocks[A:B]")
    ):
        Selections("lst:4")
    with pytest.raises(ValueError, match="'' lacks a selection"):
        Selections("")
    (message,) = find_unmatched([Selections("atention")], LAYERS)
    assert message == "'atention' matches no layer of this model; did you mean 'attention'?"


def test_a_group_that_a_model_lacks_is_not_its_own_nearest_choice() -> None:
    (message,) = find_unmatched([Rule("train head")], LAYERS[:-1])
    assert "'head' matches no layer of this model" in message
    assert "did you mean 'head'" not in message


@pytest.mark.parametrize(
    ("path", "selection"),
    [
        ("", "all"),
        ("token_embedding", "embeddings"),
        ("classifier", "head"),
        ("layer_norm", "norms"),
        ("transformer_layer_1", "transformer_layer_1"),
        ("transformer_layer_1/self_attention", "blocks[1] & self_attention"),
        ("transformer_layer_1/self_attention/query", "blocks[1] & query"),
    ],
)
def test_a_layer_is_named_by_the_most_readable_selection_of_it_alone(path: str, selection: str) -> None:
    assert name_selection(path, inside(path, LAYERS), LAYERS) == selection


def test_a_name_that_begins_another_one_is_told_apart_by_a_longer_selection() -> None:
    layers = [
        WeightedLayer(path, frozenset({"backbone"}), None, 0)
        for path in ("dense", "dense_1", "tower/odd name", "tower/norm/scale", "tower/norm")
    ]
    for path in ("dense", "tower", "tower/odd name", "tower/norm", "tower/norm/scale"):
        rule = Rule(f"train {name_selection(path, inside(path, layers), layers)}")
        assert [index for index, layer in enumerate(layers) if rule.matches(layer)] == inside(path, layers), path


@pytest.mark.parametrize(
    ("rules", "rule", "expected"),
    [
        ([], "freeze attention", ["freeze attention"]),
        (["freeze all", "train head"], "train attention", ["freeze all", "train head, attention"]),
        (["freeze all", "train head, attention"], "freeze attention", ["freeze all", "train head"]),
        (["freeze embeddings", "freeze attention"], "train attention", ["freeze embeddings"]),
        (["freeze all", "train head", "train attention & last:2"], "train all", []),
        (["freeze all", "train  last:1,head"], "train norms", ["freeze all", "train last:1, head, norms"]),
        (["freeze mlp"], "freeze attention & last:2", ["freeze mlp, attention & last:2"]),
        (["freeze mlp, attention & last:2"], "freeze attention", ["freeze mlp, attention"]),
        (["train all"], "train head", []),
    ],
)
def test_a_rule_is_added_and_what_has_no_effect_goes(rules: list[str], rule: str, expected: list[str]) -> None:
    assert add_rule(rules, rule, LAYERS) == expected
    assert training(*expected) == training(*rules, rule)


def test_rules_stay_as_they_were_written_where_all_of_them_count() -> None:
    written = ["freeze  embeddings,norms", "freeze attention & !last:1"]
    assert add_rule(written, "freeze attention & blocks[0]", LAYERS) == written


@pytest.mark.parametrize(
    ("rules", "counts"),
    [
        (["freeze all", "train head"], {1: "train head, last:1", 2: "train head, last:2", 0: "train head"}),
        (["freeze all", "train last:2"], {1: "train last:1", 3: "train last:3"}),
        ([], {3: "freeze first:1", 2: "freeze first:2"}),
        (["freeze attention"], {1: "train last:1"}),
        (["freeze attention & first:2"], {1: "freeze attention & first:2, blocks[2:3]"}),
    ],
)
def test_blocks_at_the_end_are_thawed_and_frozen_one_by_one(rules: list[str], counts: dict[int, str]) -> None:
    before = training(*rules)
    for count, last in counts.items():
        rules = set_last_blocks(rules, count, LAYERS)
        assert rules[-1] == last
        assert count_last_blocks(rules, LAYERS) == count
    outside = [path for path in before if not path.startswith("transformer")]
    assert [path for path in training(*rules) if not path.startswith("transformer")] == outside


def test_parsed_rules_are_strings_and_are_parsed_once() -> None:
    rule = Rule(" train attention & last:4 ")
    assert rule == "train attention & last:4"
    assert rule.trainable
    assert Rule(rule) is rule
    assert not Rule("freeze train_this").trainable
    assert pickle.loads(pickle.dumps(rule)).selections == rule.selections


def test_a_table_of_rates_keeps_its_order_and_keys_as_they_are_written() -> None:
    rates = {"head": 1e-3, "all": 1e-4, " head ": 1e-5}
    phase = Phase.model_validate({"name": "p", "steps": 1, "learning_rate": rates})
    assert list(phase.rates.items()) == list(rates.items())
    assert phase.model_dump()["learning_rate"] == rates
    assert Phase.model_validate({"name": "p", "steps": 1, "learning_rate": 1e-3}).rates == {"all": 1e-3}


# A query, its norm, and a classifier without a bias.
PARTED = [
    WeightedLayer("block_0/query", frozenset({"backbone", "attention"}), 0, 2, biases=4, kernel=(8, 4)),
    WeightedLayer("block_0/norm", frozenset({"backbone", "norms"}), 0, 2, biases=8),
    WeightedLayer("block_1/query", frozenset({"backbone", "attention"}), 1, 2, biases=4, kernel=(8, 4)),
    WeightedLayer("classifier", frozenset({"head"}), None, 2),
]


def parts(*rules: str, layers: Sequence[WeightedLayer] = PARTED) -> list[str]:
    """The parts of each layer that train: w, b and a."""
    treatments, _ = decide([Rule(rule) for rule in rules], layers)
    return ["".join(part[0] for part in ("weights", "biases", "adapters") if part in each.parts) for each in treatments]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["train all"], ["wb", "wb", "wb", "w"]),
        (["freeze all", "train biases", "train head"], ["b", "b", "b", "w"]),
        (["freeze all", "train biases & last:1, head"], ["", "", "b", "w"]),
        (["freeze biases & attention"], ["w", "wb", "w", "w"]),
        (["freeze all", "train !biases & attention"], ["w", "", "w", ""]),
        (["freeze all", "lora:2 attention", "train head"], ["a", "", "a", "w"]),
        (["freeze all", "lora:2 attention", "train biases & attention"], ["ba", "", "ba", ""]),
        (["lora:2 attention", "freeze first:1"], ["", "", "a", "w"]),
        (["freeze all", "lora:2 first:1"], ["a", "", "", ""]),
        (["lora:2 attention", "train first:1"], ["wb", "wb", "a", "w"]),
        (["freeze all", "lora:2 attention", "freeze adapters & last:1"], ["a", "", "", ""]),
    ],
)
def test_rules_decide_about_parts_of_layers(rules: list[str], expected: list[str]) -> None:
    assert parts(*rules) == expected


def test_adapters_stay_in_later_phases() -> None:
    first = [Rule("freeze all"), Rule("lora:2:4 attention")]
    later = add_adapters(first, PARTED)
    assert [layer.adapter and tuple(layer.adapter) for layer in later] == [(2, 4), None, (2, 4), None]
    assert [layer.adapter_parameters for layer in later] == [24, 0, 24, 0]
    assert parts(layers=later) == ["wba", "wb", "wba", "w"]
    assert parts("freeze all", "train adapters & last:1", layers=later) == ["", "", "a", ""]
    assert parts("lora:2:4 last:1 & !norms", "freeze first:1", layers=later) == ["", "", "a", "w"]
    (changed,) = find_problems([Rule("lora:3 attention")], later)
    assert "'block_0/query' has an adapter of rank 2 and alpha 4 from an earlier phase" in changed
    assert changed.endswith("'lora:2:4 attention'")
    assert not find_problems([Rule("lora:3 attention"), Rule("lora:2:4 attention")], later), "the last rule gives it"
    assert not find_problems([Rule("lora:9 attention"), Rule("lora:2 attention")], PARTED)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["lora:2 attention, norms"], "'block_0/norm' has no kernel that Keras adds an adapter to"),
        (["lora:2 norms"], "name layers that take one; did you mean 'block_0/query'?"),
        (["lora:5 attention"], "rank 5 is too large for the kernel of 'block_0/query', in 'lora:5 attention', which"),
        (["train adapters"], "no layer has an adapter yet, for 'train adapters'; 'lora:8 attention' adds some"),
        (["train biases & head"], "'biases & head' matches no layer of this model"),
        (["freeze all", "lora:2 attention", "freeze adapters"], "a phase trains at least one layer"),
    ],
)
def test_rules_about_parts_that_a_model_lacks_are_refused(rules: list[str], message: str) -> None:
    (problem,) = find_problems([Rule(rule) for rule in rules], PARTED)
    assert message in problem


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("lora:0 attention", "'lora:0' in 'lora:0 attention' is no rank; it is lora:RANK or lora:RANK:ALPHA"),
        ("lora attention", "'lora' in 'lora attention' is no rank"),
        ("lora:8", "'lora:8' names no layers"),
        ("lora:8 biases & last:1", "'biases' in 'lora:8 biases & last:1' is a part of layers"),
    ],
)
def test_what_is_no_rule_of_an_adapter_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Rule(rule)


def test_a_new_rule_joins_one_of_the_same_rank_alone() -> None:
    rules = ["freeze all", "lora:2 attention & first:1"]
    assert add_rule(rules, "lora:2 attention & last:1", PARTED) == [
        "freeze all",
        "lora:2 attention & first:1, attention & last:1",
    ]
    assert add_rule(rules, "lora:4 attention & last:1", PARTED) == [*rules, "lora:4 attention & last:1"]
    assert add_rule(rules, "freeze first:1", PARTED) == ["freeze all"]
    assert count_last_blocks(["lora:2 attention"], PARTED) == 0
