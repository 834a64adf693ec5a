"""Scores of a trained model for inputs that come one after another.

The model computes them in the step by which a run evaluates it, in batches of the same size and, of texts, of like
lengths. So the scores of a run's own test split are those of its evaluation to the last digit, where the evaluation
read the examples themselves and not cached features.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftapp.data import images
from ftapp.data.encoded import LabelledTexts, start_image_pool
from ftapp.data.encoding import get_longer_side, resize_image, scale_images
from ftapp.data.examples import Subset, Texts
from ftapp.data.input_rows import InputRow
from ftapp.data.order import order_evaluation, split_into_batches
from ftapp.data.prefetch import prefetch
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.training.compile_trained import compile_trained
from ftapp.training.instrumented_model import read_values

_BATCHES = 32  # of texts, among which those of like lengths share a batch
_CHARACTERS = 1 << 24  # of the texts that are held at once

Scores = NDArray[np.float32]


class ScoredRow(NamedTuple):
    """An input with the model's scores.

    Attributes:
        row: The input.
        scores: Float32 (outputs,); None where there is a problem.
        problem: Why there are no scores; "" where there are.
    """

    row: InputRow
    scores: Scores | None
    problem: str


class _Batch(NamedTuple):
    """Places in a window, int64 (examples,), and what the model takes for them."""

    places: NDArray[np.int64]
    inputs: Any


class _Window(NamedTuple):
    rows: list[InputRow]
    problems: list[str]
    batches: Iterator[_Batch]


class Scorer:
    """Scores inputs with a trained model that classifies or measures.

    Args:
        trained: The model.
        batch_size: Inputs of a batch; the rounding of scores depends on it.
    """

    def __init__(self, trained: TrainedModel, batch_size: int) -> None:
        self._task, self._classes, self._preprocessor = TASKS[trained.task], len(trained.classes), trained.preprocessor
        self._batch_size = batch_size
        self._model = compile_trained(trained)

    def score(self, rows: Iterator[InputRow]) -> Iterator[list[ScoredRow] | int]:
        """Score inputs, some at a time; the next ones are prepared on another thread meanwhile.

        Args:
            rows: The inputs.

        Yields:
            The number of inputs of a window that are scored so far; and at its end the scored inputs in their order.
        """
        prepare = self._prepare_images if self._task.inputs == "images" else self._prepare_texts
        for window in prefetch(prepare, self._group(rows)):
            scores: list[Scores | None] = [None] * len(window.rows)
            done = 0
            for places, inputs in window.batches:
                found = self._compute(inputs, len(places))
                for place, each in zip(places.tolist(), found, strict=True):
                    scores[place] = each
                done += len(places)
                yield done
            yield [ScoredRow(*each) for each in zip(window.rows, scores, window.problems, strict=True)]

    def _group(self, rows: Iterator[InputRow]) -> Iterator[list[InputRow]]:
        most = self._batch_size * (1 if self._task.inputs == "images" else _BATCHES)
        window: list[InputRow] = []
        characters = 0
        for row in rows:
            window.append(row)
            characters += len(row.name)
            if len(window) == most or characters > _CHARACTERS:
                yield window
                window, characters = [], 0
        if window:
            yield window

    def _prepare_texts(self, rows: list[InputRow]) -> _Window:
        places = np.array([place for place, row in enumerate(rows) if row.content is not None], np.int64)
        texts = Texts([str(rows[place].content) for place in places])
        dataset = LabelledTexts(Subset(texts, np.arange(len(places))), self._preprocessor)
        order = order_evaluation(len(places), self._batch_size, None, 0, dataset.lengths) if len(places) else []
        batches = (_Batch(places[each], dataset.make_inputs(each, None)) for each in order)
        return _Window(rows, [row.problem for row in rows], batches)

    def _prepare_images(self, rows: list[InputRow]) -> _Window:
        pixels = list(start_image_pool().map(functools.partial(_read_pixels, self._preprocessor), rows))
        problems = [each if isinstance(each, str) else "" for each in pixels]
        there = np.array([place for place, problem in enumerate(problems) if not problem], np.int64)
        batches = (
            _Batch(places, scale_images(np.stack([pixels[place] for place in places]), self._preprocessor))
            for places in split_into_batches(there, self._batch_size)
        )
        return _Window(rows, problems, batches)

    def _compute(self, inputs: Any, examples: int) -> Scores:
        """Compute the scores of a batch, float32 (examples, outputs). The labels of the step are all zero."""
        shape = (examples, self._classes) if self._task.labels == "sets" else (examples,)
        types = {"classes": np.int32, "sets": np.bool_, "numbers": np.float32}
        targets: NDArray[Any] = np.zeros(shape, types[self._task.labels])
        found = read_values(self._model.test_on_batch(inputs, targets, return_dict=True)).scores
        assert found is not None, "the model gives scores"
        return found.astype(np.float32)


def _read_pixels(preprocessor: Any, row: InputRow) -> NDArray[np.float32] | str:
    """Decode and resize an image as in training: float32 (height, width, 3) in 0..255; or say why it cannot be."""
    if row.content is None:
        return row.problem
    assert not isinstance(row.content, str), "images are files or bytes"
    side = get_longer_side(preprocessor)
    try:
        content = row.content if isinstance(row.content, bytes) else images.read_content(row.content)[0]
        return resize_image(images.decode(content, side), preprocessor)
    except images.BrokenImageError as error:
        return f"the image cannot be decoded: {error}"
