"""How runs turned out: warnings of bad results, alarms while they go on, and none of the recorded runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.runs import outcome
from ftapp.runs.alarms import find_alarms
from ftapp.runs.event_reader import read
from ftapp.runs.event_types import Status
from ftapp.runs.events import AnyEvent, BestRestored, DataLoaded, ModelBuilt, ModelSaved, RunEnded
from ftapp.runs.history import History
from ftapp.runs.phase_events import Confused, Drifted, Evaluated, LayersChanged, PhaseStarted, SegmentProof, Stepped
from ftapp.runs.result_warnings import find_warnings
from tests.support.files import FIXTURES

RECORDED = sorted((FIXTURES / "recorded").iterdir())
FALLING = [2.0 * 0.97**step + 0.1 * math.sin(step) for step in range(60)]
CALIBRATED = [[1.0, 0.5, 0.5]]


def steps(losses: Sequence[float]) -> list[AnyEvent]:
    return [
        Stepped(time=2, step=step, epoch=1, loss=loss, rate=1e-3, seconds=0.1, memory=1)
        for step, loss in enumerate(losses, 1)
    ]


def metrics(accuracy: float | None) -> dict[str, float]:
    return {} if accuracy is None else {"accuracy": accuracy}


def evaluated(step: int, loss: float, accuracy: float | None = None, split: str = "test", n: int = 100) -> Evaluated:
    return Evaluated(
        time=3,
        step=step,
        split=split,
        examples=n,
        loss=loss,
        metrics=metrics(accuracy),
        seconds=0.1,
    )


def history(
    losses: Sequence[float] = FALLING,
    evaluations: Sequence[Evaluated] = (),
    counts: list[list[int]] | None = None,
    *,
    loss: float = 0.3,
    accuracy: float | None = None,
    classes: Sequence[str] = ("neg", "pos"),
    status: Status | None = "done",
    layers: Sequence[str] = ("classifier",),
    calibration: list[list[float]] = CALIBRATED,
    measured: bool = True,
    vocabulary: int = 0,
) -> History:
    """A run's history. counts: its test confusion, from which the accuracy follows."""
    if counts is not None:
        total = sum(map(sum, counts))
        accuracy = sum(row[index] for index, row in enumerate(counts)) / total
    else:
        total = 100
    events: list[AnyEvent] = [
        DataLoaded(time=0, train=80, validation=40, test=total, classes=list(classes), duplicates=0),
        ModelBuilt(time=0, parameters=10, layers=2, vocabulary=vocabulary),
        PhaseStarted(
            time=1,
            phase="head",
            first_step=1,
            steps=len(losses),
            epochs=1,
            trainable=1,
            parameters=10,
            trainable_layers=list(layers),
        ),
        *steps(losses),
        *evaluations,
    ]
    if measured:
        end = len(losses)
        final = Evaluated(
            time=4,
            step=end,
            split="test",
            examples=total,
            loss=loss,
            metrics=metrics(accuracy),
            seconds=0.1,
            final=True,
        )
        events.append(final)
        if counts is not None:
            events.append(Confused(time=4, step=end, split="test", counts=counts, calibration=calibration, final=True))
    if status:
        events.append(RunEnded(time=5, status=status, steps=len(losses), seconds=9))
    return History.of(events)


def ends_with(found: History, step: int) -> History:
    """The same run, which put back the best weights before it saved its model."""
    found.apply(BestRestored(time=4, step=len(found.steps), best_step=step, metric="loss", value=0.5))
    found.apply(ModelSaved(time=4, folder="model", step=step))
    return found


def ids(found: History) -> list[str]:
    return [each.id for each in find_warnings(found)]


