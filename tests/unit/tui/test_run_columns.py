"""The columns of the list of runs, and how times and sizes are said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.content import Content

from ftapp.common import formatting
from ftapp.experiments.listing import Summary
from ftapp.runs.run_filter import parse_filter
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.run_columns import (
    COLUMNS,
    GAP,
    describe_status,
    join_cells,
    list_columns,
    select_columns,
    sort,
)


def one(name: str, **values: Any) -> Summary:
    return Summary(run=RunFolder(Path(f"/runs/{name}")), **{"status": "done", "recipe": name} | values)


@pytest.mark.parametrize("width", range(0, 220, 7))
def test_columns_fit_their_width(width: int) -> None:
    chosen = select_columns(width)
    taken = sum(column.width for column in chosen.values()) + GAP * max(0, len(chosen) - 1)
    assert taken <= width
    assert list(chosen) == [name for name in COLUMNS if name in chosen]


def test_a_wide_list_has_all_columns_and_a_narrow_one_the_most_important() -> None:
    assert list(select_columns(200)) == list(COLUMNS)
    assert list(select_columns(53)) == ["status", "recipe", "loss", "accuracy"]


def test_sorting_puts_runs_without_a_value_last() -> None:
    runs = [one("a", metrics={"loss": 2.0}), one("b"), one("c", metrics={"loss": 1.0})]
    assert [each.recipe for each in sort(runs, "loss", False)] == ["c", "a", "b"]
    assert [each.recipe for each in sort(runs, "loss", True)] == ["a", "c", "b"]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_sorts_and_shows_what_is_missing(column: str) -> None:
    runs = [
        one("a"),
        one("b", profile="quick", created=1.0, seconds=2.0, metrics={"loss": 1.0, "accuracy": 0.5}, share=0.1, steps=3),
    ]
    assert len(sort(runs, column, True)) == 2
    for each in runs:
        assert isinstance(COLUMNS[column].cell(each, 100.0), Content)


def test_searches_need_every_word() -> None:
    runs = [one("bert-full", profile="quick"), one("bert-full", status="failed")]
    for text, kept in (("BERT failed", runs[1:]), ("standard", runs[1:]), ("", runs)):
        assert [run for run in runs if parse_filter(text).keeps(run.list_filter_facts())] == kept


def test_cells_are_cut_and_filled() -> None:
    cells = [(Content("much too long"), 6, False), (Content("7"), 3, True)]
    assert join_cells(cells).plain == "much …    7"


def test_status_in_words() -> None:
    assert describe_status(one("a", status="running")) == "running"
    assert describe_status(one("a", status="running", steps=5, first_step=1, last_step=10)) == "running 50%"
    assert describe_status(one("a", status="running", paused=True, steps=5, last_step=10)) == "paused 50%"
    assert describe_status(one("a", steps=10, last_step=10)) == "done"
    assert describe_status(one("a", steps=10, last_step=10, doubtful=True)) == "done !"


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ((2026, 5, 6, 11, 59, 30), "just now"),
        ((2026, 5, 6, 11, 30), "30 min ago"),
        ((2026, 5, 6, 0, 5), "today 00:05"),
        ((2026, 5, 5, 23, 0), "yesterday 23:00"),
        ((2026, 5, 3, 9, 30), "Sun 09:30"),
        ((2026, 4, 3, 9, 30), "3 Apr 09:30"),
        ((2025, 4, 3, 9, 30), "2025-04-03"),
        ((2026, 5, 6, 13, 0), "today 13:00"),
    ],
)
def test_moments(then: tuple[int, ...], said: str) -> None:
    now = datetime(2026, 5, 6, 12).timestamp()
    assert formatting.format_moment(datetime(*then).timestamp(), now) == said  # type: ignore[arg-type]


def test_moments_that_no_clock_knows() -> None:
    assert formatting.format_moment(1e20, 0.0) == "at an unknown time"


def test_numbers_shares_and_sizes() -> None:
    assert [
        formatting.format_number(value) for value in (0.0, 0.693147, 12.3456, 1234.5, 1.2e-5, 1e7, float("nan"))
    ] == [
        "0.0000",
        "0.6931",
        "12.35",
        "1234",
        "1.2e-05",
        "1.0e+07",
        "nan",
    ]
    assert [formatting.format_share(value) for value in (0, 1, 0.319, 0.0032, 0.00032, 1e-6)] == [
        "0%",
        "100%",
        "31.9%",
        "0.32%",
        "0.032%",
        "<0.01%",
    ]
    assert [formatting.format_size(value) for value in (5, 2048, 3 * 2**30)] == ["5 B", "2.0 KiB", "3.0 GiB"]
    assert [formatting.format_count(value) for value in (512, 1500, 22_713_986, 1_500_000_000)] == [
        "512",
        "1.5 k",
        "22.7 M",
        "1.5 B",
    ]


def test_lists_have_a_column_for_each_metric_of_their_runs() -> None:
    runs = [one("a", metrics={"loss": 1.0, "mean_absolute_error": 2.0}), one("b", metrics={"mean_absolute_error": 1.0})]
    columns = list_columns(runs)
    assert list(columns)[-2:] == ["mean_absolute_error", "share"]
    assert columns["mean_absolute_error"].descending is False
    assert [columns["mean_absolute_error"].cell(each, 0.0).plain for each in runs] == ["2.0000", "1.0000"]
    assert [each.recipe for each in sort(runs, "mean_absolute_error", False)] == ["b", "a"]
    assert "mean_absolute_error" in select_columns(200, columns)
    many = [one("c", metrics={f"metric {number}": 1.0 for number in range(100)})]
    assert len(list_columns(many)) < 2 * len(COLUMNS)


def test_the_main_metric_of_each_task_comes_before_the_start() -> None:
    numbers = one("a", metrics={"loss": 1.0, "rmse": 2.0, "mae": 1.5, "r2": 0.1})
    columns = list_columns([numbers])
    assert "accuracy" not in columns
    assert list(select_columns(53, columns)) == ["status", "recipe", "loss", "mae"]
    both = list_columns([numbers, one("b", metrics={"loss": 1.0, "accuracy": 0.5})])
    assert list(select_columns(62, both)) == ["status", "recipe", "loss", "accuracy", "mae"]
