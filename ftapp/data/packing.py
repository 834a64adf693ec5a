"""Tokens of texts as the arrays that a preset's classifier takes: special tokens around them, padding behind them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np
from numpy.typing import NDArray

from ftapp.data import kerashub


class Packer:
    """Packs the tokens of texts as a preset's preprocessor does, which packs one text after another in Python.

    Args:
        preprocessor: A preprocessor for which `find_packer` has found that the arrays are equal.
        constants: The arrays that are zero everywhere, each (1, tokens), by name.
    """

    def __init__(self, preprocessor: Any, constants: dict[str, NDArray[Any]]) -> None:
        layout = preprocessor.packer
        self._start, self._end = list(layout.start_value), list(layout.end_value)
        self._length = int(preprocessor.sequence_length)
        self._pad = int(layout.pad_value or 0)
        self._constants = constants

    @property
    def room(self) -> int:
        """The number of a text's tokens that are kept."""
        return self._length - len(self._start) - len(self._end)

    def pack(self, tokens: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
        """Pack the tokens of texts; those beyond `room` are cut off.

        Args:
            tokens: The token ids of each text.

        Returns:
            Token ids, int32, masks, bool, and the preset's other arrays, each (texts, sequence length), by name.
        """
        ids = np.full((len(tokens), self._length), self._pad, np.int32)
        for row, own in zip(ids, tokens, strict=True):
            whole = [*self._start, *own[: self.room], *self._end]
            row[: len(whole)] = whole
        zeros = {name: np.repeat(values, len(tokens), axis=0) for name, values in self._constants.items()}
        return {"token_ids": ids, "padding_mask": ids != self._pad, **zeros}


def find_packer(preprocessor: Any) -> Packer | None:
    """Make a packer for a preprocessor of single texts, and compare the two on some texts.

    Args:
        preprocessor: A text classifier's preprocessor.

    Returns:
        The packer; None where the preprocessor puts out something else.
    """
    return _find_packer(preprocessor, preprocessor.sequence_length)


@functools.lru_cache(maxsize=4)
def _find_packer(preprocessor: Any, length: int) -> Packer | None:
    texts = ["", "a", "a b. " * length]
    expected = kerashub.preprocess(texts, preprocessor)
    if not isinstance(getattr(preprocessor, "packer", None), keras_hub.layers.MultiSegmentPacker):
        return None
    if not {"token_ids", "padding_mask"} <= set(expected):
        return None
    others = {name: values for name, values in expected.items() if name not in ("token_ids", "padding_mask")}
    if any(values.any() for values in others.values()):
        return None
    packer = Packer(preprocessor, {name: values[:1] for name, values in others.items()})
    if packer.room < 1:
        return None
    found = packer.pack(kerashub.tokenize(texts, preprocessor.tokenizer))
    is_equal = all(np.array_equal(found[name], values) for name, values in expected.items())
    return packer if is_equal else None
