"""Splits by time: the latest rows are for the test, and times of every form are ordered or refused."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data import time_splits
from tests.unit.data.test_texts import problems, spec


def write(path: Path, times: list[str], labels: list[str] | None = None) -> str:
    labels = labels or ["good" if number % 2 else "bad" for number in range(len(times))]
    lines = [f"text {at},{label},{time}" for at, (label, time) in enumerate(zip(labels, times, strict=True))]
    random.Random(0).shuffle(lines)
    path.write_text("\n".join(["text,label,day", *lines]) + "\n")
    return f"csv:{path}"


def numbers(subset: data.Subset) -> set[int]:
    return {int(str(subset[at]).split()[1]) for at in range(len(subset))}


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([f"2026-01-{day:02}" for day in range(1, 21)], "train 2026-01-01 to 2026-01-14, validation 2026-01-15 to "
                                                        "2026-01-16, test 2026-01-17 to 2026-01-20"),
        ([f"2026-01-01 10:{minute:02}" for minute in range(20)], "train 2026-01-01T10:00 to 2026-01-01T10:13, "),
        ([f"2026-01-01T{hour:02}:00:00+02:00" for hour in range(20)], "train 2025-12-31T22:00 to 2026-01-01T11:00, "),
        ([str(number) for number in range(-5, 15)], "train -5 to 8, validation 9 to 10, test 11 to 14"),
        ([f"{number / 4}" for number in range(20)], "train 0 to 3.25, validation 3.5 to 3.75, test 4 to 4.75"),
    ],
)  # fmt: skip
def test_the_latest_rows_are_for_the_test(tmp_path: Path, times: list[str], said: str) -> None:
    source = write(tmp_path / "a.csv", times)
    splits = data.load(spec(source, order_column="day"), "text-classification", 3)
    assert numbers(splits.test) == {16, 17, 18, 19}
    assert numbers(splits.validation) == {14, 15}
    assert splits.notes[-1].startswith(f"splits by time: {said}")


def test_times_of_a_parquet_file(tmp_path: Path) -> None:
    days = [datetime.datetime(2026, 1, 1) + datetime.timedelta(hours=7 * number) for number in range(20)]
    columns = {"text": [f"text {at}" for at in range(20)], "label": ["a", "b"] * 10, "day": days}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    splits = data.load(spec(f"parquet:{tmp_path}/a.parquet", order_column="day"), "text-classification", 0)
    assert numbers(splits.test) == {16, 17, 18, 19}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("", "row 7: there is no time; a time is a number, or a date such as 2026-01-31"),
        ("31.01.2026", "row 7: '31.01.2026' is no date and no number"),
        ("0001-01-01T00:00+14:00", "row 7: '0001-01-01T00:00+14:00' is before the year 1"),
        ("inf", "row 7: 'inf' is no finite number"),
        ("7", "this is a date, and there is a number in row 7; all are of one kind"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "a.csv"
    source = write(path, [f"2026-01-{day:02}" for day in range(1, 21)])
    lines = path.read_text().splitlines()
    lines[6] = lines[6].rpartition(",")[0] + f",{change}"
    path.write_text("\n".join(lines))
    assert said in problems(source, order_column="day")[0]


def test_equal_times_and_lost_classes_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", ["2026-01-01"] * 20)
    assert "every time is '2026-01-01'; rows are ordered by different ones" in problems(source, order_column="day")[0]
    late = write(tmp_path / "b.csv", [str(day) for day in range(20)], ["old"] * 16 + ["new", "old"] * 2)
    assert problems(late, order_column="day") == [
        "data.order_column: only the latest 4 of 20 examples have the class 'new'; each class has an example to train "
        "on; a smaller test split leaves earlier ones"
    ]


@pytest.mark.parametrize("task", ["text-regression", "text-multi-label"])
def test_numbers_and_sets_of_classes_are_cut_by_time(tmp_path: Path, task: str) -> None:
    labels = [str(at) if task == "text-regression" else "a;b" if at % 2 else "b;c" for at in range(20)]
    source = write(tmp_path / "a.csv", [str(at) for at in range(20)], labels)
    keys = {"order_column": "day", "label_separator": ";"}
    splits = data.load(spec(source, **keys), task, 0)
    assert numbers(splits.test) == {16, 17, 18, 19}
    if task != "text-regression":
        late = write(tmp_path / "b.csv", [str(at) for at in range(20)], ["a;b"] * 17 + ["a;new"] * 3)
        with pytest.raises(RecipeError, match="only the latest 4 of 20 examples have the class 'new'"):
            data.load(spec(late, **keys), task, 0)


def test_of_equal_times_the_later_row_is_later() -> None:
    times = np.array([1.0, 2.0, 2.0, 2.0, 0.0])
    assert time_splits.draw_latest(times, 2).tolist() == [False, False, True, True, False]
