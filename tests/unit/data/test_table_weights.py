"""Weights of a table's rows: read, scaled for training, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftapp import data
from ftapp.data.table_weights import scale_weights
from tests.unit.data.test_texts import problems, spec


def write(path: Path, weights: list[str]) -> str:
    lines = [f"text {at},{'good' if at % 2 else 'bad'},{weight}" for at, weight in enumerate(weights)]
    path.write_text("\n".join(["text,label,weight", *lines]) + "\n")
    return f"csv:{path}"


def test_each_example_has_the_weight_of_its_row(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [str(at / 4) for at in range(20)])
    splits = data.load(spec(source, weight_column="weight"), "text-classification", 0)
    assert splits.notes == ("losses are weighted by the column 'weight', from 0 to 4.75",)
    assert splits.train.weights is not None
    for at, weight in enumerate(splits.train.weights):
        assert splits.train[at] == f"text {round(weight * 4)}"
    scaled = scale_weights(splits.train.weights)
    assert scaled is not None
    assert scaled.mean() == pytest.approx(1, abs=1e-6)
    assert np.allclose(scaled / scaled.max(), splits.train.weights / splits.train.weights.max())
    assert data.load(spec(source), "text-classification", 0).train.weights is None


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ("", "row 7: there is no weight; a weight is 0 or more"),
        ("-0.5", "row 7: the weight -0.5 is below 0; a weight is 0 or more"),
        ("much", "row 7: the weight is no number, such as 'much'; a weight is 0 or more"),
    ],
)
def test_what_is_no_weight_is_refused(tmp_path: Path, weight: str, said: str) -> None:
    source = write(tmp_path / "a.csv", ["1"] * 5 + [weight] + ["1"] * 14)
    assert problems(source, weight_column="weight") == [f"{tmp_path}/a.csv: data.weight_column: {said}"]


def test_weights_that_are_all_0_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", ["0"] * 20)
    assert "every weight is 0, so nothing would be learned" in problems(source, weight_column="weight")[0]


def test_weights_of_a_training_split_that_are_all_0_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [f"text {at},{at % 2},{int(at >= 10)},{'train' if at < 10 else 'test'}" for at in range(20)]
    path.write_text("\n".join(["text,label,weight,split", *lines]) + "\n")
    found = problems(f"csv:{path}", weight_column="weight", split_column="split")
    assert found == [
        "data.weight_column: every weight of the training split is 0, so nothing would be learned; some are above 0"
    ]
