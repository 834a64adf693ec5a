"""What a run tells of its model while it trains: weight drift, confusion, samples."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.runs.commands import Checkpoint
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.phase_events import Confused, Drifted, Evaluated
from tests.conftest import Do, Finished
from tests.support.presets import Tiny
from tests.support.recipes import HEAD_ALONE


def test_each_evaluation_of_a_classifier_says_what_was_taken_for_what(finished: Finished) -> None:
    history, run = finished
    events = read(run.events_file)
    for place, event in enumerate(events):
        if isinstance(event, Evaluated):
            confused = events[place + 1]
            assert isinstance(confused, Confused)
            assert (confused.step, confused.split, confused.final) == (event.step, event.split, event.final)
            counts = np.array(confused.counts)
            assert counts.shape == (2, 2)
            assert counts.sum() == event.examples
            assert np.trace(counts) / event.examples == pytest.approx(event.metrics["accuracy"])
            examples, confidence, right = np.sum(confused.calibration, axis=0)
            assert (examples, right) == (event.examples, np.trace(counts))
            assert examples / 2 <= confidence <= examples
    assert len(history.confusions) == len(history.evaluations)
    assert history.summary()["confusion"] == history.confusions[-1].counts
    assert sum(history.confusions[-1].counts[0]) == 5  # half of the test split


def test_drift_is_that_of_the_saved_weights(do: Do, image_recipe: str) -> None:
    second = '[[phase]]\nname = "block"\nlayers = ["freeze all", "train block2", "train head"]\nsteps = 4\n'
    _, history, run = do(image_recipe + second, "phase.head.epochs=2", commands=[Checkpoint()])
    assert [(drift.step, drift.phase) for drift in history.drifts] == [
        *((step, "head") for step in (3, 6)),
        *((step, "block") for step in (7, 8, 9, 10)),
    ]
    assert all(drift.last_step for drift in history.drifts)
    models = [run.snapshot_folder(0), run.model_folder]
    start, end = (keras.saving.load_model(folder / "model.keras", compile=False) for folder in models)
    assert list(history.drifts[-1].since_start) == history.phases[1].trainable_layers
    for path, drift in history.drifts[-1].since_start.items():
        before, after = (
            np.concatenate([value.ravel() for value in model.get_layer(path).get_weights()]) for model in (start, end)
        )
        assert drift is not None
        assert drift == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-4)
        assert drift > 0


def test_a_phase_that_ends_between_evaluations_tells_its_drift(do: Do, image_recipe: str) -> None:
    _, history, _ = do(image_recipe, "phase.head.steps=5", "evaluate.every=3")
    assert [drift.step for drift in history.drifts] == [3, 5]
    assert history.drifts[1].last_step is None
    assert isinstance(history.drifts[1], Drifted)


@pytest.mark.slow
def test_a_language_model_writes_every_so_many_steps(do: Do, lm_recipe: str) -> None:
    _, history, _ = do(lm_recipe, "phase.finetune.steps=6", "samples.every=2", "phase.finetune.learning_rate=1e-12")
    assert [sample.step for sample in history.samples] == [0, 2, 4, 6]
    # The draws are the same each time, and the weights have hardly moved.
    assert len({sample.text for sample in history.samples}) == 1
    assert not history.confusions
    assert history.summary()["confusion"] is None


def test_the_share_of_common_tokens_is_that_of_what_was_written(do: Do, lm_recipe: str, tiny: Tiny) -> None:
    _, history, _ = do(lm_recipe, "samples.common=6", "samples.draws=3", "phase.finetune.steps=4")
    assert [shared.step for shared in history.token_shares] == [0, 4]
    assert all(len(shared.shares) == 3 for shared in history.token_shares)
    tokenizer = keras_hub.models.GPT2Tokenizer.from_preset(str(tiny.gpt2))
    # The book's text in order is its training split, and the six most frequent tokens of both are the same.
    counts = np.bincount(np.asarray(tokenizer(tiny.book.read_text("utf-8"))))
    common = set(np.argsort(-counts, kind="stable")[:6].tolist())
    for sample, shared in zip(history.samples, history.token_shares, strict=True):
        written = np.asarray(tokenizer(sample.text.removeprefix(sample.prompt))).tolist()
        assert shared.shares[0] == pytest.approx(np.mean([token in common for token in written]))


def last_step(history: History) -> list[float]:
    """How far the weights of each layer went in the step that was measured last."""
    return list((history.drifts[-1].last_step or {}).values())


def test_the_norm_of_a_gradient_is_told_before_it_is_clipped(do: Do, image_recipe: str) -> None:
    given = ["phase.head.optimizer=sgd", "phase.head.learning_rate=0.5", "phase.head.steps=1"]
    given += ["evaluate.every=1", 'phase.head.layers=["train all"]']
    _, history, _ = do(image_recipe, *given, "phase.head.gradient_norm=true")
    _, clipped, _ = do(image_recipe, *given, "phase.head.gradient_norm=true", "phase.head.clip_norm=0.01")
    _, without, _ = do(image_recipe, *given)
    norm = history.steps[0].gradient_norm
    assert norm is not None
    # The first step of gradient descent is the learning rate times the gradient.
    assert np.linalg.norm(last_step(history)) == pytest.approx(0.5 * norm, rel=1e-4)
    assert np.linalg.norm(last_step(clipped)) == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert clipped.steps[0].gradient_norm == norm
    assert without.steps[0].gradient_norm is None
    assert without.steps[0].loss == history.steps[0].loss


def test_label_smoothing_is_trained_on_and_not_measured(do: Do, image_recipe: str) -> None:
    given = ["phase.head.learning_rate=1e-12", "phase.head.steps=1"]
    _, plain, _ = do(image_recipe, *given)
    _, smoothed, _ = do(image_recipe, *given, "model.label_smoothing=0.5")
    assert smoothed.steps[0].loss != plain.steps[0].loss
    assert [each.loss for each in smoothed.evaluations] == pytest.approx([each.loss for each in plain.evaluations])


@pytest.mark.slow
def test_texts_are_augmented_anew_in_each_step_and_evaluated_as_they_are(do: Do, text_recipe: str) -> None:
    given = [HEAD_ALONE, "phase.finetune.learning_rate=1e-12", "phase.finetune.steps=4"]
    _, plain, _ = do(text_recipe, *given)
    _, noisy, _ = do(text_recipe, *given, "augment.token_dropout=0.3", "augment.word_swap=0.2")
    _, again, _ = do(text_recipe, *given, "augment.token_dropout=0.3", "augment.word_swap=0.2")
    assert [step.loss for step in noisy.steps] == [step.loss for step in again.steps]
    assert all(one.loss != other.loss for one, other in zip(noisy.steps, plain.steps, strict=True))
    assert [each.loss for each in noisy.evaluations] == pytest.approx([each.loss for each in plain.evaluations])


def test_kept_features_of_augmented_texts_are_those_of_their_views(do: Do, text_recipe: str) -> None:
    text = text_recipe + "[augment]\ntoken_dropout = 0.3\nviews = 2\n"
    given = ["phase.finetune.layers=['freeze all', 'train head']", "phase.finetune.epochs=4"]
    _, kept, _ = do(text, *given)
    assert kept.phases[0].cache is not None
    assert "2 augmented views of each example are cached" in kept.phases[0].cache.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "override",
    ["balance.class_weights={across = 9.0}", "balance.focal_gamma=2.0", "balance.class_weights=balanced"],
)
def test_what_balances_classes_is_trained_on_and_not_measured(override: str, do: Do, image_recipe: str) -> None:
    given = ["phase.head.learning_rate=1e-12", "phase.head.steps=1", "data.limit=30"]
    _, plain, _ = do(image_recipe, *given)
    _, balanced, _ = do(image_recipe, *given, override)
    assert (balanced.steps[0].loss == plain.steps[0].loss) == override.endswith("balanced")  # stripes are halves
    assert [each.loss for each in balanced.evaluations] == pytest.approx([each.loss for each in plain.evaluations])


def test_an_epoch_has_equal_shares_of_unequal_classes(do: Do, image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(tiny.photos, photos)
    for number in range(16):
        (photos / "down" / f"{number}.png").unlink()
    code, history, _ = do(image_recipe, f"data.source=folder:{photos}", "balance.sampling=balanced")
    assert code == 0
    assert history.data is not None
    assert history.data.counts["train"] == [11, 2]
    assert history.data.notes[-1] == "each epoch has 6 examples of each class, those of small classes several times"
    assert len(history.steps) == 6
