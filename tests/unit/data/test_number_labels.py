"""Numbers that regression learns: each way of writing is read right, or refused with a way out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data.table_numbers import parse_number
from ftapp.recipe import Data
from tests.unit.data.test_texts import spec


def load(path: Path, values: list[object], **keys: object) -> data.Splits:
    if path.suffix == ".jsonl":
        rows = [{"text": f"text {at}", "label": value} for at, value in enumerate(values)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text("text;label\n" + "".join(f"text {at};{value}\n" for at, value in enumerate(values)))
    return data.load(spec(f"{path.suffix[1:]}:{path}", **keys), "text-regression", 0)


def refused(path: Path, values: list[object], **keys: object) -> str:
    with pytest.raises(RecipeError) as error:
        load(path, values, **keys)
    return str(error.value)


def numbers(splits: data.Splits) -> list[float]:
    return sorted(splits.train.examples.labels.tolist())


def test_plain_numbers_are_read(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.csv", ["1", " 2.5", "-3", "1e1", "+.5", *range(20, 40)])
    assert numbers(splits)[:5] == [-3.0, 0.5, 1.0, 2.5, 10.0]
    assert splits.classes == ()
    assert splits.train.labels.dtype == np.float32


def test_numbers_of_json_are_read_and_truth_values_are_not(tmp_path: Path) -> None:
    assert numbers(load(tmp_path / "a.jsonl", [1, 2.5, "3", *range(20, 40)]))[:3] == [1.0, 2.5, 3.0]
    assert "a truth value" in refused(tmp_path / "a.jsonl", [True, *range(20)])


def test_a_decimal_comma_is_found_out_and_told(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.csv", ["7,5", "8,125", "9", *range(20, 40)])
    assert numbers(splits)[:3] == [7.5, 8.125, 9.0]
    assert any("decimal comma" in note for note in splits.notes)


def test_a_dot_that_may_part_thousands_beside_decimal_commas_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", ["99,90", "1.250", *range(20)])
    assert "row 3: '1.250' may be two numbers" in message
    assert numbers(load(tmp_path / "a.csv", ["7,5", "0.250", "8.5", *range(20, 40)]))[:3] == [0.25, 7.5, 8.5]


def test_commas_between_thousands_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", ["1,200", "3,400", *range(20)])
    assert "row 2" in message
    assert "without signs between thousands" in message


@pytest.mark.parametrize("value", ["good", "5 stars", "1.2.3", "inf", "0x10", "1_000"])
def test_words_are_refused_with_their_row(tmp_path: Path, value: str) -> None:
    message = refused(tmp_path / "a.csv", [*range(20), value])
    assert "row 22" in message
    assert f"'{value}' is no number" in message


def test_missing_numbers_are_refused_or_left_out(tmp_path: Path) -> None:
    values = [*range(20), "", "nan"]
    assert "rows 22, 23: there is no number" in refused(tmp_path / "a.csv", values)
    splits = load(tmp_path / "a.csv", values, skip_incomplete=True)
    assert len(numbers(splits)) == 20
    assert "2 rows left out: no text or no label in them" in splits.notes


def test_equal_numbers_are_refused(tmp_path: Path) -> None:
    assert "every number is 5; regression needs different ones" in refused(tmp_path / "a.csv", ["5"] * 20)


def test_a_number_beyond_float32_is_refused() -> None:
    assert "too large" in str(parse_number("1e37"))
    assert "too large" in str(parse_number("1e9999"))
    assert "too large" in str(parse_number(10**400))
    assert parse_number("1e36") == 1e36


def test_equal_texts_with_other_numbers_are_one_example(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nsame,1\nsame,3\n" + "".join(f"text {at},{at}\n" for at in range(20)))
    splits = data.load(spec(f"csv:{path}"), "text-regression", 0)
    assert splits.duplicates == 1
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 21


def test_splits_have_each_range_of_numbers_in_proportion(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.csv", list(range(1000)), validation=0.1, test=0.2)
    for part in (splits.train, splits.validation, splits.test):
        assert part.labels.mean() == pytest.approx(499.5, abs=12)


def test_classes_whose_names_are_numbers_are_numbers() -> None:
    splits = data.load(Data(source="sklearn:digits"), "image-regression", 0)
    assert sorted(set(splits.train.labels.tolist())) == list(map(float, range(10)))
    assert splits.classes == ()


def test_class_folders_without_numbers_are_refused(pets: Path) -> None:
    with pytest.raises(RecipeError, match="the class 'cat' is no number"):
        data.load(Data(source=f"folder:{pets}"), "image-regression", 0)


def test_many_words_are_one_problem(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", [f"word {at}" for at in range(20)])
    assert "20 values are no numbers; in row 2, 'word 0' is no number" in message
    assert "word 1" not in message


def test_numbers_that_float32_makes_equal_are_told(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", [1_700_000_000 + at for at in range(20)])
    assert "20 different numbers are 1 to the seven digits that models keep, 1.7e+09; subtract a constant" in message
    assert "20 different numbers are 1" in refused(tmp_path / "a.csv", [f"{at}e-40" for at in range(20)])
    splits = load(tmp_path / "a.csv", [1_700_000_000 + 20 * at for at in range(100)])
    assert any("100 different numbers are 16 to the seven digits" in note for note in splits.notes)


def test_too_few_numbers_are_told_without_classes(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", [1, 2])
    assert "1 of 1 examples are too many for the validation split; the training split keeps an example" in message
    path = tmp_path / "b.csv"  # whose duplicates make two ranges of numbers
    path.write_text("text,label\n" + "a,1\n" * 10 + "b,2\n" * 10)
    splits = data.load(spec(f"csv:{path}", validation=0), "text-regression", 0)
    assert [len(part) for part in (splits.train, splits.test)] == [1, 1]
