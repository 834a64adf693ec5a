"""Answers of several labels and of numbers: what is kept of them, the constant answer beside them, and warnings."""

from __future__ import annotations

import msgspec
import pytest

from ftapp.runs import result_warnings
from ftapp.runs.answer_events import NumbersCompared, SetsScored
from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import find_constant_answer
from ftapp.runs.events import AnyEvent, DataLoaded, RunEnded
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, Stepped

SETS = SetsScored(
    time=3,
    step=1,
    split="test",
    thresholds=[0.5, 0.4],
    precision=[1.0, 0.5],
    recall=[0.5, 0.5],
    f1=[0.67, 0.5],
    average_precision=[0.9, None],
    counts=[10, 0],
    constant={"map": 0.5, "micro-f1": 0.4},
    final=True,
)
NUMBERS = NumbersCompared(
    time=3,
    step=1,
    split="test",
    truth=[1.0, 2.0],
    answers=[1.5, 1.5],
    constant={"rmse": 0.5, "mae": 0.5, "r2": 0.0},
    mean=1.5,
    final=True,
)


def tell(answers: AnyEvent, **metrics: float) -> History:
    """A run that is done, with these metrics in its result."""
    classes = ["a", "b"] if isinstance(answers, SetsScored) else []
    counts = {"test": [10, 5]} if classes else {}
    return History.of(
        [
            DataLoaded(time=1, train=10, validation=0, test=10, classes=classes, duplicates=0, counts=counts),
            Stepped(time=2, step=1, epoch=1, loss=1, rate=0.1, seconds=0.1, memory=1),
            Evaluated(time=3, step=1, split="test", examples=10, loss=0.9, metrics=metrics, seconds=0.1, final=True),
            answers,
            RunEnded(time=4, status="done", steps=1, seconds=2),
        ]
    )


@pytest.mark.parametrize("event", [SETS, NUMBERS])
def test_events_are_read_back_as_they_were_written(event: AnyEvent) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=AnyEvent) == event


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="an entry for each class"):
        msgspec.structs.replace(SETS, counts=[1]).__post_init__()
    with pytest.raises(ValueError, match="an answer to each number"):
        msgspec.structs.replace(NUMBERS, truth=[1.0]).__post_init__()


def test_the_constant_answer_of_several_labels_is_no_class() -> None:
    history = tell(SETS, **{"map": 0.9})
    assert find_constant_answer(history) is None
    baseline = find_baseline(history)
    assert baseline is not None
    assert baseline.answer == "always all labels"
    assert baseline.format_metrics() == "micro F1 0.4000, mean average precision 0.5000"


def test_the_constant_answer_of_numbers_is_the_mean_and_has_errors_alone() -> None:
    baseline = find_baseline(tell(NUMBERS, rmse=0.4))
    assert baseline is not None
    assert baseline.answer == "always the mean, 1.5"
    assert baseline.metrics == {"rmse": 0.5, "mae": 0.5}


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (tell(SETS, **{"map": 0.9}), None),
        (tell(SETS, **{"map": 0.5}), "the test mean average precision is 0.5000, no better than the 0.5000 of always"),
        (tell(NUMBERS, rmse=0.4), None),
        (tell(NUMBERS, rmse=0.6), "the test root mean squared error is 0.6000, no better than the 0.5000 of always"),
    ],
)
def test_a_result_no_better_than_a_constant_answer_is_warned_of(history: History, said: str | None) -> None:
    found = {each.id: each.says for each in result_warnings.find_warnings(history)}
    if said is None:
        assert "no-better-than-constant" not in found
    else:
        assert found["no-better-than-constant"].startswith(said)
