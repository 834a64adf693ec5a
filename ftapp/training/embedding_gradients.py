"""Gradients of embeddings on TensorFlow: one row for each token of the batch, which this module sums by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def sum_rows(base: Any) -> Any:
    """Make a class of an optimizer class, for TensorFlow, that sums the rows of each token before it uses them.

    Keras 3.15 squares the rows before it adds up those of the same token. The second moments of Adam, AdamW and
    RMSprop, and the norm that gradients are clipped by, would then differ from those on other backends. Besides,
    TensorFlow adds rows to a table on several threads from 1,024 rows on, and the last digit depends on their order.
    """
    import tensorflow

    class RowsSummed(base):
        def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
            dense = [None if each is None else tensorflow.convert_to_tensor(each) for each in grads]
            super().apply(dense, trainable_variables)

    return RowsSummed
