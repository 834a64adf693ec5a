"""What a constant answer would give, so that nobody is impressed by less."""

from __future__ import annotations

from dataclasses import dataclass

from ftapp.recipe.metrics import MEAN_ABSOLUTE_ERROR, ROOT_MEAN_SQUARED_ERROR, get_metric, sort_names
from ftapp.runs.class_results import find_constant_answer
from ftapp.runs.history import History


@dataclass(frozen=True)
class Baseline:
    """A constant answer to the test split.

    Attributes:
        answer: The answer in words.
        metrics: Its metrics by name, those that mean something for a constant answer.
    """

    answer: str
    metrics: dict[str, float]

    def format_metrics(self) -> str:
        """Write the metrics in one line, the most important one first."""
        pairs = ((get_metric(name), self.metrics[name]) for name in sort_names(self.metrics))
        return ", ".join(f"{metric.label} {metric.format_plain(value)}" for metric, value in pairs)


def find_baseline(history: History) -> Baseline | None:
    """Find the constant answer to the test split; None before the result, and for language models."""
    if best := find_constant_answer(history):
        return Baseline(f"always '{best.name}'", best.metrics)
    for scored in reversed(history.set_scores):
        if scored.final:
            return Baseline("always all labels", scored.constant)
    for compared in reversed(history.comparisons):
        if compared.final:
            errors = (MEAN_ABSOLUTE_ERROR.name, ROOT_MEAN_SQUARED_ERROR.name)
            known = {name: value for name, value in compared.constant.items() if name in errors}
            return Baseline(f"always the mean, {compared.mean:.6g}", known)
    return None
