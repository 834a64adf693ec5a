"""Steps of a model as one TensorFlow function each, traced once for any number of examples and of tokens.

Keras traces a step for the sizes of its first batch, and again at a batch of other sizes. The second trace takes as
long as the first, some seconds for BERT, and its results differ in the last digit. The weights of a run that is resumed
would then depend on the batches with which it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np


class TracedStep:
    """A step of a model, as Keras calls it for a batch.

    Args:
        model: The compiled Functional model.
        step: Its `train_step` or `test_step`.
    """

    def __init__(self, model: Any, step: Callable[[Any], Any]) -> None:
        self._model, self._step = model, step
        self._traced: Any = None

    def __call__(self, batches: Iterator[Any]) -> Any:
        """Give what the step gives for the next batch, which is (inputs, targets, weights or None)."""
        x, y, weights = next(batches)
        self.trace(x, y, weights)
        return self._traced(x, y) if weights is None else self._traced(x, y, weights)

    def trace(self, x: Any, y: Any, weights: Any = None) -> None:
        """Trace the step unless it is traced.

        Args:
            x: The inputs of a batch of any size, of the types that all batches have.
            y: Its targets.
            weights: By how much the loss of each example counts, (batch,), if all batches have weights.
        """
        import tensorflow

        if self._traced is not None:
            return
        targets = [each for each in (y, weights) if each is not None]
        sizes = [tensorflow.TensorSpec([None] * np.ndim(each), np.asarray(each).dtype) for each in targets]
        signature = [_specify(x, self._model.input), *sizes]
        traced = tensorflow.function(
            lambda *batch: self._step(batch),
            input_signature=signature,
            jit_compile=self._model.jit_compile,
            autograph=False,
        )
        traced.get_concrete_function()
        self._traced = traced


@contextmanager
def trace_ahead(model: Any, x: Any, y: Any, trained: Any, weights: Any = None) -> Iterator[None]:
    """Trace a training step on another thread while the context lasts, in which nothing but evaluations is computed.

    Args:
        model: The compiled model, with an optimizer that is built.
        x: The inputs of a batch of any size.
        y: Its targets as evaluations take them.
        trained: Its targets as training steps take them.
        weights: By how much the loss of each example counts in training, (batch,); None where all count the same.
    """
    train: TracedStep = model.make_train_function()
    model.make_test_function().trace(x, y)  # first, since the first trace makes the variables of the metrics
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="trace") as pool:
        tracing = pool.submit(train.trace, x, trained, weights)
        yield
    tracing.result()


def _specify(values: Any, tensors: Any) -> Any:
    """Describe inputs: of the types that they have, in the shapes that the model takes."""
    import tensorflow

    if isinstance(values, dict):
        return {name: _specify(each, tensors[name]) for name, each in values.items()}
    return tensorflow.TensorSpec(tensors.shape, np.asarray(values).dtype)
