"""The loss of language models that learn completions: over the tokens that count, and no others."""

from __future__ import annotations

from typing import Any

import keras

from ftapp.data.dataset import IGNORED


class CompletionCrossentropy(keras.losses.Loss):
    """The crossentropy of next tokens, averaged over all tokens of a batch that count. Of none, it is 0."""

    def __init__(self) -> None:
        super().__init__(reduction="mean_with_sample_weight")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a batch, a scalar. The weights of tokens follow from the targets."""
        return super().__call__(y_true, y_pred, self.find_counted(y_true))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses (batch, tokens) of next tokens, (batch, tokens), and logits (batch, tokens, vocabulary).

        Where a target is `IGNORED`, the loss has no meaning.
        """
        tokens = keras.ops.maximum(y_true, 0)
        return keras.losses.sparse_categorical_crossentropy(tokens, y_pred, from_logits=True)

    def find_counted(self, y_true: Any) -> Any:
        """Return which targets (batch, tokens) count: 1.0, and 0.0 for `IGNORED`."""
        return keras.ops.cast(keras.ops.not_equal(y_true, IGNORED), self.dtype)
