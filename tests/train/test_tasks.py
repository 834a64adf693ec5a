"""Multi-label classification and regression in whole runs: they learn, measure, save, and predict what was measured."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from ftapp import data, recipe
from ftapp.analysis.metrics.sets import score_sets
from ftapp.api.evaluations import describe
from ftapp.common.errors import RecipeError
from ftapp.models import saved_model
from ftapp.runs.answer_events import NumbersCompared, SetsScored
from tests.conftest import Do
from tests.support.predictions import explain, measure, predict
from tests.support.presets import Tiny
from tests.train.conftest import WORDS


@pytest.mark.slow
def test_several_labels_are_learned_and_predicted(do: Do, tagged_recipe: str, tmp_path: Path) -> None:
    code, history, run = do(
        tagged_recipe,
        *("phase.finetune.steps=60", "evaluate.every=60", "phase.finetune.learning_rate=0.01"),
        *("precision=float32", "data.validation=0.25"),
    )
    assert code == 0
    assert history.result is not None
    assert set(history.result.metrics) == {"micro-f1", "macro-f1", "map"}
    scored = history.set_scores[-1]
    assert isinstance(scored, SetsScored)
    assert history.result.metrics["map"] > scored.constant["map"] + 0.15
    assert scored.final
    assert scored.thresholds != [0.5, 0.5]
    assert history.set_scores[0].thresholds == [0.5, 0.5]
    trained = saved_model.load(run.model_folder)
    assert trained.thresholds == tuple(scored.thresholds)
    loaded = recipe.load(run.recipe_file)
    test = data.load(loaded.data, loaded.task, loaded.seed).test
    scores = trained.predict([test[at] for at in range(len(test))])
    again = score_sets(test.labels, scores, np.array(scored.thresholds))
    assert history.result.metrics["micro-f1"] == pytest.approx(again.micro_f1)
    assert scored.average_precision == pytest.approx(again.average_precision.tolist(), abs=1e-6)
    assert scored.counts == test.labels.sum(axis=0).tolist()
    result = describe(run, None, measure(run))
    assert result["equal_to_run"]
    assert result["labels"]["thresholds"] == scored.thresholds
    (tmp_path / "test.txt").write_text("".join(f"{test[at]}\n" for at in range(len(test))), encoding="utf-8")
    for row, known in zip(predict(run, tmp_path / "test.txt", scores=True), scores, strict=True):
        assert row.scores == pytest.approx(known, abs=1e-5)
        reached = [name for name, score, limit in zip(trained.classes, row.scores, scored.thresholds, strict=True)
                   if score >= limit]  # fmt: skip
        assert row.answer == tuple(reached)
    (explained,) = explain(run, texts=["good great film"], top=2)
    assert {each.label for each in explained.explanations} == set(trained.classes)
    for each in explained.explanations:  # the log-odds of each label for itself
        assert each.explained == pytest.approx(np.log(each.score / (1 - each.score)), rel=1e-2, abs=1e-3)


@pytest.mark.slow
def test_numbers_are_learned_in_their_unit(do: Do, rated_recipe: str, tmp_path: Path) -> None:
    code, history, run = do(
        rated_recipe, "phase.finetune.steps=80", "evaluate.every=80", "precision=float32", "model.dropout=0"
    )
    assert code == 0
    first, result = history.evaluations[0], history.result
    assert result is not None
    assert set(result.metrics) == {"mae", "rmse", "r2", "spearman"}
    # The head begins near the mean of the training split, of which the loss is 1.
    assert 0.5 < first.loss < 4
    assert result.metrics["r2"] > 0.5
    assert result.metrics["spearman"] > 0.7
    compared = history.comparisons[-1]
    assert isinstance(compared, NumbersCompared)
    assert compared.final
    assert compared.constant["r2"] <= 0
    assert compared.constant["rmse"] > result.metrics["rmse"]
    loaded = recipe.load(run.recipe_file)
    test = data.load(loaded.data, loaded.task, loaded.seed).test
    answers = saved_model.load(run.model_folder).predict([test[at] for at in range(len(test))])
    assert answers.shape == (len(test), 1)
    assert np.abs(answers[:, 0] - test.labels).mean() == pytest.approx(result.metrics["mae"], rel=1e-4)
    assert describe(run, None, measure(run))["equal_to_run"]
    (tmp_path / "test.txt").write_text("".join(f"{test[at]}\n" for at in range(len(test))), encoding="utf-8")
    assert [row.answer for row in predict(run, tmp_path / "test.txt")] == pytest.approx(answers[:, 0], rel=1e-5)
    (explained,) = explain(run, texts=["good good bad"])
    (found,) = explained.explanations
    assert (found.label, found.score) == ("", explained.answer)
    assert found.explained == pytest.approx(explained.answer, rel=1e-4)  # the number itself, which good words raise
    raised = {word.text.strip(): word.share or 0 for word in found.words}
    assert raised["good"] > raised["bad"]
    with pytest.raises(RecipeError, match="answers with a number"):
        explain(run, texts=["good"], label="9")
    whole = describe(run, "", measure(run, loaded.data.source))
    assert whole["metrics"]["loss"]["value"] == pytest.approx(result.loss, rel=0.9)  # in the scale of the run's numbers


def test_images_have_numbers(do: Do, image_recipe: str, tiny: Tiny) -> None:
    made = image_recipe.replace("image-classification", "image-regression").replace(
        f"folder:{tiny.photos}", "sklearn:digits"
    )
    code, history, _ = do(made, "data.limit=120", "phase.head.epochs=1")
    assert code == 0
    assert history.result is not None
    assert history.result.metrics["mae"] > 0
    assert history.phases[0].cache is not None


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        ("linear-svm", ["balance.class_weights={ good = 3.0 }"], "good 3, bad 1"),
        (
            "one-vs-rest",
            ["balance.class_weights=balanced", "balance.focal_gamma=1.0", "model.label_smoothing=0.1"],
            "bad 1.52, good 1",
        ),
    ],
)
def test_heads_of_several_labels_train_on_cached_features(
    do: Do, tagged_recipe: str, head: str, options: list[str], message: str
) -> None:
    layers = 'phase.finetune.layers=["freeze all", "train head"]'
    code, history, _ = do(tagged_recipe, f"model.head={head}", layers, "keep.best=map", *options)
    assert code == 0
    assert history.data is not None
    assert "the loss of a label that an example has is multiplied by its weight: " in history.data.notes[-1]
    assert message in history.data.notes[-1]
    assert history.phases[0].cache is not None
    assert history.phases[0].cache.cached
    usual = 0.0 if head == "linear-svm" else 0.5
    assert history.set_scores[0].thresholds == [usual, usual]


@pytest.mark.slow
def test_balanced_weights_find_a_class_of_one_in_twenty(do: Do, tiny: Tiny, text_recipe: str, tmp_path: Path) -> None:
    chosen = random.Random(1)
    rows = []
    for number in range(400):
        is_bad = number % 20 == 0
        words = [chosen.choice(WORDS["bad" if is_bad else "good"]) for _ in range(3)] + ["good"]
        chosen.shuffle(words)
        rows.append(f"{' '.join(words)} {number},{'bad' if is_bad else 'good'}")
    table = tmp_path / "uneven.csv"
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    made = text_recipe.replace(f"csv:{tiny.reviews}", f"csv:{table}")
    options = [
        *('phase.finetune.layers=["train all"]', "phase.finetune.steps=60", "phase.finetune.learning_rate=0.002"),
        *("phase.finetune.batch_size=16", "model.dropout=0", "evaluate.every=60", "precision=float32"),
    ]
    found = {}
    for weights in ("none", "balanced"):
        _, history, _ = do(made, *options, f"balance.class_weights={weights}")
        assert history.result is not None
        found[weights] = history.result.metrics["macro-f1"]
    assert found["none"] < 0.5
    assert found["balanced"] > 0.9
