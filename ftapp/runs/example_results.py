"""examples.jsonl: the answer and the loss of each test example of a run, the highest loss first.

The first line is about the file, each other line about an example. The run's process replaces the file when it has its
result. A file of an earlier result counts as none: it says of which step it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.safe_files import LARGEST, UNREADABLE, encode_line, open_file
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder

ScoreKind = Literal["probability", "distance", ""]


class ExampleResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the model made of an example.

    Attributes:
        example: The place of the example in its source, such as "row 7".
        loss: Its loss; of a sequence the mean over its tokens, of a prompt over those of its completion.
        truth: The label in words, or the beginning of the completion of a prompt, of those examples whose content the
            run keeps; empty where each token is a label.
        answer: The model's answer in words, likewise.
        truth_score: The model's score of the label; None where it gives labels no scores.
        answer_score: Its score of the answer, likewise.
        right: Whether the answer is right; None where answers are more or less right.
        file: The file of an image, if it is one on this machine.
        digest: A hash of its content; "" where an earlier version has kept none.
        text: The beginning of a text, of those examples whose content the run keeps.
        picture: A small copy of an image in WebP, likewise.
    """

    example: str
    loss: float
    truth: str = ""
    answer: str = ""
    truth_score: float | None = None
    answer_score: float | None = None
    right: bool | None = None
    file: str = ""
    digest: str = ""
    text: str = ""
    picture: bytes = b""

    @property
    def has_content(self) -> bool:
        """Whether the run has kept a text or a picture of the example."""
        return bool(self.text or self.picture)

    def is_of(self, digest: bytes, read_text: Callable[[], str | None]) -> bool:
        """Tell whether this is the result of an example: by its hash or, where none is kept, by its text.

        Args:
            digest: The hash of the example, 16 bytes.
            read_text: Reads the beginning of its text, as long as that of a result; None where no text is compared.
        """
        if self.digest:
            return self.digest == format_digest(digest)
        return not self.text or read_text() in (None, self.text)

    def describe_answer(self, scores: ScoreKind) -> str:
        """Describe the answer in words, such as "'cat' taken for 'dog' (97.1%)", or "4.8 predicted, 5 true" of numbers.

        Args:
            scores: What the scores are.

        Returns:
            The words; "" where each token is a label.
        """
        if not self.answer:
            return ""
        if self.right is None:
            return f"{self.answer} predicted, {self.truth} true"
        said = f"'{self.answer}' is right" if self.right else f"'{self.truth}' taken for '{self.answer}'"
        score = format_score(self.answer_score, scores)
        return f"{said} ({score})" if score else said


def format_digest(digest: bytes) -> str:
    """Write the part of an example's hash by which it is known again."""
    return digest[:8].hex()


def format_score(score: float | None, scores: ScoreKind) -> str:
    """Format a score: a probability in per cent, a distance with its sign; "" for none."""
    if score is None:
        return ""
    return f"{score:.1%}" if scores == "probability" else f"{score:+.2f}"


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    step: int
    split: str
    examples: int
    scores: ScoreKind


@dataclass(frozen=True)
class ExampleResults:
    """The results of the examples of a split.

    Attributes:
        step: The step of the run whose weights were measured.
        split: The name of the split.
        examples: The number of all examples.
        scores: What scores are: probabilities, signed distances to a class's hyperplane, or "" for none.
        found: Examples, the highest loss first.
    """

    step: int
    split: str
    examples: int
    scores: ScoreKind
    found: Sequence[ExampleResult]


def write_example_results(run: RunFolder, results: ExampleResults) -> None:
    """Write the results of a run's test examples.

    Args:
        run: The run.
        results: The results of all examples.

    Raises:
        OSError: The folder cannot be written.
    """
    replace_file(run.examples_file, b"".join(_encode(results)))


def _encode(results: ExampleResults) -> Iterator[bytes]:
    yield encode_line(_Header(step=results.step, split=results.split, examples=results.examples, scores=results.scores))
    yield from map(encode_line, results.found)


def read_example_results(run: RunFolder, result: Evaluated | None, limit: int | None = None) -> ExampleResults | None:
    """Read the results of a run's test examples. Damaged lines are left out.

    Args:
        run: The run.
        result: The run's result, of which the file has to be.
        limit: How many examples are read; None for all.

    Returns:
        The results; None where the run has kept none, and for those of another result.
    """
    if result is None:
        return None
    try:
        with io.BufferedReader(open_file(run.examples_file)) as file:  # type: ignore[type-var]
            header = msgspec.json.decode(file.readline(LARGEST), type=_Header)
            if (header.step, header.split) != (result.step, result.split):
                return None
            found = tuple(_decode(iter(lambda: file.readline(LARGEST), b""), limit))
    except (OSError, *UNREADABLE):
        return None
    return ExampleResults(header.step, header.split, header.examples, header.scores, found)


def join_example_results(parts: Sequence[ExampleResults], limit: int | None = None) -> ExampleResults:
    """Join the results of several runs, such as those of all folds of the data.

    Args:
        parts: The results of each run, one or more.
        limit: How many examples stay; None for all.
    """
    found = sorted((each for part in parts for each in part.found), key=lambda each: each.loss, reverse=True)
    return replace(parts[0], examples=sum(part.examples for part in parts), found=found[:limit])


def _decode(lines: Iterable[bytes], limit: int | None) -> Iterator[ExampleResult]:
    left = limit
    for line in lines:
        if left is not None and left <= 0:
            return
        try:
            yield msgspec.json.decode(line, type=ExampleResult)
        except UNREADABLE:
            continue
        left = None if left is None else left - 1
