"""Requests to explain a run's model: what its answers to inputs, and to some of its test examples, rest on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError, RunError, suggest_nearest
from ftapp.recipe import TASKS
from ftapp.rpc.explanation_messages import ExplainedRow, ExplainQuestion
from ftapp.rpc.server import Request
from ftapp.runs.example_results import read_example_results
from ftapp.runs.explanations import Explanation, ShadedWord
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.classify_requests import find_allowed_file
from ftapp.workers.predict_requests import make_reader, make_row
from ftapp.workers.run_models import RunModels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftapp.data.input_rows import InputRow
    from ftapp.explain.explainer import Explainer
    from ftapp.models.saved_model import TrainedModel
    from ftapp.training.scoring import ScoredRow

_DIGITS = 4  # of the shares of words and cells


class ExplainRequests:
    """The handlers of requests to explain. Their run is the path of its folder.

    Args:
        models: The models of the last run.
    """

    def __init__(self, models: RunModels) -> None:
        self._models = models
        self._prepared: tuple[TrainedModel, Explainer] | None = None

    def explain(self, request: Request, run: str, question: dict[str, Any]) -> int:
        """Explain the answers to inputs, and say them in order, each as an `ExplainedRow`.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            question: An `ExplainQuestion`.

        Returns:
            How many inputs there are.

        Raises:
            RecipeError: An input is not there or cannot be read, there is no such class, or the model takes no texts.
            RunError: The model writes text.
        """
        asked = msgspec.convert(question, ExplainQuestion)
        trained, explainer = self._load(request, run)
        if asked.texts and TASKS[trained.task].inputs == "images":
            message = "--text: this run's model takes images; name an image file in place of the text"
            raise RecipeError([Problem("", "", message)])
        wanted = _find_class(trained, asked.label)
        recipe = recipes.load(RunFolder(Path(run)).recipe_file)
        from ftapp.training.scoring import Scorer

        rows = itertools.chain(_make_text_rows(asked.texts), make_reader(asked.inputs, recipe).read())
        count = 0
        scorer = Scorer(trained, asked.inputs.batch_size or recipe.evaluate.batch_size)
        for found in scorer.score(rows):
            if isinstance(found, int):
                continue
            for scored in found:
                request.report_progress("explaining", count)
                row = _explain_row(request, trained, explainer, scored, asked, wanted)
                request.say(explained=msgspec.to_builtins(row))
                count += 1
        return count

    def explain_one(self, request: Request, run: str, text: str | None, image: str | None) -> Explanation:
        """Explain the answer to a text or an image file, whichever the run's task takes.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            text: The text.
            image: The path of the image file.

        Raises:
            RunError: The model writes text, or the image cannot be decoded, or the person may not name it.
        """
        trained, explainer = self._load(request, run)
        content: Any = find_allowed_file(image or "") if TASKS[trained.task].inputs == "images" else text
        request.report_progress("explaining")
        with self._models.lock:
            return _explain_best(request, trained, explainer, content)

    def explain_test(self, request: Request, run: str, examples: list[str]) -> dict[str, Explanation]:
        """Explain the answers to examples of the run's test split.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            examples: Their places in their source, as `ftapp.runs.example_results` has them.

        Returns:
            The explanations by the places. Examples that are not there any more are left out, and so are places that
            hold another text or image now.

        Raises:
            RecipeError: The data cannot be read.
            RunError: Likewise, or the model writes text.
        """
        trained, explainer = self._load(request, run)
        from ftapp import data

        folder = RunFolder(Path(run))
        splits = data.read(recipes.load(folder.recipe_file), request.report_progress)
        if isinstance(splits, data.DocumentSplits):
            raise RunError("the answers to documents are not explained")
        results = read_example_results(folder, folder.history().result)
        former = {each.example: each for each in results.found} if results else {}
        wanted, found = set(examples), dict[str, Explanation]()
        for position in range(len(splits.test)):
            if (place := splits.test.locate(position)) in wanted:
                request.report_progress("explaining", len(found), len(wanted))
                content = splits.test[position]
                cut = partial(_cut_text, content)
                if place not in former or former[place].is_of(splits.test.digest(position), cut):
                    found[place] = _explain_best(request, trained, explainer, content)
        return found

    def _load(self, request: Request, run: str) -> tuple[TrainedModel, Explainer]:
        """Load the trained model of a run, and prepare to explain it.

        Raises:
            RunError: There is no model, or it writes text.
        """
        trained = self._models.load(request, run)
        if TASKS[trained.task].writes:
            raise RunError(
                "this run's model writes text, and `ftapp explain` explains classes and numbers; "
                "'ftapp generate' continues prompts with the model"
            )
        if self._prepared is None or self._prepared[0] is not trained:
            from ftapp.explain.explainer import Explainer

            self._prepared = trained, Explainer(trained)
        return self._prepared


def _cut_text(content: Any) -> str | None:
    """Cut a text as results keep it; None for an image."""
    from ftapp.training.callbacks.example_log import EXCERPT

    return content[:EXCERPT] if isinstance(content, str) else None


def _find_class(trained: TrainedModel, label: str | None) -> int | None:
    """Find the place of a class that is asked for; None where none is named.

    Raises:
        RecipeError: There is no such class.
    """
    if label is None:
        return None
    if not trained.classes:
        raise RecipeError([Problem("", "", "--class: this run's model answers with a number, which has no classes")])
    if label not in trained.classes:
        nearest = suggest_nearest(label, trained.classes)
        raise RecipeError([Problem("", "", f"--class: this run's model has no class '{label}'; {nearest}")])
    return trained.classes.index(label)


def _make_text_rows(texts: Sequence[str]) -> Iterator[InputRow]:
    from ftapp.data.input_rows import InputRow
    from ftapp.data.texts import normalise

    for text in texts:
        yield InputRow(text, "--text", normalise(text))


def _explain_row(
    request: Request,
    trained: TrainedModel,
    explainer: Explainer,
    scored: ScoredRow,
    asked: ExplainQuestion,
    wanted: int | None,
) -> ExplainedRow:
    predicted = make_row(trained, scored, 0, has_scores=False)
    if scored.scores is None:
        return ExplainedRow(name=predicted.name, problem=predicted.problem)
    outputs = [wanted] if wanted is not None else _sort_outputs(scored.scores)[: max(1, asked.top)]
    found = [_explain(request, trained, explainer, scored.row.content, scored.scores, output) for output in outputs]
    return ExplainedRow(
        name=predicted.name,
        answer=predicted.answer,
        answer_scores=predicted.answer_scores,
        explanations=tuple(found),
        figure=_draw_figure(trained, found) if asked.figures and found[0].overlay else b"",
    )


def _explain_best(request: Request, trained: TrainedModel, explainer: Explainer, content: Any) -> Explanation:
    """Explain the output with the highest score for a text, or an image as pixels or a file."""
    try:
        scores = trained.predict([content])[0]
    except ValueError as error:
        raise RunError(str(error)) from error
    return _explain(request, trained, explainer, content, scores, _sort_outputs(scores)[0])


def _sort_outputs(scores: NDArray[np.float32]) -> list[int]:
    return sorted(range(len(scores)), key=lambda at: -scores[at])


def _explain(
    request: Request, trained: TrainedModel, explainer: Explainer, content: Any, scores: Any, output: int
) -> Explanation:
    about: dict[str, Any] = {
        "label": trained.classes[output] if trained.classes else "",
        "score": float(str(scores[output])),
        "method": explainer.method,
    }
    if TASKS[trained.task].inputs == "texts":
        found = explainer.explain_text(content, output, request.check)
        total = float(abs(found.values).sum()) or 1.0
        words = tuple(
            ShadedWord(word.text, None if word.tokens is None else round(float(value) / total, _DIGITS))
            for word, value in zip(found.words, found.values, strict=True)
        )
        return Explanation(**about, words=words, **_describe_sum([found.attributions]))
    from ftapp.explain import drawing

    pixels, view = _read_image(content, trained.preprocessor)
    where = explainer.explain_image(pixels, output, request.check)
    strongest = float(where.cells.max(initial=0)) or 1.0
    return Explanation(
        **about,
        cells=tuple(tuple(round(float(value) / strongest, _DIGITS) for value in row) for row in where.cells),
        picture=drawing.encode_webp(view),
        overlay=drawing.encode_webp(drawing.draw_overlay(view, where.cells)),
        **(_describe_sum(where.attributions) if where.attributions else {}),
    )


def _describe_sum(attributions: Sequence[Any]) -> dict[str, Any]:
    """Describe what attributions add up to, on average over baselines."""
    count = len(attributions)
    return {
        "explained": attributions[0].score,
        "baseline": sum(each.baseline_score for each in attributions) / count,
        "error": sum(each.error for each in attributions) / count,
        "is_complete": all(each.is_complete for each in attributions),
    }


def _read_image(content: Any, preprocessor: Any) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read an image as the model takes it, float32 in 0..255, and larger, to be looked at, uint8."""
    import numpy as np

    from ftapp.data import images
    from ftapp.data.encoding import get_longer_side, resize_image
    from ftapp.explain.drawing import SIDE

    side = get_longer_side(preprocessor)
    times = max(1, round(SIDE / side))
    if isinstance(content, Path):
        content = images.read_content(content)[0]
    small, large = content, content
    if isinstance(content, bytes):
        small, large = images.decode(content, side), images.decode(content, side * times)
    view = resize_image(large, preprocessor, times)
    return resize_image(small, preprocessor), np.round(np.clip(view, 0, 255)).astype(np.uint8)


def _draw_figure(trained: TrainedModel, found: Sequence[Explanation]) -> bytes:
    """Draw an image beside its maps."""
    import io

    import numpy as np
    from PIL import Image

    from ftapp.explain import drawing

    picture, *overlays = (
        np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        for content in (found[0].picture, *(each.overlay for each in found))
    )
    captions = [_describe(trained, each) for each in found]
    return drawing.draw_figure(picture, list(zip(overlays, captions, strict=True)), "as the model sees it")


def _describe(trained: TrainedModel, found: Explanation) -> str:
    if not found.label:
        return f"{found.score:.6g}"
    return f"{found.label}  {found.score:+.2f}" if trained.head == "linear-svm" else f"{found.label}  {found.score:.1%}"
