"""Messages that show a recipe's data: its splits, its first training examples, and texts before and after augmentation.

The images are files. Nothing here needs Keras.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp.recipe.templates import Exchange
from ftapp.rpc.messages import Example, Mark, Preview, Rewritten, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftapp.data import DocumentSplits, Splits

_EXCERPT = 2000  # characters of a text


def preview_examples(splits: Splits, count: int, folder: Path) -> Preview:
    """Show labelled texts or images, or prompts with their completions.

    Args:
        splits: The examples.
        count: How many of the first training examples are shown.
        folder: For thumbnails. Those of the same images are written once.

    Returns:
        The preview.
    """
    from ftapp.data.completions import Completions
    from ftapp.data.examples import SPLIT_NAMES
    from ftapp.data.thumbnails import write_thumbnail

    train = splits.train
    examples = []
    for position in range(min(count, len(train))):
        if isinstance(train.examples, Completions):
            examples.append(_make_exchange(train.examples.read_exchange(int(train.indices[position]))))
            continue
        label, example = train.describe_label(position), train[position]
        if isinstance(example, str):
            examples.append(_make_example(example, label))
        else:
            file = folder / f"{train.examples.digest(int(train.indices[position])).hex()}.png"
            if not file.exists():
                write_thumbnail(example, file)
            height, width = example.shape[:2]
            examples.append(Example(label=label, file=str(file), size=(width, height)))
    return Preview(
        sizes={name: len(getattr(splits, name)) for name in SPLIT_NAMES},
        classes=splits.classes,
        counts=splits.counts,
        characters=None,
        duplicates=splits.duplicates,
        examples=tuple(examples),
        notes=splits.notes,
    )


def preview_documents(splits: DocumentSplits, count: int) -> Preview:
    """Show texts for a language model.

    Args:
        splits: The texts.
        count: How many of the first training texts are shown.

    Returns:
        The preview.
    """
    from ftapp.data.examples import SPLIT_NAMES

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
        Both texts in spans.
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


def _make_example(text: str, label: str | None) -> Example:
    return Example(label=label, text=text[:_EXCERPT], characters=len(text))


def _make_exchange(exchange: Exchange) -> Example:
    """Show a prompt, and its completion apart; of a long chat the end that comes before the last completion."""
    prompt, completion = exchange
    characters = len(prompt) + len(completion)
    return Example(text=prompt[-_EXCERPT:], completion=completion[:_EXCERPT], characters=characters)
