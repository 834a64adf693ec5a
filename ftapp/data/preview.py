"""Previews of a recipe's data: sizes, classes and the first training examples, images as files. Needs no Keras."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ftapp.data import DocumentSplits, Splits
from ftapp.data.examples import SPLIT_NAMES
from ftapp.rpc.messages import Example, Mark, Preview, Rewritten, Span

THUMBNAIL = 256
"""Pixels of the longer side of a thumbnail at most."""
_EXCERPT = 2000  # characters of a text
_TILE, _GAP = 112, 4  # pixels of a picture on a sheet, and between two


def preview_examples(splits: Splits, count: int, folder: Path) -> Preview:
    """Preview labelled texts or images.

    Args:
        splits: The data.
        count: How many of the first training examples are shown.
        folder: The folder for thumbnails; those of the same images are written once.

    Returns:
        The preview.
    """
    parts = {name: getattr(splits, name) for name in SPLIT_NAMES}
    train = splits.train
    examples = []
    for position in range(min(count, len(train))):
        label, example = splits.classes[int(train.labels[position])], train[position]
        if isinstance(example, str):
            examples.append(_make_example(example, label))
        else:
            file = folder / f"{train.examples.digest(int(train.indices[position])).hex()}.png"
            if not file.exists():
                write_thumbnail(example, file)
            height, width = example.shape[:2]
            examples.append(Example(label=label, file=str(file), size=(width, height)))
    return Preview(
        sizes={name: len(part) for name, part in parts.items()},
        classes=splits.classes,
        counts=splits.counts,
        characters=None,
        duplicates=splits.duplicates,
        examples=tuple(examples),
        notes=splits.notes,
    )


def preview_documents(splits: DocumentSplits, count: int) -> Preview:
    """Preview texts for a language model.

    Args:
        splits: The data.
        count: How many of the first training documents are shown.

    Returns:
        The preview.
    """
    parts: dict[str, list[str]] = {name: getattr(splits, name) for name in SPLIT_NAMES}
    return Preview(
        sizes={name: len(part) for name, part in parts.items()},
        classes=(),
        counts={},
        characters={name: sum(map(len, part)) for name, part in parts.items()},
        duplicates=splits.duplicates,
        examples=tuple(_make_example(text, None) for text in splits.train[:count]),
        notes=splits.notes,
    )


def describe_rewrite(label: str, pieces: Sequence[str], left: NDArray[np.intp], moved: NDArray[np.bool_]) -> Rewritten:
    """Describe a text before and after augmentation.

    Args:
        label: The name of its class.
        pieces: The text of each token.
        left: The places of the tokens that stay (`ftapp.data.augmentation.TextAugmenter.draw`).
        moved: For each token whether it lies in a word that takes another's place.

    Returns:
        The text in pieces, before and after.
    """
    stays = set(map(int, left))
    marks: list[Mark] = [
        "left out" if place not in stays else "moved" if moved[place] else "" for place in range(len(pieces))
    ]
    return Rewritten(
        label=label,
        before=_join_spans(pieces, marks, range(len(pieces))),
        after=_join_spans(pieces, marks, map(int, left)),
    )


def _join_spans(pieces: Sequence[str], marks: Sequence[Mark], places: Iterable[int]) -> tuple[Span, ...]:
    """Join the pieces at some places, neighbours with one mark into one span."""
    runs = itertools.groupby((place for place in places if pieces[place]), key=lambda place: marks[place])
    return tuple(Span(text="".join(pieces[place] for place in run), mark=mark) for mark, run in runs)


def write_thumbnail(image: NDArray[np.uint8], file: Path) -> None:
    """Write a small copy of an image.

    Args:
        image: RGB, uint8 (height, width, 3).
        file: The PNG to write, of at most THUMBNAIL pixels a side.
    """
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(file, compress_level=1)


def write_sheet(columns: NDArray[np.uint8], file: Path) -> None:
    """Write images as one picture, a hundred pixels or so each.

    Args:
        columns: RGB, uint8 (columns, rows, height, width, 3).
        file: The WebP file to write.
    """
    across, down, height, width = columns.shape[:4]
    scale = min(1.0, _TILE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = Image.new("RGBA", (across * (size[0] + _GAP) - _GAP, down * (size[1] + _GAP) - _GAP))
    for column in range(across):
        for row in range(down):
            tile = Image.fromarray(columns[column, row]).resize(size)
            whole.paste(tile, (column * (size[0] + _GAP), row * (size[1] + _GAP)))
    whole.save(file, quality=85)


def _make_example(text: str, label: str | None) -> Example:
    return Example(label=label, text=text[:_EXCERPT], characters=len(text))
