"""A phase's session: batches from any step on, what it changes for its time alone, and the hooks around its steps."""

from __future__ import annotations

import itertools
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from ftapp import recipe as recipes
from ftapp.data.encoded_splits import load_encoded
from ftapp.models import build
from ftapp.models.keras_internals import flatten_layers, seed_generators
from ftapp.models.layers import has_dropout
from ftapp.recipe import Recipe
from ftapp.training.batch import StepResult
from ftapp.training.build_model import build_model
from ftapp.training.callbacks.callback import Callback
from ftapp.training.instrumented_model import InstrumentedModel
from ftapp.training.loop import train_phase
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


@dataclass
class Made:
    """A recipe with its model, plans and data."""

    recipe: Recipe
    model: Any
    layers: Any
    plans: Any
    splits: Any

    def session(self, **options: Any) -> PhaseSession:
        return PhaseSession(self.recipe, 0, self.model, self.plans[0], self.splits, **options)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def make(text: str, *overrides: str) -> Made:
        file = tmp_path / "tiny.toml"
        file.write_text(text, encoding="utf-8")
        recipe = recipes.load(file, None, overrides)
        pretrained = build.load_pretrained(recipe)
        splits = load_encoded(recipe, pretrained.preprocessor, lambda *progress: None)
        return Made(recipe, *build_model(recipe, pretrained, splits), splits)

    return make


def test_batches_from_a_step_on_are_those_of_the_whole_phase(make: Any, image_recipe: str) -> None:
    # 22 examples of training in batches of 8, augmented: three steps an epoch, of which the last is smaller.
    text = image_recipe + "[augment]\nrotation = 90.0\n"
    with make(text, "frozen.cache=false").session() as session:
        whole = list(session.batches())
        rests = {start: list(session.batches(start)) for start in (0, 1, 2, 3, 7, 8)}
    assert len(whole) == 9
    for start, rest in rests.items():
        assert [batch.key for batch in rest] == [batch.key for batch in whole[start:]]
        for one, other in zip(rest, whole[start:], strict=True):
            assert one.examples == other.examples
            np.testing.assert_array_equal(one.inputs, other.inputs)
            np.testing.assert_array_equal(one.targets, other.targets)


def test_more_steps_than_the_phase_has_are_more_epochs(make: Any, image_recipe: str) -> None:
    with make(image_recipe).session() as session:
        keys = [batch.key for batch in session.batches(8, 11)]
    assert [(key.epoch, key.step) for key in keys] == [(2, 2), (3, 0), (3, 1)]


def test_dropout_of_frozen_layers_is_off_while_the_session_lasts(make: Any, text_recipe: str) -> None:
    made = make(text_recipe)

    def rates() -> list[float]:
        return [layer.rate for layer in flatten_layers(made.model) if hasattr(layer, "rate")]

    built = rates()
    assert all(built)
    with made.session() as session:
        assert not all(rates())
        with session.as_built():
            assert rates() == built
        assert not all(rates())
    assert rates() == built
    assert any(map(has_dropout, flatten_layers(made.model)))


def test_first_step_is_traced_once(make: Any, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[bool] = []
    compute_loss: Any = InstrumentedModel.compute_loss

    def count(self: Any, *given: Any, training: bool) -> Any:
        traced.append(training)
        return compute_loss(self, *given, training)

    monkeypatch.setattr(InstrumentedModel, "compute_loss", count)
    with make(image_recipe).session() as session:
        first, second = itertools.islice(session.batches(), 2)
        before = [np.array(variable) for variable in session.model.trainable_variables]
        session.step(first, 0.1)
        assert traced == [True]
        after = [np.array(variable) for variable in session.model.trainable_variables]
        assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))
        session.step(second, 0.1)
        assert traced == [True]


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's traces")
def test_a_step_that_is_traced_beside_an_evaluation_gives_the_same(
    make: Any, text_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[tuple[bool, bool]] = []
    compute_loss: Any = InstrumentedModel.compute_loss

    def record(self: Any, *given: Any, training: bool) -> Any:
        traced.append((training, threading.current_thread() is threading.main_thread()))
        return compute_loss(self, *given, training)

    def train(*, ahead: bool) -> tuple[Any, ...]:
        traced.clear()
        with make(text_recipe).session() as session:
            with session.tracing_ahead() if ahead else nullcontext():
                evaluation = session.evaluate("test")
            results = [session.step(batch, 0.1).read() for batch in itertools.islice(session.batches(), 3)]
            assert traced == [(False, True), (True, not ahead)]
            return evaluation.metrics, results, [np.array(variable) for variable in session.model.trainable_variables]

    monkeypatch.setattr(InstrumentedModel, "compute_loss", record)
    first, second = train(ahead=True), train(ahead=False)
    assert first[:2] == second[:2]
    for one, other in zip(first[2], second[2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_session_gives_up_where_its_report_does(make: Any, image_recipe: str) -> None:
    with make(image_recipe).session(report=lambda activity, done, total: False) as session:
        assert session.cached
        assert not list(session.batches())
        assert session.evaluate("test") is None


def test_a_users_callback_hangs_on_the_loop(make: Any, image_recipe: str) -> None:
    calls: list[tuple[str, int]] = []
    losses: list[float] = []

    class Mine(Callback):
        def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
            calls.append((f"begin {session.phase.name}", state.position.run_step))

        def on_step_end(self, state: TrainState, result: StepResult) -> None:
            calls.append(("step", state.position.run_step))
            losses.append(result.read()["loss"])
            state.rate_factor = 0.5

        def on_phase_end(self, state: TrainState) -> None:
            calls.append(("end", state.position.run_step))

    state = TrainState()
    with make(image_recipe).session() as session:
        train_phase(lambda: session, state, [Mine()], lambda: len(losses) == 4)
    assert calls == [("begin head", 0), *(("step", step) for step in (1, 2, 3, 4)), ("end", 4)]
    assert np.isfinite(losses).all()
    assert state.rate_sum == pytest.approx(0.01 * (1 + 3 * 0.5))
    assert (state.position.epoch, state.position.step) == (2, 4)


class Losses(Callback):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        self.losses.append(result.read()["loss"])


def test_a_phase_goes_on_from_a_saved_state_as_if_it_had_not_stopped(make: Any, image_recipe: str) -> None:
    whole, parts, state, saved = Losses(), Losses(), TrainState(), TrainState()
    masked = "model.dropout=0.3"
    with make(image_recipe, masked).session() as session:
        train_phase(lambda: session, state, [whole])
    with make(image_recipe, masked).session() as session:
        train_phase(lambda: session, saved, [parts], lambda: len(parts.losses) == 5)
        saved = msgspec.json.decode(msgspec.json.encode(saved), type=TrainState)
        assert saved.position.step == 5
        assert seed_generators(session.whole)
        for generator in seed_generators(session.whole):  # the masks do not follow from what a layer remembers
            generator.state.assign(np.array([9, 9], np.uint32))
        train_phase(lambda: session, saved, [parts])
    assert parts.losses == whole.losses
    assert len(whole.losses) == 9
    assert saved == state
