"""Keras's import in less time: without Python's garbage collector, and without libraries that a run does not need."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Keras and TensorFlow import these only where they are installed, to serve programs that use them: data frames of
# pandas, Keras's estimators for scikit-learn, sparse matrices of SciPy, functions of JAX in TensorFlow Lite.
_OPTIONAL = frozenset({"pandas", "sklearn"})
_NEEDED_BY_JAX = frozenset({"jax", "scipy"})


@contextmanager
def quick_imports() -> Iterator[None]:
    """Speed up an import of Keras while the context lasts.

    An import makes a million objects that all stay. The collector looks through them again and again: it takes a fifth
    of the import of Keras and KerasHub, about one second, and a third of the time in which a model is loaded after it,
    half a second. So it never looks at what is there after the first import of Keras. Optional libraries take another
    second. Later imports of these libraries succeed.
    """
    is_first = "keras" not in sys.modules  # later there may be models, which would never be freed
    without_jax = os.environ.get("KERAS_BACKEND") in ("tensorflow", "torch")
    was_on = gc.isenabled()
    gc.disable()
    try:
        with hide_libraries(_OPTIONAL | _NEEDED_BY_JAX if without_jax else _OPTIONAL):
            yield
    finally:
        if is_first and "keras" in sys.modules:
            gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def hide_libraries(names: frozenset[str]) -> Iterator[None]:
    """Have imports of this thread fail while the context lasts, as if the libraries were not installed.

    Args:
        names: The libraries; those that have been imported stay.
    """
    absent = _Absent(names)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


class _Absent(MetaPathFinder, Loader):
    """Libraries that cannot be imported, unless they have been. This holds for the thread that makes the object."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim the libraries, so that no other finder is asked."""
        is_absent = fullname in self._names and threading.get_ident() == self._thread
        return ModuleSpec(fullname, self) if is_absent else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Fail as the import of a library does that is not installed."""
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
