"""The job in this process: what trains, what is measured, what is saved, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp import data, recipe
from ftapp.common.errors import RunError
from ftapp.models import layers, saved_model
from ftapp.recipe import Phase, layer_rules
from ftapp.runs.history import History
from ftapp.training.optimizers import make_optimizer
from tests.conftest import Do, Finished
from tests.support.presets import Tiny
from tests.support.recipes import DIVERGES, HEAD_ALONE, without_samples


def losses(history: History) -> list[float]:
    return [step.loss for step in history.steps]


def weights_by_path(model: Any) -> dict[str, Any]:
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}


def test_features_are_learned(do: Do, image_recipe: str) -> None:
    code, history, _ = do(image_recipe, "phase.head.epochs=12", "phase.head.learning_rate=0.1")
    assert code == 0
    assert history.result is not None
    assert history.result.metrics["accuracy"] >= 0.9
    assert history.result.examples == 10
    # 24 to train on, 8 a batch; evaluated before the first step and after each epoch, and at the end.
    assert [evaluation.step for evaluation in history.evaluations] == [*range(0, 37, 3), 36]


def test_frozen_weights_stay_and_the_others_move(do: Do, text_recipe: str, tiny: Tiny) -> None:
    _, history, run = do(text_recipe)
    before = weights_by_path(keras_hub.models.Backbone.from_preset(str(tiny.bert)))
    after = weights_by_path(keras_hub.models.Backbone.from_preset(str(run.model_folder / "preset")))
    frozen = {
        path for path in before if ("embedding" in path and "norm" not in path) or "/self_attention_layer/" in path
    }
    frozen |= {path for path in before if "embeddings_layer_norm" in path}
    assert len(frozen) == 2 + 3 + 2 * 8
    for path, value in before.items():
        assert np.array_equal(value, after[path]) == (path in frozen), path
    phase = history.phases[0]
    classifier = 8 * 2 + 2
    assert phase.parameters == sum(value.size for value in before.values()) + classifier
    assert phase.trainable == phase.parameters - sum(before[path].size for path in frozen)


def test_a_saved_classifier_predicts_what_was_measured(do: Do, text_recipe: str, tmp_path: Path) -> None:
    _, history, run = do(text_recipe, HEAD_ALONE, "precision=float32")
    loaded = recipe.load(run.recipe_file)
    held_out = data.load(loaded.data, loaded.task, loaded.seed).test
    trained = saved_model.load(run.model_folder)
    scores = trained.predict([held_out[index] for index in range(len(held_out))])
    assert scores.shape == (20, 2)
    assert history.result is not None
    assert history.result.metrics["accuracy"] == pytest.approx(np.mean(scores.argmax(axis=1) == held_out.labels))
    own_loss = -np.log(scores[np.arange(20), held_out.labels]).mean()
    assert history.result.loss == pytest.approx(own_loss, rel=1e-4)
    assert trained.classes == ("negative", "positive")


def test_saved_files_hold_the_same_weights(finished: Finished) -> None:
    _, run = finished
    whole = keras.saving.load_model(run.model_folder / "model.keras", compile=False)
    backbone = keras_hub.models.Backbone.from_preset(str(run.model_folder / "preset"))
    assert len([layer for layer in backbone.layers if layer.weights]) == 3
    for layer in (layer for layer in backbone.layers if layer.weights):
        for one, other in zip(layer.get_weights(), whole.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_language_model_learns_its_book_and_writes(do: Do, lm_recipe: str) -> None:
    sets = ('phase.finetune.layers=["train all"]', "phase.finetune.epochs=3", "phase.finetune.learning_rate=0.01")
    code, history, run = do(lm_recipe, *sets)
    assert code == 0
    first, last = history.evaluations[0], history.evaluations[-1]
    assert first.metrics == {}
    assert last.loss < 0.8 * first.loss
    assert history.model is not None
    assert history.model.vocabulary == 259  # bytes and three words
    assert [sample.step for sample in history.samples] == [0, len(history.steps)]
    assert all(sample.text.startswith("the cat") for sample in history.samples)
    again = saved_model.load(run.model_folder).generate(["the dog"], 12)
    assert again[0].startswith("the dog")


@pytest.mark.parametrize("head", ["softmax", "one-vs-rest", "linear-svm"])
def test_every_head_learns(do: Do, image_recipe: str, head: str) -> None:
    _, history, _ = do(image_recipe, f"model.head={head}", "model.normalize=true", "phase.head.epochs=10")
    assert history.result is not None
    assert history.result.metrics["accuracy"] >= 0.8


def test_normalized_features_are_normal_before_the_first_step(do: Do, image_recipe: str) -> None:
    # Pixels in 0..255 instead of 0..1 make the features large; without statistics the first loss would be as large.
    _, history, _ = do(image_recipe, "model.normalize=true", "phase.head.epochs=1")
    assert history.evaluations[0].loss < 3


def test_features_of_an_early_layer_leave_out_the_later_ones(do: Do, image_recipe: str) -> None:
    _, history, _ = do(image_recipe, "model.features=block1_pool", "phase.head.epochs=1")
    kernel, classifier = 3 * 3 * 3 * 4 + 4, 4 * 2 + 2
    assert history.model is not None
    assert history.model.parameters == kernel + classifier


def test_phases_follow_each_other_with_their_own_layers(do: Do, image_recipe: str) -> None:
    layers = 'layers = ["freeze all", "train block2", "train head"]'
    second = f'[[phase]]\nname = "block"\n{layers}\nsteps = 4\nbatch_size = 12\n'
    _, history, _ = do(image_recipe + second, "model.hidden=[5]", "model.dropout=0.2", "phase.head.epochs=1")
    head, block = history.phases
    assert head.trainable_layers == ["head_dense_0", "classifier"]
    assert block.trainable_layers == ["block2_conv1", "block2_conv2", "head_dense_0", "classifier"]
    assert (head.first_step, head.steps, block.first_step, block.steps, block.epochs) == (1, 3, 4, 4, 2.0)
    assert [step.epoch for step in history.steps] == [1, 1, 1, 1, 1, 2, 2]
    # After each epoch of each phase, whatever the other phase's length was, and once for the result.
    assert [evaluation.step for evaluation in history.evaluations] == [0, 3, 5, 7, 7]


@pytest.mark.slow
def test_one_seed_gives_the_same_losses_and_another_does_not(do: Do, image_recipe: str) -> None:
    augmented = (
        image_recipe + '[augment]\nflip = "both"\nrotation = 90.0\nzoom = 0.2\ncrop = 0.8\ntranslation = [0.2, 0.1]\n'
    )
    runs = [do(augmented, f"seed={seed}", "model.dropout=0.3", "model.hidden=[6]")[1] for seed in (1, 1, 2)]
    assert losses(runs[0]) == losses(runs[1])
    assert losses(runs[0]) != losses(runs[2])
    assert [one.loss for one in runs[0].evaluations] == [one.loss for one in runs[1].evaluations]


def test_augmentation_changes_training_and_nothing_else(do: Do, image_recipe: str, finished: Finished) -> None:
    plain, _ = finished
    augmented = do(image_recipe + "[augment]\nrotation = 180.0\n")[1]
    assert losses(plain) != losses(augmented)
    assert plain.evaluations[0].loss == augmented.evaluations[0].loss


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_good_weights(do: Do, image_recipe: str) -> None:
    code, history, run = do(image_recipe, *DIVERGES)
    assert code == 1
    assert history.ended is not None
    assert history.ended.status == "failed"
    assert history.ended.error is not None
    assert f"at step {len(history.steps) + 1};" in history.ended.error
    assert "clip_norm" in history.ended.error
    assert "--set phase.head.learning_rate=10)" in history.ended.error
    assert history.saved is not None
    assert history.saved.step is not None
    assert 1 <= history.saved.step <= len(history.steps)
    marks = json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))
    assert (marks["status"], marks["step"], marks["error"]) == ("failed", history.saved.step, history.ended.error)
    weights = saved_model.load(run.model_folder).model.get_weights()
    assert all(np.isfinite(each).all() for each in weights)


def test_a_model_that_diverged_in_its_last_step_fails(do: Do, image_recipe: str) -> None:
    sets = (*DIVERGES, "phase.head.steps=2", 'phase.head.layers=["train all"]')
    code, history, run = do(image_recipe, *sets)
    assert code == 1
    assert history.ended is not None
    assert "the loss has to stay finite" in str(history.ended.error)
    assert len(history.steps) == 2
    assert json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))["step"] == 1


def test_what_fails_after_training_leaves_the_model(do: Do, lm_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(writer: Any, step: int) -> None:
        if step:
            raise RunError("no text")

    monkeypatch.setattr("ftapp.training.callbacks.samples.SampleWriter.write", fail)
    code, history, run = do(lm_recipe, "phase.finetune.steps=2")
    assert code == 1
    assert history.ended is not None
    assert history.ended.error == "no text"
    assert history.saved is not None
    assert history.saved.step == len(history.steps) > 0
    tokens = np.ones((1, 4), np.int32)
    scores = saved_model.load(run.model_folder).model({"token_ids": tokens, "padding_mask": tokens}, training=False)
    assert scores.shape == (1, 4, 259)


def test_weight_decay_is_what_the_recipe_says() -> None:
    for name in ("adam", "adamw", "sgd"):
        none = Phase(name="p", steps=1, optimizer=name)
        some = Phase(name="p", steps=1, optimizer=name, weight_decay=0.1)
        assert not make_optimizer(none).weight_decay
        assert make_optimizer(some).weight_decay == 0.1


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ('phase.finetune.layers=["freeze attentoin"]', "phase.finetune.layers", "did you mean 'attention'?"),
        ('phase.finetune.layers=["freeze all"]', "phase.finetune.layers", "trains at least one layer"),
        ("data.label_column=lable", "data.label_column", "'label'"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(do: Do, text_recipe: str, override: str, key: str, message: str) -> None:
    code, history, _ = do(text_recipe, override)
    assert code == 2
    assert history.ended is not None
    assert history.ended.status == "refused"
    assert [problem[1] for problem in history.ended.problems] == [key]
    assert message in history.ended.problems[0][2]
    assert not history.steps


@pytest.mark.parametrize("given", ["soon", "-5", "nan"])
def test_a_wrong_limit_of_time_is_refused(
    given: str, do: Do, text_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_MAX_SECONDS", given)
    code, history, _ = do(text_recipe)
    assert code == 2
    assert history.ended is not None
    assert f"FTAPP_MAX_SECONDS = '{given}' is no number of seconds" in (history.ended.error or "")


def test_a_preset_of_another_task_is_refused(do: Do, text_recipe: str, tiny: Tiny) -> None:
    code, history, _ = do(text_recipe, f"model.preset={tiny.vgg}")
    assert code == 2
    assert history.ended is not None
    assert "text-classification" in history.ended.problems[0][2]


def test_an_early_layer_that_does_not_exist_is_refused(do: Do, image_recipe: str) -> None:
    code, history, _ = do(image_recipe, "model.features=block2_pol")
    assert code == 2
    assert history.ended is not None
    assert "did you mean 'block2_pool'?" in history.ended.problems[0][2]


def test_schedule_and_clipping_are_in_force(do: Do, image_recipe: str) -> None:
    _, history, _ = do(
        image_recipe,
        "phase.head.steps=12",
        "phase.head.learning_rate=0.003",
        "phase.head.schedule=cosine",
        "phase.head.warmup=0.25",
        "phase.head.clip_norm=1.0",
        "phase.head.optimizer=adamw",
        "phase.head.weight_decay=0.01",
    )
    rates = [step.rate for step in history.steps]
    assert rates[:4] == pytest.approx([0.001, 0.002, 0.003, 0.003])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < 0.0002


@pytest.mark.slow
def test_a_language_model_in_lower_precision_loads_again(do: Do, lm_recipe: str) -> None:
    code, _, run = do(without_samples(lm_recipe), "precision=bfloat16")
    assert code == 0
    keras.config.set_dtype_policy("float32")
    trained = saved_model.load(run.model_folder)
    assert trained.generate(["the cat"], 8) == trained.generate(["the cat"], 8)
    # And it is a preset for another run.
    assert do(without_samples(lm_recipe), f"model.preset={run.model_folder / 'preset'}")[0] == 0


def test_lower_precision_keeps_the_head_in_float32(do: Do, text_recipe: str) -> None:
    code, history, run = do(text_recipe, HEAD_ALONE, "precision=bfloat16")
    assert code == 0
    assert history.started is not None
    assert history.started.precision == "bfloat16"
    whole = keras.saving.load_model(run.model_folder / "model.keras", compile=False)
    assert whole.output.dtype == "float32"
    block = whole.get_layer("bert_backbone").get_layer("transformer_layer_0")
    assert block.compute_dtype == "bfloat16"


@pytest.mark.slow
def test_a_run_parses_each_rule_once_and_walks_its_model_once(
    do: Do, text_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    walked: list[Any] = []
    parse, walk = layer_rules._parse, layers.weighted_layers

    def count_parse(text: str, whole: str) -> Any:
        parsed.append(whole)
        return parse(text, whole)

    def count_walk(model: Any) -> Any:
        walked.append(model)
        return walk(model)

    monkeypatch.setattr(layer_rules, "_parse", count_parse)
    monkeypatch.setattr(layers, "weighted_layers", count_walk)
    second = '[[phase]]\nname = "second"\nlayers = ["freeze all", "train last:1", "train head"]\nsteps = 1\n'
    table = 'phase.second.learning_rate={ backbone = 1e-4, "head" = 1e-3 }'
    code, _, _ = do(text_recipe + second, "phase.finetune.steps=1", table)
    assert code == 0
    rules = ["freeze embeddings", "freeze attention", "freeze all", "train last:1", "train head", "backbone", "head"]
    assert parsed == 2 * rules  # by the command that starts the run and by the run's own process
    assert len(walked) == 1
