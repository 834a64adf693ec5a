"""A few held-out examples whose answers are followed through a training, so that runs can be compared by them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.runs.answer_events import ExamplesWatched, WatchedAnswer, WatchedAnswered, WatchedExample
from ftapp.runs.event_log import EventLog
from ftapp.training.answers import AnswerKind, Answers
from ftapp.training.callbacks.example_log import describe_answer, read_content
from ftapp.training.evaluate import Evaluation
from ftapp.training.session import PhaseSession

_MOST = 6
_EXCERPT = 200  # characters of a text


class WatchedExamples:
    """Writes the answers to the same few examples at each evaluation during a training.

    They are the first of the split, of as many labels as there are. So runs with the same data follow the same ones.
    """

    def __init__(self, log: EventLog) -> None:
        """Write to a log."""
        self._log = log
        self._chosen: list[int] = []

    def write(self, session: PhaseSession, step: int, split: str, found: Evaluation, *, is_first: bool) -> None:
        """Write the answers of an evaluation. Models of tokens have none.

        Args:
            session: What was measured.
            step: The steps that were made before.
            split: The split.
            found: The evaluation.
            is_first: Whether it is the first one of the run. A run that goes on has written the examples.
        """
        kind, answers = session.answers, found.answers
        if kind is None or answers is None:
            return
        if not self._chosen:
            self._chosen = _choose(found.order, answers, kind)
        places = [int(np.flatnonzero(found.order == index)[0]) for index in self._chosen]
        if is_first:
            self._log.write(self._describe(session, split, places, answers, kind))
        described = (describe_answer(answers, place, kind) for place in places)
        given = [
            WatchedAnswer(answer=each["answer"], score=each["answer_score"], right=each["right"]) for each in described
        ]
        self._log.write(WatchedAnswered(time=time.time(), step=step, answers=given))

    def _describe(
        self, session: PhaseSession, split: str, places: Sequence[int], answers: Answers, kind: AnswerKind
    ) -> ExamplesWatched:
        dataset = getattr(session.splits, split)
        examples = []
        for index, place in zip(self._chosen, places, strict=True):
            content = read_content(dataset, index)
            examples.append(
                WatchedExample(
                    example=dataset.locate(index),
                    truth=describe_answer(answers, place, kind)["truth"],
                    text=str(content.get("text", ""))[:_EXCERPT],
                    picture=content.get("picture", b""),
                )
            )
        return ExamplesWatched(time=time.time(), split=split, scores=kind.score_kind, examples=examples)


def _choose(order: NDArray[np.int64], answers: Answers, kind: AnswerKind) -> list[int]:
    """Choose the first examples with labels of their own, and then the first others."""
    places = np.argsort(order)
    first: dict[str, int] = {}
    for place in places:
        if len(first) == _MOST:
            break
        first.setdefault(kind.name(answers.truths[place]), int(order[place]))
    # Of twice as many as are wanted, at most as many as are wanted are there already.
    others = (int(order[place]) for place in places[: 2 * _MOST])
    return sorted(list(dict.fromkeys([*first.values(), *others]))[:_MOST])
