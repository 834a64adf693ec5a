"""The weights of a table's rows: by how much the loss of each example counts in training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import quote
from ftapp.data.examples import DataProblems
from ftapp.data.table_numbers import parse_number
from ftapp.data.table_rows import TableRow

_KEY = "data.weight_column"
_RULE = "a weight is 0 or more"


def read(rows: Sequence[TableRow], column: str, notes: list[str], findings: DataProblems) -> NDArray[np.float32]:
    """Read the weights of rows.

    Args:
        rows: The rows.
        column: The column of weights.
        notes: Gets a sentence about their range.
        findings: Gets a problem for each row without a weight, and where all are 0.

    Returns:
        The weights, float32 (rows,); 0 where there is a problem.
    """
    weights = np.zeros(len(rows), np.float32)
    values = [row.values.get(column) for row in rows]
    numbers = list(map(parse_number, values))
    other = next((value for value, number in zip(values, numbers, strict=True) if isinstance(number, str)), None)
    for at, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        if isinstance(number, str):
            problem = f"the weight is no number, such as {quote(other)}"
        elif math.isnan(number):
            problem = "there is no weight"
        else:
            problem = f"the weight {number:g} is below 0" if number < 0 else ""
        if problem:
            findings.add(row.file, f"{problem}; {_RULE}", _KEY, row.place)
        else:
            weights[at] = number
    if rows and not findings.found and not weights.any():
        findings.add(rows[0].file, "every weight is 0, so nothing would be learned; some are above 0", _KEY)
    notes.append(f"losses are weighted by the column '{column}', from {weights.min():g} to {weights.max():g}")
    return weights


def scale_weights(weights: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Scale the weights of a training split to 1 on average, so that the learning rate keeps its meaning.

    Args:
        weights: The weights, float32 (examples,); None where all examples count the same.

    Returns:
        The scaled weights, float32 (examples,); as they are where all are 0.
    """
    if weights is None or not weights.any():
        return weights
    return np.asarray(weights / weights.mean(dtype=np.float64), np.float32)
