"""What a model's answers rest on; and explanations.jsonl, which tells it of a run's worst test examples.

The first line of the file is about the result whose weights are explained, each other line about an example. A file of
an earlier result counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.safe_files import UNREADABLE, encode_line, read_bytes
from ftapp.runs.phase_events import Evaluated
from ftapp.runs.run_folder import RunFolder

FILE = "explanations.jsonl"
Method = Literal["Grad-CAM", "integrated gradients"]


class ShadedWord(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a text, with the space before it.

    Attributes:
        text: The piece.
        share: Its share of all that moves the score, -1 to 1, negative where it speaks against the class; None where
            the model does not read it.
    """

    text: str
    share: float | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the score of an output rests on.

    Attributes:
        label: The class; "" for a number.
        score: Its score, or the number, as `ftapp predict` writes it.
        method: How it is explained.
        words: All of a text, in order; empty for an image.
        cells: The evidence in each cell of an image, row by row, as a share of the strongest; empty for a text.
        explained: The score in the unit of the attributions; None for Grad-CAM.
        baseline: That of the baseline, likewise.
        error: By how much the attributions miss the difference of the two, likewise.
        is_complete: Whether that is little, so that the shares can be relied on.
        picture: An image as the model sees it, in WebP; empty for a text.
        overlay: The same below its map.
    """

    label: str
    score: float
    method: Method
    words: tuple[ShadedWord, ...] = ()
    cells: tuple[tuple[float, ...], ...] = ()
    explained: float | None = None
    baseline: float | None = None
    error: float | None = None
    is_complete: bool = True
    picture: bytes = b""
    overlay: bytes = b""

    @property
    def shades(self) -> list[tuple[str, float]]:
        """The pieces of a text with their shades: -1 to 1, the strongest of them 1 or -1."""
        strongest = max((abs(word.share or 0.0) for word in self.words), default=0.0) or 1.0
        return [(word.text, (word.share or 0.0) / strongest) for word in self.words]

    @property
    def strongest_words(self) -> list[ShadedWord]:
        """The words that the model reads, the largest shares first."""
        read = [word for word in self.words if word.share is not None and word.text.strip()]
        return sorted(read, key=lambda word: -abs(word.share or 0.0))

    @property
    def strongest_place(self) -> tuple[float, float] | None:
        """The middle of the cell with most evidence, as shares of the width and the height; None without evidence."""
        found = [(value, row, column) for row, line in enumerate(self.cells) for column, value in enumerate(line)]
        value, row, column = max(found, default=(0.0, 0, 0))
        return ((column + 0.5) / len(self.cells[0]), (row + 0.5) / len(self.cells)) if value > 0 else None


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    step: int
    split: str


class _Explained(msgspec.Struct, frozen=True, kw_only=True):
    example: str
    explanation: Explanation


def write_explanations(run: RunFolder, result: Evaluated, found: Mapping[str, Explanation]) -> None:
    """Write the explanations of the answers to some of a run's test examples.

    Args:
        run: The run.
        result: The result whose weights are explained.
        found: The explanations by the examples' places in their source.

    Raises:
        OSError: The folder cannot be written.
    """
    lines = [_Header(step=result.step, split=result.split)]
    rows = [_Explained(example=example, explanation=each) for example, each in found.items()]
    replace_file(run.folder / FILE, b"".join(map(encode_line, [*lines, *rows])))


def read_explanations(run: RunFolder, result: Evaluated | None) -> Mapping[str, Explanation]:
    """Read the explanations of the answers to a run's test examples. Damaged lines are left out.

    Args:
        run: The run.
        result: The run's result, of which the file has to be.

    Returns:
        The explanations by the examples' places in their source; empty where there are none of this result.
    """
    if result is None:
        return {}
    try:
        first, *lines = read_bytes(run.folder / FILE).splitlines()
        header = msgspec.json.decode(first, type=_Header)
    except (OSError, ValueError, *UNREADABLE):
        return {}
    if (header.step, header.split) != (result.step, result.split):
        return {}
    return dict(_decode(lines))


def _decode(lines: Sequence[bytes]) -> list[tuple[str, Explanation]]:
    found = []
    for line in lines:
        try:
            each = msgspec.json.decode(line, type=_Explained)
        except UNREADABLE:
            continue
        found.append((each.example, each.explanation))
    return found
