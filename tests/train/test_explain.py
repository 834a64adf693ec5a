"""Explanations of tiny runs' answers: equal to predictions, for classes, labels and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftapp.common.errors import RecipeError
from ftapp.rpc.explanation_messages import ExplainedRow, ExplainQuestion
from ftapp.rpc.prediction_messages import PredictQuestion
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.explain_requests import ExplainRequests
from ftapp.workers.run_models import RunModels
from tests.conftest import Do
from tests.support.predictions import predict
from tests.support.presets import BAD, GOOD, Tiny


def explain(run: RunFolder, *inputs: Path, **options: Any) -> list[ExplainedRow]:
    """Explain the answers to inputs; the options are those of `ExplainQuestion`."""
    lines: list[Any] = []
    files = PredictQuestion(inputs=[(str(each), each.name) for each in inputs])
    asked = msgspec.to_builtins(ExplainQuestion(inputs=files, **options))
    ExplainRequests(RunModels()).explain(Request(1, "explain", {}, lines.append), str(run.folder), asked)
    return [msgspec.convert(line["explained"], ExplainedRow) for line in lines if "explained" in line]


def test_words_of_texts_are_explained_with_the_answers_of_predict(text_recipe: str, do: Do, tmp_path: Path) -> None:
    _, _, run = do(text_recipe)
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


def test_images_are_explained_with_the_answers_of_predict(
    image_recipe: str, do: Do, tiny: Tiny, tmp_path: Path
) -> None:
    _, _, run = do(image_recipe)
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


def test_a_number_is_explained_itself(text_recipe: str, do: Do, tiny: Tiny, tmp_path: Path) -> None:
    table = tmp_path / "stars.csv"
    rows = [f"the film was {word} {at},{stars}" for word, stars in ((GOOD[0], 9), (BAD[0], 2)) for at in range(30)]
    table.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    _, _, run = do(
        text_recipe.replace("text-classification", "text-regression").replace(f"csv:{tiny.reviews}", f"csv:{table}"),
        "phase.finetune.steps=2",
    )
    (row,) = explain(run, texts=[f"the film was {GOOD[0]}"])
    (each,) = row.explanations
    assert (each.label, each.score) == ("", row.answer)
    assert each.explained == pytest.approx(each.score, rel=0.01)  # of the precision of the run
    with pytest.raises(RecipeError, match="answers with a number"):
        explain(run, texts=["the film"], label="9")
