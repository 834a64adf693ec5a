"""Steps of a model as one TensorFlow function each, traced once for any number of examples and of tokens.

Keras traces a step for the sizes of its first batch, and again at a batch of other sizes. The second trace takes as
long as the first, some seconds for BERT, and its results differ in the last digit. The weights of a run that is resumed
would then depend on the batches with which it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def make_step(model: Any, step: Callable[[Any], Any]) -> Callable[[Iterator[Any]], Any]:
    """Make what Keras calls for a batch, on TensorFlow.

    Args:
        model: The compiled Functional model.
        step: Its `train_step` or `test_step`.

    Returns:
        A function of an iterator whose next batch is (inputs, targets, None). It gives what `step` gives.
    """
    import tensorflow

    traced: Any = None

    def call(x: Any, y: Any) -> Any:
        return step((x, y))

    def run(batches: Iterator[Any]) -> Any:
        nonlocal traced
        x, y, _ = next(batches)
        if traced is None:
            signature = [_specify(x, model.input), tensorflow.TensorSpec([None] * np.ndim(y), np.asarray(y).dtype)]
            traced = tensorflow.function(
                call, input_signature=signature, jit_compile=model.jit_compile, autograph=False
            )
        return traced(x, y)

    return run


def _specify(values: Any, tensors: Any) -> Any:
    """Describe inputs: of the types that they have, in the shapes that the model takes."""
    import tensorflow

    if isinstance(values, dict):
        return {name: _specify(each, tensors[name]) for name, each in values.items()}
    return tensorflow.TensorSpec(tensors.shape, np.asarray(values).dtype)
