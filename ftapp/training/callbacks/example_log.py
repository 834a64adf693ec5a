"""What the model made of each test example, written when a run has its result, for reports and the Run screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from ftapp.common.errors import RunError
from ftapp.common.safe_files import explain_error
from ftapp.data import thumbnails
from ftapp.data.dataset import EncodedDataset
from ftapp.recipe.templates import Exchange
from ftapp.runs.control import Control
from ftapp.runs.example_results import ExampleResult, ExampleResults, format_digest, write_example_results
from ftapp.runs.run_folder import RunFolder
from ftapp.training.answers import AnswerKind, Answers
from ftapp.training.evaluate import Evaluation
from ftapp.training.session import PhaseSession

EXCERPT = 400
"""The characters of a text that are kept."""
_LINE, _CONTENT = 230, 8192  # bytes of an example in the file, and of its text or picture

_log = logging.getLogger(__name__)


class ExampleLog:
    """Writes the results of a run's test examples."""

    def __init__(self, run: RunFolder, control: Control) -> None:
        """Write into the folder of a run."""
        self._run, self._control = run, control

    def write(self, session: PhaseSession, step: int, found: Evaluation) -> None:
        """Write what the model made of the examples of the test split. No run fails where that cannot be written.

        Args:
            session: What was measured.
            step: The step of the run whose weights were measured.
            found: The evaluation of the whole split.
        """
        kind, keep = session.answers, session.recipe.evaluate.keep_worst
        described = tuple(describe_results(session.splits.test, found, kind, keep))
        results = ExampleResults(step, "test", len(described), kind.score_kind if kind else "", described)
        size = _LINE * len(described) + _CONTENT * min(keep, len(described))
        try:
            self._control.save(lambda: write_example_results(self._run, results), size)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._run.examples_file.name, explain_error(error))


def describe_results(
    dataset: EncodedDataset, found: Evaluation, kind: AnswerKind | None, keep: int
) -> Iterator[ExampleResult]:
    """Describe what a model made of examples, the highest loss first.

    Args:
        dataset: The split.
        found: The evaluation of the whole split.
        kind: What names answers; None for tokens.
        keep: Of how many examples the text or picture is kept.

    Yields:
        The result of each example.
    """
    for rank, place in enumerate(found.sort_by_loss()):
        index = int(found.order[place])
        yield ExampleResult(
            example=dataset.locate(index),
            loss=_round(found.losses[place]),
            file=str(dataset.find_file(index) or ""),
            digest=format_digest(dataset.digest(index)),
            **(describe_answer(found.answers, int(place), kind) if kind and found.answers else {}),
            **(read_content(dataset, index) if rank < keep else {}),
        )


def describe_answer(answers: Answers, place: int, kind: AnswerKind) -> dict[str, Any]:
    """Describe an answer by the names of the fields of `ExampleResult`.

    Args:
        answers: Answers.
        place: Which of them.
        kind: What names it.
    """
    truth, answer = kind.name(answers.truths[place]), kind.name(answers.answers[place])
    scores = (None if each is None else _round(each[place]) for each in (answers.truth_scores, answers.answer_scores))
    right = truth == answer if kind.is_exact else None
    names = ("truth", "answer", "right", "truth_score", "answer_score")
    return dict(zip(names, (truth, answer, right, *scores), strict=True))


def read_content(dataset: EncodedDataset, index: int) -> dict[str, Any]:
    """Read the beginning of a text or an exchange, or a small copy of an image; nothing of a file that is gone.

    Args:
        dataset: The split.
        index: The place of the example in it.

    Returns:
        The content by the names of the fields of `ExampleResult`.
    """
    with suppress(RunError):
        example = dataset.read_example(index)
        if isinstance(example, Exchange):
            return {"text": example.prompt[:EXCERPT], "truth": example.completion[:EXCERPT]}
        if isinstance(example, str):
            return {"text": example[:EXCERPT]}
        return {"picture": thumbnails.encode_small(example)}
    return {}


def _round(value: float | np.floating) -> float:
    """Round a number to six digits: a float32 has no more."""
    return float(f"{value:.6g}")
