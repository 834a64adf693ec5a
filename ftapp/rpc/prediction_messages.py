"""Inputs with the answers and texts of a trained model, as the predictor gives them, and how it is asked for them."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from ftapp.common.errors import RunError

LARGEST = 2**31 - 1
"""The largest whole number in the options of a language model."""
Answer = str | tuple[str, ...] | float | None
"""A class, any number of classes, or a number; None where there is none."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How a language model chooses tokens.

    Attributes:
        tokens: How many it writes at most.
        temperature: How freely it chooses; 0 takes the most probable token.
        top_k: Among how many of the likeliest tokens it chooses.
        top_p: The probability that the likeliest of these have together, among which it chooses; 1 for all.
        seed: Decides the choices.
        stop: Words before which a text ends.
    """

    tokens: int = 64
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 1.0
    seed: int = 0
    stop: list[str] = []

    def check(self) -> None:
        """Check the values.

        Raises:
            RunError: One is out of its range.
        """
        for name, least in (("tokens", 1), ("top_k", 1), ("seed", 0)):
            if not least <= (value := getattr(self, name)) <= LARGEST:
                raise RunError(f"{name} is from {least} to {LARGEST:,}; got {value}")
        if not 0 <= self.temperature < math.inf:
            raise RunError(f"temperature is a finite number from 0 on, such as 0.8; got {self.temperature:g}")
        if not 0 < self.top_p <= 1:
            raise RunError(f"top_p is above 0 and at most 1, and 1 allows all tokens; got {self.top_p:g}")
        if "" in self.stop:
            raise RunError("a stop word is empty; it has at least one character")


class WrittenText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt with its continuation.

    Attributes:
        prompt: The prompt.
        text: The continuation; None where there is a problem.
        tokens: How many tokens were written.
        end: Why it ended: the model's end token, a stop word, or the largest number of tokens.
        problem: Why there is no continuation; "" where there is one.
    """

    prompt: str
    text: str | None = None
    tokens: int = 0
    end: Literal["end token", "stop word", "length", ""] = ""
    problem: str = ""


class PredictQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is predicted, and how.

    Attributes:
        inputs: Path of each file, folder or pipe, and what its user calls it; "-" is a pipe.
        column: The column of tables that holds texts or images; None for the column that the run's recipe names.
        keeps: Further columns whose values come with the answers.
        format: How files are read; None to tell by their names and first bytes.
        encoding: The encoding of texts; None for the one that the run's recipe names.
        batch_size: Inputs of a batch; None for that of the run's evaluations.
        top: How many of the classes with the highest scores come with each answer.
        scores: Whether all scores come with each answer.
        skip: The inputs at the beginning that have their answers already.
        digest: The hash of these inputs.
    """

    inputs: list[tuple[str, str]]
    column: str | None = None
    keeps: list[str] = []
    format: Literal["lines", "csv", "tsv", "jsonl", "parquet"] | None = None
    encoding: str | None = None
    batch_size: int | None = None
    top: int = 0
    scores: bool = False
    skip: int = 0
    digest: str = ""


class PredictedRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input with the answer of a model.

    Scores are float32, written with as few digits as tell them apart.

    Attributes:
        name: The text, or the path of the image.
        kept: The values of further columns.
        answer: The answer.
        answer_scores: The score of each class of the answer.
        top: The classes with the highest scores, the highest first, each with its score.
        scores: The scores of all classes, in their order.
        problem: Why there is no answer; "" where there is one.
    """

    name: str
    kept: tuple[Any, ...] = ()
    answer: Answer = None
    answer_scores: tuple[float, ...] = ()
    top: tuple[tuple[str, float], ...] = ()
    scores: tuple[float, ...] = ()
    problem: str = ""


class PredictedRows(msgspec.Struct, frozen=True, kw_only=True):
    """Some inputs in their order.

    Attributes:
        rows: The inputs with their answers.
        digest: The hash of all inputs up to here, from which a later request can go on; "" where it cannot.
    """

    rows: list[PredictedRow]
    digest: str = ""
