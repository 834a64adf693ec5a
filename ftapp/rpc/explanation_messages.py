"""Inputs with answers and what these rest on, as the predictor gives them, and how it is asked for them."""

from __future__ import annotations

import msgspec

from ftapp.rpc.prediction_messages import Answer, PredictQuestion
from ftapp.runs.explanations import Explanation


class ExplainQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is explained.

    Attributes:
        inputs: The inputs, and how they are read.
        texts: Texts before them.
        label: The class that is explained; None for those with the highest scores.
        top: How many of these.
        figures: Whether a picture of each image with its maps comes along.
    """

    inputs: PredictQuestion
    texts: list[str] = []
    label: str | None = None
    top: int = 1
    figures: bool = False


class ExplainedRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input with the model's answer and what it rests on.

    Attributes:
        name: The text, or the path of the image.
        answer: The answer, as `ftapp predict` gives it.
        answer_scores: The score of each class of the answer.
        explanations: The explanation of each class that was asked for.
        figure: A picture of the image beside its maps, in PNG, if it was asked for; else empty.
        problem: Why there is no answer; "" where there is one.
    """

    name: str
    answer: Answer = None
    answer_scores: tuple[float, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    figure: bytes = b""
    problem: str = ""
