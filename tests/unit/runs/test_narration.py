"""What is said of a run in words."""

from __future__ import annotations

from ftapp.runs.events import BestRestored, Controlled, Resumed
from ftapp.runs.history import History
from ftapp.runs.narration import describe_interventions, narrate
from ftapp.runs.phase_events import Evaluated, PhaseEnded, PhaseStarted


def test_interventions_are_told_in_the_order_of_steps() -> None:
    history = History.of(
        [
            Controlled(time=1, id="1", command="pause", applied=True, step=3),
            Controlled(time=2, id="2", command="rate", applied=True, step=30, rate=1e-5),
            Controlled(time=3, id="3", command="freeze", applied=False, step=31, layers="all", reason="no"),
            Controlled(time=4, id="4", command="unfreeze", applied=True, step=40, layers="last:1"),
            Resumed(time=5, step=20, inexact=["keras is 3.1 and was 3.0"]),
        ]
    )
    assert describe_interventions(history) == (
        "resumed after step 20 (not exact: keras is 3.1 and was 3.0); rate 1e-05 after step 30; "
        "unfreeze last:1 after step 40"
    )
    assert describe_interventions(History()) == ""


def test_one_step_on_one_example_is_told_in_the_singular() -> None:
    phase = PhaseStarted(
        time=0, phase="head", first_step=1, steps=1, epochs=1, trainable=1, parameters=2, trainable_layers=[]
    )
    assert narrate(phase) == ["phase head: 1 step; 1 of 2 parameters train, R = 50.0%"]
    evaluated = Evaluated(time=0, step=0, split="test", examples=1, loss=0.5, seconds=1)
    assert narrate(evaluated)[0].endswith(" on 1 example")


def test_an_early_end_is_told_before_the_end_of_the_phase() -> None:
    ended = PhaseEnded(
        time=0,
        phase="head",
        steps=4,
        seconds=1,
        preparing=0,
        training=1,
        evaluating=0,
        memory=1,
        frozen=2,
        digest="",
        moved=1,
        stopped="2 evaluations without a better loss than 0.5000 at step 2",
    )
    first, second = narrate(ended)
    assert first == "phase head ends early: 2 evaluations without a better loss than 0.5000 at step 2"
    assert second.startswith("phase head in 1.0 s")


def test_best_weights_are_told_with_their_step_and_metric() -> None:
    event = BestRestored(time=0, step=30, best_step=18, metric="macro-f1", value=0.875)
    assert narrate(event) == ["the weights of step 18 replace those of step 30: best held-out macro F1, 0.8750"]
