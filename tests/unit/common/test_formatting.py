"""Times, sizes and operations in words."""

from __future__ import annotations

import pytest

from ftapp.common.formatting import format_class_counts, format_count, format_duration, format_flops, format_quantity


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 FLOPs"),
        (573_440, "573 kFLOPs"),
        (999_999, "1 MFLOPs"),
        (60.04e9, "60 GFLOPs"),
        (1.5e12, "1.5 TFLOPs"),
        (4e16, "40,000 TFLOPs"),
    ],
)
def test_operations_in_three_digits(count: float, said: str) -> None:
    assert format_flops(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.04, "40 ms"),
        (9.94, "9.9 s"),
        (48, "48 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (512, "512"),
        (999_499, "999 k"),
        (999_885_952, "1 B"),
        (999_500, "1 M"),
        (22_700_000, "22.7 M"),
        (10**13, "10,000 B"),
    ],
)
def test_a_count_has_the_unit_of_what_it_is_rounded_to(count: int, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 epochs"),
        (1, "1 epoch"),
        (1200, "1,200 epochs"),
        (1.0, "1 epoch"),
        (0.9996, "1 epoch"),
        (2.5, "2.5 epochs"),
    ],
)
def test_a_quantity_is_in_the_singular_where_it_reads_as_one(number: float, text: str) -> None:
    assert format_quantity(number, "epoch") == text


def test_class_counts_name_each_class_with_its_examples_in_all_splits() -> None:
    counts = {"train": [80, 90, 8], "validation": [10, 10, 1], "test": [24, 14, 3]}
    assert format_class_counts(["neg", "pos", "nan"], counts) == "neg 114, pos 114, nan 12"


def test_class_counts_quote_names_that_could_be_taken_for_numbers_or_several_names() -> None:
    said = format_class_counts(["0", "a, b", " x"], {"train": [1200, 2, 3]})
    assert said == "'0' 1,200, 'a, b' 2, ' x' 3"


def test_class_counts_of_many_classes_name_the_smallest_and_the_largest() -> None:
    names = [f"class {chr(65 + index // 26)}{chr(65 + index % 26)}" for index in range(200)]
    said = format_class_counts(names, {"train": [5] * 198 + [4, 6], "test": [0] * 200})
    assert said == "200, 4 to 6 examples each; smallest class HQ 4, largest class HR 6"
    assert format_class_counts(names, {"train": [5] * 200}) == "200 of 5 each, such as class AA, class AB, class AC"


def test_class_counts_of_an_old_run_are_the_names_alone_and_one_line() -> None:
    assert format_class_counts(["neg", "p\nos\x1b[31m"], {}) == "neg, p\u240aos\u241b[31m"
