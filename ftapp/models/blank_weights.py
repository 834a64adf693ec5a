"""Models that are loaded without random first weights, which the loaded ones would replace at once.

To draw 22 million weights takes half a second on two cores, as long as all the rest of loading them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import keras
import numpy as np

from ftapp.models.keras_internals import fresh_names

_INITIALIZERS = (
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
    keras.initializers.VarianceScaling,
)
_patching = threading.RLock()

_Model = TypeVar("_Model")


def load_over_blank(load: Callable[[], _Model]) -> _Model:
    """Load a model whose weights all come from files. The names of its layers do not depend on models loaded before.

    Args:
        load: Builds the model and loads its weights. It is called again, with random first weights, where it leaves
            some as they were built.

    Returns:
        The model, as `load` returns it.
    """
    with weights_left_blank(), fresh_names():
        model = load()
    if not any(map(_is_blank, model.weights)):  # type: ignore[attr-defined]
        return model
    with fresh_names():
        return load()


@contextmanager
def weights_left_blank() -> Iterator[None]:
    """Give this thread's new weights the value NaN in place of random ones while the context lasts."""
    thread = threading.get_ident()
    with _patching:  # another thread that does the same would put back what this one has put there
        drawing = {kind: kind.__call__ for kind in _INITIALIZERS}
        for kind in _INITIALIZERS:
            kind.__call__ = _fill_in_thread(thread, kind.__call__)
        try:
            yield
        finally:
            for kind, draw in drawing.items():
                kind.__call__ = draw


def _fill_in_thread(thread: int, draw: Callable[..., Any]) -> Callable[..., Any]:
    def fill(initializer: Any, shape: Any, dtype: Any = None) -> Any:
        if threading.get_ident() != thread:
            return draw(initializer, shape, dtype)
        return keras.ops.full(shape, float("nan"), dtype)

    return fill


def _is_blank(variable: Any) -> bool:
    """Whether a weight has NaN in it; a sum has where one of its values is."""
    if not keras.backend.is_float_dtype(variable.dtype):
        return False
    return bool(np.isnan(np.sum(keras.ops.convert_to_numpy(variable.value), dtype=np.float32)))
