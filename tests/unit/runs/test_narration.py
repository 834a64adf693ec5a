"""What is said of a run in words."""

from __future__ import annotations

from ftapp.runs.events import Controlled, Resumed
from ftapp.runs.history import History
from ftapp.runs.narration import describe_interventions


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
