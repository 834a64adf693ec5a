"""Keras's preprocessing layers on TensorFlow, whatever the backend is: the only private parts of Keras in this package.

The random numbers of a seed are others on each backend, and so are the last digits of a rotated image. Computed on
TensorFlow, which ftapp always has, an augmented image is bitwise the same on all backends. It is also there sooner: JAX
compiles each operation of a layer for each shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

# TensorFlow takes Keras's seeds modulo this number. Smaller ones do not overflow on JAX, where Keras adds in 32 bits.
_SEEDS = 2**31 - 2


@contextmanager
def on_tensorflow(layer: Any, key: Sequence[int]) -> Iterator[None]:
    """While the context lasts, a layer computes on TensorFlow and gives its tensors, as in a pipeline of tf.data.

    Args:
        layer: A preprocessing layer that draws random numbers.
        key: Whole numbers from which these follow.
    """
    layer.backend.set_backend("tensorflow")
    with keras.src.utils.backend_utils.TFGraphScope():
        state = np.random.SeedSequence(list(key)).generate_state(2, dtype=np.uint32)
        layer._get_seed_generator("tensorflow").state.assign(state % _SEEDS)
        yield
