"""Metrics by name: how values are written, and which way is better."""

from __future__ import annotations

import pytest

from ftapp.recipe.metrics import ACCURACY, LOSS, get_metric, sort_names


@pytest.mark.parametrize(
    ("name", "value", "cell", "text", "plain"),
    [
        ("accuracy", 0.93125, "93.1%", "93.12%", "0.9313"),
        ("loss", 0.25, "0.2500", "0.2500", "0.2500"),
        ("loss", 0.0, "0.0000", "0.0000", "0.0000"),
        ("mean_absolute_error", 1234.5, "1234", "1234.5000", "1234.5000"),
        ("mean_absolute_error", 1.24e-5, "1.2e-05", "1.24e-05", "1.24e-05"),
        ("f1", 0.5, "0.5000", "0.5000", "0.5000"),
    ],
)
def test_values_are_written_by_the_metrics_format(name: str, value: float, cell: str, text: str, plain: str) -> None:
    found = get_metric(name)
    assert (found.format_cell(value), found.format_text(value), found.format_plain(value)) == (cell, text, plain)


@pytest.mark.parametrize("name", ["loss", "mean_absolute_error", "validation_loss", "perplexity"])
def test_lower_is_better_for_losses_and_errors(name: str) -> None:
    assert get_metric(name).is_better(0.1, 0.2)
    assert get_metric(name).choose_best([0.3, 0.1, 0.2]) == 0.1


@pytest.mark.parametrize("name", ["accuracy", "f1", "recall", "loss_of_nothing"])
def test_higher_is_better_for_all_else(name: str) -> None:
    assert get_metric(name).is_better(0.2, 0.1)
    assert get_metric(name).choose_best([0.3, 0.1, 0.2]) == 0.3


@pytest.mark.parametrize(("name", "sign"), [("loss", -1), ("accuracy", 1), ("macro-f1", 1)])
def test_better_by_a_difference_is_by_more_than_it(name: str, sign: int) -> None:
    found = get_metric(name)
    assert found.is_better(0.5 + sign * 0.25, 0.5, by=0.125)
    assert not found.is_better(0.5 + sign * 0.125, 0.5, by=0.125)
    assert not found.is_better(0.5, 0.5)


def test_an_unknown_metric_is_labelled_by_its_name_in_words() -> None:
    assert get_metric("mean_absolute_error").title == "Mean absolute error"
    assert (get_metric("loss"), get_metric("accuracy")) == (LOSS, ACCURACY)
    assert get_metric("\x1b[31mred").label.isprintable()


def test_known_metrics_come_first_in_the_order_of_the_table() -> None:
    assert sort_names(["f1", "accuracy", "recall", "loss", "f1"]) == ["loss", "accuracy", "f1", "recall"]
