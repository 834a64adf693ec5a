"""The share of a text's tokens that are common ones: among the most frequent of the text that a model trains on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def find_common_tokens(tokens: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Find the ids of the `count` most frequent tokens, the most frequent first. Of equals the lower id comes first."""
    occurrences = np.bincount(tokens.reshape(-1).astype(np.int64))
    order = np.argsort(-occurrences, kind="stable")[:count]
    return order[occurrences[order] > 0]


def measure_token_share(tokens: NDArray[np.integer], common: NDArray[np.int64]) -> float | None:
    """Measure the share p of tokens (n,) that are among the common ones; None of no tokens."""
    return float(np.isin(tokens, common).mean()) if len(tokens) else None
