"""Explanations of tiny runs' answers: equal to predictions, for texts and images."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftapp.api.evaluations import describe
from ftapp.common.errors import RecipeError
from ftapp.runs.example_results import read_example_results
from ftapp.runs.run_folder import RunFolder
from tests.conftest import Do, Finished
from tests.support.predictions import explain, explain_test, measure, predict
from tests.support.presets import BAD, GOOD, Tiny


@pytest.mark.slow
def test_words_of_texts_are_explained_with_the_answers_of_predict(
    text_recipe: str, do: Do, tiny: Tiny, tmp_path: Path
) -> None:
    _, history, run = do(text_recipe)
    texts = [f"the film was {GOOD[0]} and {GOOD[1]}", f"a {BAD[0]} plot", "", "very  GREAT\tfilm", "the " * 40]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    found, predicted = explain(run, tmp_path / "texts.txt"), predict(run, tmp_path / "texts.txt")
    assert [(row.name, row.answer, row.answer_scores, row.problem) for row in found] == [
        (row.name, row.answer, row.answer_scores, row.problem) for row in predicted
    ]
    assert found[2].problem
    for row in found[:2]:
        (each,) = row.explanations
        assert (each.label, each.score) == (row.answer, row.answer_scores[0])
        assert "".join(word.text for word in each.words) == row.name
        assert sum(abs(word.share or 0) for word in each.words) == pytest.approx(1, abs=0.01)
    assert found[4].explanations[0].words[-1].share is None  # the model reads 16 tokens
    by_class = explain(run, texts=[texts[0]], label="negative")[0]
    assert (by_class.answer, by_class.explanations[0].label) == (found[0].answer, "negative")
    both = explain(run, texts=[texts[0]], top=5)[0].explanations
    assert sorted(each.label for each in both) == ["negative", "positive"]
    for word, opposite in zip(both[0].words, both[1].words, strict=True):  # of two classes
        assert word.share == pytest.approx(-(opposite.share or 0), abs=0.01)
    with pytest.raises(RecipeError, match="has no class 'positiv'; did you mean 'positive'"):
        explain(run, texts=[texts[0]], label="positiv")
    results = read_example_results(run, history.result, 2)
    assert results is not None
    places = [each.example for each in results.found]
    assert sorted(explain_test(run, places)) == sorted(places)
    # Another table in the place of the run's own: other texts in rows of the same classes.
    lines = tiny.reviews.read_text(encoding="utf-8").splitlines()
    (tmp_path / "other.csv").write_text("\n".join([lines[0], *lines[3:], *lines[1:3]]), encoding="utf-8")
    recipe = run.recipe_file.read_text(encoding="utf-8").replace(str(tiny.reviews), str(tmp_path / "other.csv"))
    run.recipe_file.write_text(recipe, encoding="utf-8")
    assert explain_test(run, places) == {}
    written = run.examples_file.read_text(encoding="utf-8")
    run.examples_file.write_text(re.sub(r'"digest":"\w+",', "", written), encoding="utf-8")  # as of an earlier version
    assert explain_test(run, places) == {}


def test_images_are_explained_with_the_answers_of_predict_and_replaced_ones_are_noticed(
    finished: Finished, tiny: Tiny, tmp_path: Path
) -> None:
    history, run = finished
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("across", "down"):
        (folder / f"{name}.png").write_bytes((tiny.photos / name / "0.png").read_bytes())
    (folder / "broken.png").write_bytes(b"nothing")
    found, predicted = explain(run, folder, figures=True), predict(run, folder)
    assert [(row.name, row.answer, row.answer_scores, row.problem) for row in found] == [
        (row.name, row.answer, row.answer_scores, row.problem) for row in predicted
    ]
    whole = [row for row in found if not row.problem]
    assert len(whole) == 2
    for row in whole:
        (each,) = row.explanations
        assert each.method == "Grad-CAM"
        assert {len(line) for line in each.cells} == {len(each.cells)}
        assert 0 <= min(map(min, each.cells)) <= max(map(max, each.cells)) <= 1
        assert row.figure.startswith(b"\x89PNG")
        assert each.overlay[8:12] == each.picture[8:12] == b"WEBP"
    with pytest.raises(RecipeError, match="takes images"):
        explain(run, texts=["a text"])
    run = RunFolder(shutil.copytree(run.folder, tmp_path / "run"))
    own = shutil.copytree(tiny.photos, tmp_path / "own")
    recipe = run.recipe_file.read_text(encoding="utf-8").replace(str(tiny.photos), str(own))
    run.recipe_file.write_text(recipe, encoding="utf-8")
    results = read_example_results(run, history.result)
    assert results is not None
    places = [each.example for each in results.found]
    assert sorted(explain_test(run, places)) == sorted(places)
    assert describe(run, None, measure(run))["notes"] == []
    with Image.open(own / places[0]) as image:
        pixels = 255 - np.asarray(image)
    Image.fromarray(pixels).save(own / places[0])
    assert sorted(explain_test(run, places)) == sorted(places[1:])
    [note] = describe(run, None, measure(run))["notes"]
    assert note.startswith("the data have changed since the run: its test split had other examples")
