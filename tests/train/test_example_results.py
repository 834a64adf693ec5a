"""What runs keep of their test examples: the same however the examples are evaluated."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftapp import data, recipe
from ftapp.models import saved_model
from ftapp.runs.example_results import ExampleResult, ExampleResults, read_example_results
from ftapp.runs.run_folder import RunFolder
from ftapp.workers import run as run_worker
from tests.conftest import Do, Finished
from tests.support.checkpoints import cut_back
from tests.support.presets import Tiny
from tests.support.recipes import without_samples


def examples_of(run: RunFolder) -> ExampleResults:
    found = read_example_results(run, run.history().result)
    assert found is not None
    return found


def check_alike(one: ExampleResults, other: ExampleResults) -> None:
    """The same examples with the same answers, and losses that differ by rounding."""
    assert (one.step, one.examples, one.scores) == (other.step, other.examples, other.scores)
    by_name = {each.example: each for each in other.found}
    assert set(by_name) == {each.example for each in one.found}
    for each in one.found:
        assert (each.truth, each.answer, each.file) == (
            by_name[each.example].truth,
            by_name[each.example].answer,
            by_name[each.example].file,
        )
        assert each.loss == pytest.approx(by_name[each.example].loss, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_texts_with_their_rows_and_probabilities(do: Do, text_recipe: str, tiny: Tiny) -> None:
    """The evaluated split is the test split, so the result is not measured again."""
    code, history, run = do(text_recipe, "evaluate.keep_worst=3", "precision=float32")
    assert code == 0
    results, rows = examples_of(run), tiny.reviews.read_text("utf-8").splitlines()
    assert (results.step, results.split, results.examples, results.scores) == (12, "test", 20, "probability")
    assert history.result is not None
    losses = [each.loss for each in results.found]
    assert losses == sorted(losses, reverse=True)
    assert np.mean(losses) == pytest.approx(history.result.loss, rel=1e-5)
    assert np.mean([bool(each.right) for each in results.found]) == pytest.approx(history.result.metrics["accuracy"])
    trained, task = saved_model.load(run.model_folder), recipe.load(run.recipe_file)
    held_out = data.load(task.data, task.task, task.seed).test
    for each in results.found:
        text, _, label = rows[int(each.example.removeprefix("row ")) - 1].rpartition(",")
        assert each.truth == label
        scores = dict(zip(trained.classes, trained.predict([text])[0], strict=True))
        assert each.answer == max(scores, key=lambda name: scores[name])
        assert each.truth_score == pytest.approx(scores[each.truth], rel=1e-3)
        assert each.answer_score == pytest.approx(scores[each.answer], rel=1e-3)
        assert each.loss == pytest.approx(-np.log(scores[each.truth]), rel=1e-3)
        assert each.text in ("", text)
    assert [bool(each.text) for each in results.found] == [True] * 3 + [False] * 17
    assert {each.example for each in results.found} == {held_out.locate(place) for place in range(len(held_out))}

    # A few of them are followed from the beginning on.
    watched, by_place = history.watched, {each.example: each for each in results.found}
    assert watched is not None
    assert (watched.split, watched.scores, len(watched.examples)) == ("test", "probability", 6)
    assert {each.truth for each in watched.examples} == set(trained.classes)
    assert [each.step for each in history.watched_answers] == [0, 4, 8, 12]
    for example, last in zip(watched.examples, history.watched_answers[-1].answers, strict=True):
        result = by_place[example.example]
        assert example.text == rows[int(example.example.removeprefix("row ")) - 1].rpartition(",")[0]
        assert (example.truth, last.answer, last.right) == (result.truth, result.answer, result.right)
        assert last.score == pytest.approx(result.answer_score)


def test_images_with_their_files_are_the_same_on_cached_features(
    do: Do, image_recipe: str, finished: Finished, tiny: Tiny
) -> None:
    history, cached = finished
    assert history.watched is not None
    for watched in history.watched.examples:
        assert Path(watched.example).parent.name == watched.truth
        assert Image.open(io.BytesIO(watched.picture)).size == (24, 20)
    _, _, whole = do(image_recipe, "frozen.cache=false", "evaluate.batch_size=3", "evaluate.keep_worst=0")
    results = examples_of(cached)
    check_alike(results, examples_of(whole))
    for each in results.found:
        assert Path(each.file).parent.parent == tiny.photos
        assert each.example == f"{each.truth}/{Path(each.file).name}"
        with Image.open(io.BytesIO(each.picture)) as picture, Image.open(each.file) as original:
            assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(original))
    assert not any(each.has_content for each in examples_of(whole).found)


def test_sequences_with_their_texts(do: Do, lm_recipe: str) -> None:
    _, history, run = do(without_samples(lm_recipe))
    results = examples_of(run)
    assert history.result is not None
    assert results.examples == history.result.examples == len(results.found)
    assert np.mean([each.loss for each in results.found]) == pytest.approx(history.result.loss, rel=1e-5)
    first = results.found[0]
    assert first == ExampleResult(example=first.example, loss=first.loss, digest=first.digest, text=first.text)
    assert first.example.startswith("sequence ")
    assert "the" in first.text


@pytest.mark.parametrize("kind", ["linear-svm", "one-vs-rest"])
def test_scores_of_other_heads(kind: str, do: Do, image_recipe: str) -> None:
    _, history, run = do(image_recipe, f"model.head={kind}", "phase.head.epochs=1")
    results = examples_of(run)
    assert results.scores == ("distance" if kind == "linear-svm" else "probability")
    assert history.result is not None
    losses = np.mean([each.loss for each in results.found])
    if kind == "one-vs-rest":  # the loss of the other has the penalty of its weights too
        assert losses == pytest.approx(history.result.loss, rel=1e-5)
    assert losses <= history.result.loss * (1 + 1e-5)


def test_int8_features_leave_the_examples_of_the_float_model(do: Do, image_recipe: str) -> None:
    pytest.importorskip("openvino")
    sets = ("precision=float32", "frozen.engine=openvino")
    _, history, run = do(image_recipe, *sets, "frozen.dtype=int8")
    assert history.result is not None
    assert history.result.quantized
    results = examples_of(run)
    assert np.mean([each.loss for each in results.found]) == pytest.approx(history.result.loss, rel=1e-5)


@pytest.mark.slow
def test_a_resumed_run_keeps_the_same_examples(do: Do, text_recipe: str) -> None:
    """After its last step it measures again what its log knows already."""
    _, _, run = do(text_recipe, "checkpoint.every_steps=1", "checkpoint.keep=99")
    for step in (12, 9):
        again = cut_back(run, step)
        again.examples_file.unlink()
        assert run_worker.main(again.folder) == 0
        assert again.examples_file.read_bytes() == run.examples_file.read_bytes(), step


def test_an_interrupted_run_has_no_examples(do: Do, image_recipe: str) -> None:
    from ftapp.runs.commands import Stop

    _, _, run = do(image_recipe, commands=[Stop()])
    assert not run.examples_file.exists()


def test_no_run_fails_where_its_examples_cannot_be_written(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: RunFolder, results: ExampleResults) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ftapp.training.callbacks.example_log.write_example_results", fail)
    code, history, _ = do(image_recipe)
    assert code == 0
    assert [note.message for note in history.notes] == ["examples.jsonl cannot be written: Permission denied"]
