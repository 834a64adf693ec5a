"""The rules' language on made-up units."""

from __future__ import annotations

import re

import pytest

from ftapp.rules import Unit, decide, parse_rule, parse_selections, unmatched

UNITS = [
    Unit("token_embedding", frozenset({"backbone", "embeddings"}), None, 4),
    *(
        Unit(f"transformer_layer_{block}/{part}", frozenset({"backbone", group}), block, 4)
        for block in range(4)
        for part, group in (("self_attention/query", "attention"), ("feedforward_output_dense", "mlp"))
    ),
    Unit("layer_norm", frozenset({"backbone", "norms"}), None, 4),
    Unit("classifier", frozenset({"head"}), None, 4),
]


def training(*rules: str) -> list[str]:
    flags, _ = decide([parse_rule(rule) for rule in rules], UNITS)
    return [unit.path for unit, trains in zip(UNITS, flags, strict=True) if trains]


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
    assert training() == [unit.path for unit in UNITS]


def test_later_rules_override_earlier_ones() -> None:
    assert training("freeze all", "train attention", "freeze first:3") == query(3)
    assert training("freeze first:3", "freeze all", "train attention") == query(0, 1, 2, 3)


def test_the_deciding_rule_is_told() -> None:
    rules = [parse_rule("freeze all"), parse_rule("train head")]
    _, deciding = decide(rules, UNITS)
    assert deciding[0] is rules[0]
    assert deciding[-1] is rules[1]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("frezze all", "a rule begins with 'freeze' or 'train'; got 'frezze all'; did you mean 'freeze'?"),
        ("freeze", "a rule names what it is about; got 'freeze'"),
        ("freeze attention &", "every ',' and '&' of a rule stands between two selections"),
        ("freeze lst:4", "a range is first:N, last:N or blocks"),
        ("freeze last:x", "a range is first:N, last:N or blocks"),
        ("freeze a b", "a selection is a group, a range of blocks or a layer's name or glob; got 'a b'"),
        ("", "a rule begins with"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_rule(rule)


def test_selections_that_match_nothing_are_told_with_the_nearest() -> None:
    rules = [
        parse_rule("freeze atention"),
        parse_rule("train pooler & last:1"),
        parse_rule("train attention & first:2"),
    ]
    first, second = unmatched(rules, UNITS)
    assert first == "'atention' matches no layer of this model, in 'freeze atention'; did you mean 'attention'?"
    assert second.startswith("'pooler' matches no layer of this model, in 'train pooler & last:1'")
    assert unmatched([parse_rule("train head & last:1")], UNITS)[0].startswith("'head & last:1' matches no layer")


def test_selections_alone_are_read_as_those_of_a_rule() -> None:
    for text in ("head", "attention & !last:3", "layer_norm, head"):
        assert parse_selections(text).selections == parse_rule(f"train {text}").selections
    with pytest.raises(
        ValueError, match=re.escape("a range is first:N, last:N or blocks[A:B]; got 'lst:4' in 'lst:4'")
    ):
        parse_selections("lst:4")
    with pytest.raises(ValueError, match="stands between two selections; got ''"):
        parse_selections("")
    (message,) = unmatched([parse_selections("atention")], UNITS)
    assert message == "'atention' matches no layer of this model; did you mean 'attention'?"


def test_a_group_that_a_model_lacks_is_not_its_own_nearest_choice() -> None:
    (message,) = unmatched([parse_rule("train head")], UNITS[:-1])
    assert "'head' matches no layer of this model" in message
    assert "did you mean 'head'" not in message
