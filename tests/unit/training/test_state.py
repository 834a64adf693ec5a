"""The state of a training: it survives being saved, and counts what was seen."""

from __future__ import annotations

import msgspec

from ftapp.runs.phase_events import Confused, Evaluated
from ftapp.training.state import Patience, Position, SpentSeconds, TrainState


def trained() -> TrainState:
    """A state in the middle of a second phase."""
    state = TrainState(elapsed=3.5)
    state.begin_phase(0)
    state.advance(1, b"first", 0.5)
    state.begin_phase(1)
    for keys in (b"second", b"third"):
        state.advance(1, keys, 0.25)
    state.rate_factor, state.events_offset = 0.1, 4096
    state.evaluated = Evaluated(
        time=1.0, step=3, split="test", examples=20, loss=0.5, metrics={"accuracy": 0.75}, seconds=1.0
    )
    state.best = msgspec.structs.replace(state.evaluated, step=1, loss=0.25)
    state.patience = Patience(step=3, best_step=1, best=0.25, waited=2, length=9)
    state.answers = Confused(time=1.0, step=3, split="test", counts=[[8, 2], [3, 7]], calibration=[[1, 0.5, 1]])
    state.segment_digests = {"head/kernel": b"\x00\xff" * 8}
    state.spent = SpentSeconds(preparing=1.0, training=2.0, evaluating=0.5)
    state.drift_step, state.sample_step, state.peak_memory = 3, 2, 1 << 31
    return state


def test_a_state_is_the_same_after_being_saved() -> None:
    state = trained()
    for encode, decode in (
        (msgspec.json.encode, msgspec.json.decode),
        (msgspec.msgpack.encode, msgspec.msgpack.decode),
    ):
        assert decode(encode(state), type=TrainState) == state
        assert decode(encode(TrainState()), type=TrainState) == TrainState()


def test_a_state_that_is_saved_in_between_goes_on_as_if_it_were_not() -> None:
    state = trained()
    again = msgspec.json.decode(msgspec.json.encode(state), type=TrainState)
    for each in (state, again):
        each.advance(2, b"fourth", 0.125)
    assert again == state
    assert state.position == Position(phase=1, epoch=2, step=3, run_step=4)
    assert state.rate_sum == 0.625
    assert state.patience.waited == 2
    state.begin_phase(2)
    assert state.patience == Patience()


def test_the_hash_of_what_was_seen_depends_on_the_order_and_is_of_the_phase() -> None:
    def seen(*keys: bytes) -> bytes:
        state = TrainState()
        state.begin_phase(0)
        for key in keys:
            state.advance(1, key, 0.1)
        return state.seen

    assert seen(b"a", b"b") != seen(b"b", b"a")
    assert seen(b"a", b"b") == seen(b"a", b"b")
    state = TrainState()
    state.advance(1, b"before", 0.1)
    state.begin_phase(1)
    assert state.position == Position(phase=1, run_step=1)
    state.advance(1, b"a", 0.1)
    assert state.seen == seen(b"a")


def test_the_weights_are_of_the_last_step_or_of_the_one_that_was_put_back() -> None:
    state = trained()
    assert state.weights_step == 3
    state.restored_step = 1
    assert state.weights_step == 1
    state.advance(1, b"fourth", 0.25)
    assert state.weights_step == 4