GOOD = [[45, 5], [5, 45]]


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name[16:])
def test_recorded_quick_runs_have_neither_alarms_nor_warnings(folder: Path) -> None:
    so_far = History()
    for event in read(folder / "events.jsonl"):
        so_far.apply(event)
        assert find_alarms(so_far) == []
    assert find_warnings(so_far, recipe.load(folder / "recipe.toml")) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (history(counts=GOOD), []),
        (history(counts=GOOD, loss=1.9e8), ["loss-above-uniform"]),
        (history(counts=GOOD, loss=0.71, calibration=[]), []),  # a hinge loss, which is no log-likelihood
        (history(counts=[[950, 0], [12, 0]]), ["one-class"]),
        (history(counts=[[949, 1], [12, 0]]), ["no-better-than-constant", "class-not-found"]),
        (history(counts=[[940, 10], [11, 1]]), ["no-better-than-constant"]),
        (history(counts=[[950, 0], [0, 12]]), []),
        (history(counts=[[26, 24], [24, 26]]), ["no-better-than-chance"]),
        (history(counts=[[10, 40], [40, 10]]), ["no-better-than-constant"]),
        (history(counts=[[30, 0, 0], [0, 30, 0], [15, 15, 0]], classes="abc"), ["class-not-found"]),
        (history(counts=[[3, 0], [0, 0]]), []),  # the test split has but one class
        (history(counts=GOOD, layers=["block5_conv1"]), ["head-frozen"]),
        (history([], counts=GOOD), ["no-steps"]),
        (history(measured=False), ["not-evaluated"]),
        (history(measured=False, status="interrupted"), ["not-evaluated"]),
        (history(measured=False, status="failed"), []),
        (history(counts=GOOD, status=None), []),
        (history([1.0 + 0.3 * step for step in range(60)], counts=GOOD), ["training-loss-rising"]),
        (history([1.05**step for step in range(99)], counts=GOOD), ["training-loss-exploded"]),
        (history(classes=(), loss=9.0, vocabulary=2048), ["loss-above-uniform"]),
        (history(classes=(), loss=7.0, vocabulary=2048), []),
        (history(classes=(), loss=9.0), []),  # of a run that did not tell its vocabulary
        (history(classes=(), evaluations=[evaluated(0, 3.7)], loss=3.9), ["loss-above-start"]),
        (history(classes=(), evaluations=[evaluated(0, 3.7)], loss=3.6), []),
        (history(classes=(), evaluations=[evaluated(0, 3.7, n=20)], loss=3.9), []),  # of other examples
        (history(counts=GOOD, evaluations=[evaluated(60, 0.1, 0.95, "validation", 200)]), []),
    ],
)
def test_a_bad_result_is_warned_of_and_a_good_one_is_not(found: History, expected: list[str]) -> None:
    assert ids(found) == expected


def test_a_result_far_below_its_validation_is_pointed_out() -> None:
    found = history(counts=[[30, 20], [20, 30]], evaluations=[evaluated(60, 0.1, 0.99, "validation", 200)])
    assert "test-below-validation" in ids(found)


def test_overfitting_is_a_held_out_loss_that_stays_risen_while_the_training_loss_falls() -> None:
    def course(*losses: float, accuracy: float | None = None) -> list[Evaluated]:
        return [evaluated(10 * index, loss, accuracy) for index, loss in enumerate(losses)]

    risen = course(2.0, 0.5, 0.7, 0.9, 1.1)
    assert ids(history(classes=(), evaluations=risen)) == ["overfitting"]
    assert ids(history(classes=(), evaluations=course(2.0, 0.5, 0.7, 0.52, 1.1))) == []  # it swings
    assert ids(history([1.0] * 60, classes=(), evaluations=risen)) == []
    assert ids(history(counts=GOOD, evaluations=course(2.0, 0.5, 0.7, 0.9, 0.95, accuracy=0.9))) == []
    assert ids(history(counts=GOOD, evaluations=course(2.0, 0.5, 1.2, 1.3, 1.4, accuracy=0.9))) == ["overfitting"]
    (alarm,) = find_alarms(history(classes=(), evaluations=risen, measured=False, status=None))
    assert "press x" in alarm.advice


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        (FALLING, []),
        ([1.0 + 0.2 * math.sin(7 * step) for step in range(300)], []),  # swings and goes nowhere
        ([*FALLING[:40], *[50.0] * 3, *FALLING[40:]], []),  # three bad batches
        ([1.0] * 20 + [30.0] * 3, []),  # too early to tell
        ([2.0 + 0.05 * step for step in range(60)], ["loss-rising"]),
        ([2.0 * 1.3**step for step in range(40)], ["loss-exploded"]),
    ],
)
def test_an_alarm_is_of_losses_that_rise_and_names_the_key(losses: list[float], found: list[str]) -> None:
    alarms = find_alarms(history(losses, measured=False, status=None))
    assert [each.id for each in alarms] == found
    assert all("press e" in each.advice for each in alarms)


