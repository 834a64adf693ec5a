"""Python's garbage collector, off while large libraries are imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch the collector off while the context lasts.

    An import makes a million objects that all stay. The collector looks through them again and again: it takes a fifth
    of the import of Keras and KerasHub, about one second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
