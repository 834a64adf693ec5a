"""Texts as KerasHub itself encodes them; `ftapp.data.word_piece` and `ftapp.data.packing` are compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def tokenize(texts: Sequence[str], tokenizer: Any) -> list[Sequence[int]]:
    """Tokenize texts with KerasHub's tokenizer.

    Args:
        texts: The texts, as `ftapp.data.texts.prepare` leaves them.
        tokenizer: The preset's tokenizer.

    Returns:
        The token ids of each text, without special tokens.
    """
    return [np.asarray(ids, np.int32).tolist() for ids in tokenizer(list(texts))] if texts else []


def preprocess(texts: Sequence[str], preprocessor: Any) -> dict[str, NDArray[Any]]:
    """Encode texts with KerasHub's preprocessor.

    Args:
        texts: The texts, as `ftapp.data.texts.prepare` leaves them.
        preprocessor: The preset's preprocessor.

    Returns:
        Token ids, int32, and masks, bool, each (texts, sequence length), by name.
    """
    arrays = {name: np.asarray(keras.ops.convert_to_numpy(values)) for name, values in preprocessor(texts).items()}
    return {name: array.astype(np.int32) if array.dtype == np.int64 else array for name, array in arrays.items()}