def test_an_alarm_is_of_one_class_predicted_and_ends_with_it() -> None:
    so_far = history(measured=False, status=None)
    so_far.apply(Confused(time=3, step=0, split="validation", counts=[[20, 0], [20, 0]]))
    assert find_alarms(so_far) == []  # before training that is no wonder
    so_far.apply(Confused(time=3, step=20, split="validation", counts=[[20, 0], [20, 0]]))
    (alarm,) = find_alarms(so_far)
    assert "at step 20 the model answered 'neg' to every validation example" in alarm.says
    so_far.apply(Confused(time=3, step=40, split="validation", counts=[[19, 1], [20, 0]]))
    assert find_alarms(so_far) == []


def test_the_constant_answer_and_recall_stand_beside_the_accuracy() -> None:
    report = outcome.summarize_outcome(history(counts=[[949, 1], [12, 0]]))
    assert report["constant"] == {"class": "neg", "accuracy": 950 / 962, "macro-f1": pytest.approx(950 / (950 + 962))}
    assert report["recall"] == {"neg": {"found": 949, "examples": 950}, "pos": {"found": 0, "examples": 12}}
    assert [each["id"] for each in report["warnings"]] == ["no-better-than-constant", "class-not-found"]
    assert outcome.summarize_outcome(history(classes=()))["constant"] is None


def test_numbers_that_no_run_writes_are_no_matter() -> None:
    """As of a folder that was tampered with."""
    odd: list[list[list[int]]] = [[[1]], [[0, 0], [0, 0]]]
    for counts in odd:
        found = history(accuracy=1e300, loss=math.inf, evaluations=[evaluated(0, math.nan, -5.0, n=0)])
        found.confusions.append(Confused(time=4, step=60, split="test", counts=counts, final=True))
        assert "loss-not-finite" in ids(found)
        outcome.summarize_outcome(found)
        find_alarms(history(status=None, evaluations=[evaluated(step, 1e308, 7.0, n=0) for step in range(9)]))


def test_the_cautions_of_the_recipe_belong_to_the_result() -> None:
    loaded = recipe.load(recipe.find("bert-full"), "quick", ["phase.finetune.learning_rate=0.01"])
    assert [each.id for each in find_warnings(history(counts=GOOD), loaded)] == ["pretrained-rate"]


def test_a_short_training_is_no_matter_where_the_result_is_good() -> None:
    loaded = recipe.load(recipe.find("bert-full"), "quick", ["phase.finetune.steps=4"])
    assert find_warnings(history(counts=GOOD), loaded) == []
    bad = [each.id for each in find_warnings(history(counts=[[50, 0], [50, 0]]), loaded)]
    assert bad == ["one-class", "few-steps", "never-evaluated", "rate-too-small"]


def test_a_run_that_ends_with_its_best_weights_is_not_called_overfitted() -> None:
    risen = [evaluated(10 * index, loss) for index, loss in enumerate((2.0, 0.5, 2.7, 2.9, 3.1))]
    assert ids(history(classes=(), evaluations=risen, measured=False)) == ["not-evaluated", "overfitting"]
    result = evaluated(10, 0.6)
    last = [*risen, result]
    assert ids(ends_with(history(classes=(), evaluations=last, loss=0.6), 10)) == []


def test_weights_that_never_became_better_are_pointed_out() -> None:
    risen = [evaluated(10 * index, loss) for index, loss in enumerate((0.5, 2.7))]
    assert "never-better" not in ids(ends_with(history(evaluations=risen, counts=GOOD), 10))
    assert "never-better" in ids(ends_with(history(evaluations=risen, counts=GOOD), 0))


def test_a_head_that_was_frozen_while_the_run_went_on_has_trained() -> None:
    found = history(counts=GOOD, layers=["classifier", "block5_conv1"])
    found.apply(Drifted(time=1, step=5, phase="p", since_start={"classifier": 0.1, "block5_conv1": 0.2}))
    proof = SegmentProof(steps=5, frozen=1, digest="", moved=2)
    found.apply(
        LayersChanged(
            time=2,
            phase=found.phases[0].phase,
            step=5,
            rules=["freeze head"],
            trainable=1,
            trainable_layers=["block5_conv1"],
            proof=proof,
        )
    )
    assert found.phases[0].trainable_layers == ["block5_conv1"]
    assert found.commanded_rules == ["freeze head"]
    assert found.seams == [6]
    assert "head-frozen" not in [each.id for each in find_warnings(found)]
