"""The metrics that runs measure, by name: how each is written, and which way is better.

Events, histories, panes and reports hold metrics as numbers by name and ask this table for the rest. A metric that is
not in it, as of a run of another version, is written as a number, and its name says which way is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ftapp.common import formatting

_LOWER = ("loss", "error", "perplexity")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Its key in events and in JSON, such as "mean_absolute_error".
        label: Its name in words.
        is_lower_better: Whether a smaller value is the better one.
        is_proportion: Whether it is the share of examples that have a property, 0..1. It is written in per cent, and
            its standard error is that of a binomial proportion.
        abbreviation: What the field calls it where there is little room; the label where it is empty.
        range: The lowest and the highest value that it can have.
    """

    name: str
    label: str
    is_lower_better: bool = False
    is_proportion: bool = False
    abbreviation: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)

    @property
    def heading(self) -> str:
        """The heading of a column: the abbreviation, or else the label."""
        return self.abbreviation or self.label

    @property
    def title(self) -> str:
        """The label as a title begins with it."""
        return self.label[:1].upper() + self.label[1:]

    def format_cell(self, value: float) -> str:
        """Format a value for a cell of a table, in at most seven characters."""
        return f"{value:.1%}" if self.is_proportion else formatting.format_number(value)

    def format_text(self, value: float) -> str:
        """Format a value in a sentence or a report, with the digits that tell results apart."""
        return f"{value:.2%}" if self.is_proportion else self.format_plain(value)

    def format_plain(self, value: float) -> str:
        """Format a value as a bare number for logs: 0.9312, and 1.2e-05 where four decimals would not show it."""
        return f"{value:.4g}" if value and not 1e-3 <= abs(value) < 1e7 else f"{value:.4f}"

    def clip(self, value: float) -> float:
        """Cut a value, such as the end of an interval, to those that the metric can have."""
        return min(max(value, self.range[0]), self.range[1])

    def choose_best(self, values: Iterable[float]) -> float:
        """Choose the best of some values."""
        return min(values) if self.is_lower_better else max(values)

    def is_better(self, value: float, other: float, by: float = 0.0) -> bool:
        """Tell whether a value is better than another one, by more than a difference."""
        return (other - value if self.is_lower_better else value - other) > by


_SHARE = (0.0, 1.0)
_AMOUNT = (0.0, math.inf)

LOSS = Metric("loss", "loss", is_lower_better=True, range=_AMOUNT)
ACCURACY = Metric("accuracy", "accuracy", is_proportion=True, range=_SHARE)
MACRO_F1 = Metric("macro-f1", "macro F1", range=_SHARE)
"""The mean F1 of the classes that have examples, each class alike."""
AUC = Metric("auc", "ROC AUC", range=_SHARE)
"""The area under the ROC curve: of two classes that of the second, of more the mean of each against all others."""

MICRO_F1 = Metric("micro-f1", "micro F1", range=_SHARE)
"""The F1 of all answers yes or no to all classes together, so that frequent classes count more."""
MEAN_AVERAGE_PRECISION = Metric("map", "mean average precision", abbreviation="mAP", range=_SHARE)
"""The area below the curve of precision and recall, averaged over the classes that have examples."""
MEAN_ABSOLUTE_ERROR = Metric("mae", "mean absolute error", is_lower_better=True, abbreviation="MAE", range=_AMOUNT)
ROOT_MEAN_SQUARED_ERROR = Metric(
    "rmse", "root mean squared error", is_lower_better=True, abbreviation="RMSE", range=_AMOUNT
)
R_SQUARED = Metric("r2", "R²", range=(-math.inf, 1.0))
"""The share of the numbers' variance that the answers explain: 1 at best, and 0 for always answering the mean."""
SPEARMAN = Metric("spearman", "rank correlation", abbreviation="rank corr.", range=(-1.0, 1.0))

KNOWN = {
    each.name: each
    for each in (
        *(LOSS, ACCURACY, MICRO_F1, MACRO_F1, AUC, MEAN_AVERAGE_PRECISION),
        *(MEAN_ABSOLUTE_ERROR, ROOT_MEAN_SQUARED_ERROR, R_SQUARED, SPEARMAN),
    )
}
"""The table, by name."""


def get_metric(name: str) -> Metric:
    """Get the metric of a name.

    Args:
        name: The name in events. Of an unknown metric, lower is better if its last word is loss, error or perplexity.

    Returns:
        The metric.
    """
    if name in KNOWN:
        return KNOWN[name]
    label = formatting.escape_unprintable(name.replace("_", " "))
    return Metric(name, label, is_lower_better=name.endswith(_LOWER))


def sort_names(names: Iterable[str]) -> list[str]:
    """Sort names of metrics, without repetition.

    Args:
        names: The names.

    Returns:
        The names of the table first, in its order, then the others as they came.
    """
    found = dict.fromkeys(names)
    return [*(name for name in KNOWN if name in found), *(name for name in found if name not in KNOWN)]
