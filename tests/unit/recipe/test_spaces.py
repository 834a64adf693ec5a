"""The values that a sweep tries for a key."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from ftapp.recipe.raw_tables import flatten_tables
from ftapp.recipe.spaces import parse_over, parse_space, propose_space


@pytest.mark.parametrize(
    ("given", "extremes", "size"),
    [
        ("log(1e-5, 1e-2)", [1e-5, 1e-2], None),
        ("uniform(0,0.5)", [0.0, 0.5], None),
        (" int( 1 , 8 ) ", [1, 8], 8),
        ([16, 32], [16, 32], 2),
        ([["train last:1"], []], [["train last:1"], []], 2),
    ],
)
def test_values_are_parsed_and_written_back(given: Any, extremes: list[Any], size: int | None) -> None:
    space = parse_space(given)
    assert space.extremes == extremes
    assert space.size == size
    assert parse_space(space.to_value()) == space
    assert all(space.contains(value) for value in extremes)
    assert [space.place(value) for value in extremes] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lg(1, 2)", "did you mean 'log'?"),
        ("log(1e-2, 1e-5)", "did you mean log(1e-5, 1e-2)?"),
        ("log(0, 1)", "a logarithm is of numbers above 0"),
        ("log(1, 2, 3)", "has 3 numbers"),
        ("log(1e-3)", "has 1 number;"),
        ("int(1, 2.5)", "no whole numbers"),
        (f"int(1, {'9' * 400})", "no whole numbers"),
        ("log(nan, 1)", "no finite number"),
        ("linear(1, 1)", "both ends are the same"),
        ([1], "1 choice; a sweep tries two or more"),
        ([1, 2, 1], "the choice 1 stands twice"),
        ([0, 1, 0.0], "the choice 0.0 stands twice"),
        ([[], []], "the choice [] stands twice"),
        ("x", "such as [16, 32]"),
        (5, "such as [16, 32]"),
    ],
)
def test_wrong_values_are_refused_with_the_rule(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_space(given)


def test_numbers_are_rounded_within_the_interval() -> None:
    space = parse_space("log(1.2345e-5, 9.8765e-3)")
    assert space.round(0.00123456) == 0.00123
    assert space.round(1.2346e-5) == 1.2345e-5
    assert space.round(9.8764e-3) == 9.8765e-3
    assert math.isnan(space.place("high"))
    assert not space.contains(True)


def test_keys_are_split_from_values_and_tables_are_flattened() -> None:
    assert parse_over("phase.head.layers=[['freeze all'], []]") == ("phase.head.layers", [["freeze all"], []])
    assert parse_over("a = log(1, 2)") == ("a", "log(1, 2)")
    with pytest.raises(ValueError, match="is not KEY=VALUES"):
        parse_over("log(1, 2)")
    assert flatten_tables({"phase": {"head": {"epochs": [1, 2]}}, "model.dropout": "linear(0, 1)"}) == {
        "phase.head.epochs": [1, 2],
        "model.dropout": "linear(0, 1)",
    }


@pytest.mark.parametrize(
    ("value", "choices", "least", "most", "proposed"),
    [
        (0.001, (), 0.0, 1.0, "log(0.0001, 0.01)"),
        (0.002, (), 0.001, 0.01, "log(0.001, 0.004)"),
        (0.5, (), 0.0, 1.0, "linear(0.0, 1.0)"),
        (1.0, (), 0.01, 1.0, "linear(0.1, 1.0)"),
        (0.0, (), 0.0, 1.0, "linear(0.0, 0.5)"),
        (1, (), 0.0, 2.0, "linear(0.0, 2.0)"),
        (0.0, (), 0.0, 0.0, [0.0]),
        ("adam", ("adam", "sgd"), 0.0, 0.0, ["adam", "sgd"]),
        (True, (), 0.0, 0.0, [False, True]),
        (None, (), 0.0, 0.0, []),
    ],
)
def test_values_around_a_value_are_proposed_that_the_key_can_have(
    value: Any, choices: tuple[str, ...], least: float, most: float, proposed: Any
) -> None:
    assert propose_space(value, choices, lambda each: least <= each <= most) == proposed


@pytest.mark.parametrize(("value", "proposed"), [(32, [16, 32, 64]), (1, [1, 2]), (100, [50, 100])])
def test_whole_numbers_are_proposed_for_a_key_of_whole_numbers(value: int, proposed: list[int]) -> None:
    assert propose_space(value, (), lambda each: isinstance(each, int) and 1 <= each <= 100) == proposed
