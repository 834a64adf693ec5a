"""The measures of findings, a row each: named ones, and two for each metric of the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ftapp.recipe.metrics import Metric
from ftapp.recipe.tasks import TASKS

Unit = Literal["number", "share", "points"]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        unit: How a value is written: as a number, as a share in per cent, or as a difference of shares in points.
        compares: Whether the measure is of an arm against another one. Otherwise it is of one arm alone.
        metric: The metric that is measured; None for a named measure.
        at_step: Whether the metric is that of the held-out examples after a step, which the finding names.
    """

    unit: Unit = "number"
    compares: bool = False
    metric: Metric | None = None
    at_step: bool = False


def list_measures(metrics: Iterable[Metric]) -> dict[str, Measure]:
    """List the measures of findings.

    Args:
        metrics: The metrics of the tasks. A metric NAME has two measures: NAME is the difference of two arms on the
            test split, and NAME-after is the value of one arm after a step.

    Returns:
        The measures by their names.
    """
    found = {"loss": Measure(compares=True)}
    for metric in metrics:
        found[metric.name] = Measure("points" if metric.is_proportion else "number", compares=True, metric=metric)
        found[f"{metric.name}-after"] = Measure(
            "share" if metric.is_proportion else "number", metric=metric, at_step=True
        )
    return found | {
        "time-saved": Measure("share", compares=True),
        "early-variance": Measure(compares=True),
        "variance": Measure(compares=True),
        "drift": Measure(compares=True),
        "drift-course": Measure(),
        "common-tokens": Measure("points"),
        "trainable-share": Measure("share"),
    }


MEASURES: Mapping[str, Measure] = list_measures(metric for task in TASKS.values() for metric in task.metrics)
"""The measures by the names that recipes use."""

if TYPE_CHECKING:
    MeasureName = str
else:
    MeasureName = Literal[tuple(MEASURES)]
