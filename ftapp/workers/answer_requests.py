"""Requests to answer inputs that come with the request, as a served model gets them: one batch a request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc import server
from ftapp.rpc.prediction_messages import PredictedRow
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import MODEL_DESCRIPTION, RunFolder
from ftapp.workers.predict_requests import make_row
from ftapp.workers.run_models import RunModels

if TYPE_CHECKING:
    from ftapp.data.input_rows import InputRow
    from ftapp.models.saved_model import TrainedModel
    from ftapp.training.scoring import Scorer


_NO_BASE64 = "the image is not in base64; an image is the bytes of its file in base64"


class AnswerRequests:
    """The handlers of requests to answer inputs. They keep the model compiled from one request to the next.

    Args:
        models: The models of the last run.
    """

    def __init__(self, models: RunModels) -> None:
        self._models = models
        self._scorer: server.Last[Scorer] = server.Last()

    def answer(
        self, request: Request, run: str, inputs: list[Any], batch_size: int, scores: bool
    ) -> list[PredictedRow]:
        """Answer inputs in one batch.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            inputs: Texts, or the bytes of image files in base64, whichever the model reads. Other values are damaged.
            batch_size: The inputs of a batch at most.
            scores: Whether the scores of all classes come with each answer.

        Returns:
            The answers in order. Inputs that are damaged have their problem.

        Raises:
            RunError: The model writes text, or cannot be loaded.
        """
        trained = self._models.load(request, run)
        if TASKS[trained.task].writes:
            raise RunError("this run's model writes text and gives no answers")
        from ftapp.training.scoring import Scorer

        written = (RunFolder(Path(run)).model_folder / MODEL_DESCRIPTION).stat().st_mtime_ns
        scorer = self._scorer.get((run, written, batch_size), lambda: Scorer(trained, batch_size))
        rows = _make_rows(trained, inputs)
        answers: list[PredictedRow] = []
        for found in scorer.score(iter(_fill_up(rows, batch_size))):
            if not isinstance(found, int):
                answers += [make_row(trained, each, 0, has_scores=scores) for each in found]
        return answers[: len(rows)]


def _make_rows(trained: TrainedModel, inputs: Sequence[Any]) -> list[InputRow]:
    from ftapp.data.input_rows import InputRow, make_text_row
    from ftapp.data.table_images import NO_IMAGE

    if TASKS[trained.task].inputs == "texts":
        return [make_text_row(text, "") for text in inputs]
    rows: list[InputRow] = []
    for each in inputs:
        try:
            rows.append(InputRow("", "", base64.b64decode(each, validate=True)))
        except (TypeError, ValueError):
            rows.append(InputRow("", "", None, (), _NO_BASE64 if each is not None else NO_IMAGE))
    return rows


def _fill_up(rows: list[InputRow], batch_size: int) -> list[InputRow]:
    """Repeat the last input up to a power of two on JAX, which compiles once for each size of a batch."""
    import keras

    if keras.backend.backend() != "jax" or not rows:
        return rows
    size = min(1 << (len(rows) - 1).bit_length(), batch_size)
    return rows + rows[-1:] * (size - len(rows))
