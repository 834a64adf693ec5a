"""int8 is proposed where it saves more time than quantization and check take, and nowhere else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("openvino")

from ftapp.training.int8_proposal import estimate_int8_saving


class Images:
    """A training split of images."""

    def __init__(self, examples: int) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return self._examples

    def compute_width(self, indices: Any) -> None:
        """Images have no tokens."""


def session(dtype: str = "auto", split: str = "test") -> Any:
    """What the proposal reads of a phase: 1,000 training examples and 100 of the test split."""
    splits = SimpleNamespace(train=Images(1000), test=range(100))
    evaluate = SimpleNamespace(split=split, examples=None)
    recipe = SimpleNamespace(seed=0, frozen=SimpleNamespace(dtype=dtype), evaluate=evaluate)
    return SimpleNamespace(cached={"train": None}, halves=object(), recipe=recipe, splits=splits)


@pytest.fixture(autouse=True)
def four_times_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftapp.freezing.quantize.time_example", lambda *given: (0.05, 2.0))


def test_the_saving_is_less_the_time_to_quantize_and_check() -> None:
    # 1,000 of 1,100 examples at 0.15 s less, and 100 of the test split in both; less 40 in float, and 2 s to begin.
    expected = 1000 * 0.15 - 100 * 0.05 - (40 * 0.2 + 2)
    assert estimate_int8_saving(session(), 1100, 0.2) == pytest.approx(expected)
    # Where the validation split is watched, the test split is computed in float whether int8 is used or not.
    assert estimate_int8_saving(session(split="validation"), 1000, 0.2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("missing", "example", "dtype"),
    [(40, 0.2, "auto"), (150, 0.2, "auto"), (0, 0.2, "auto"), (1100, 0.05, "auto"), (1100, 0.2, "int8")],
)
def test_nothing_is_proposed_that_saves_little(missing: int, example: float, dtype: str) -> None:
    assert estimate_int8_saving(session(dtype), missing, example) is None


def test_nothing_is_proposed_where_int8_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> Any:
        raise RuntimeError("no rule for Fold")

    monkeypatch.setattr("ftapp.freezing.quantize.time_example", fail)
    assert estimate_int8_saving(session(), 1100, 0.2) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert estimate_int8_saving(session(), 1100, 0.2) is None
