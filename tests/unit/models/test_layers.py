"""Copies of the values of variables."""

from __future__ import annotations

import keras
import numpy as np

from ftapp.models.layers import copy_value


def test_a_copy_of_a_variable_stays_as_the_variable_was() -> None:
    variable = keras.Variable(np.arange(6, dtype="float32").reshape(2, 3))
    first, second = copy_value(variable), copy_value(variable)
    assert not np.shares_memory(first, second)
    variable.assign(variable + 1)
    first += 10  # nor does the variable follow the copy
    assert second.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert keras.ops.convert_to_numpy(variable).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert first.flags.c_contiguous


def test_what_only_shows_the_memory_of_a_variable_is_copied() -> None:
    class Shown:
        """A variable as torch and JAX give it out on a processor, without a copy."""

        value = np.arange(6, dtype="float32")[:]

    copy = copy_value(Shown)
    Shown.value += 1
    assert copy.tolist() == [0, 1, 2, 3, 4, 5]
