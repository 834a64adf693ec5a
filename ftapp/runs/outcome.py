"""The result of a run as JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import count_recalls, find_constant_answer
from ftapp.runs.history import History
from ftapp.runs.result_warnings import find_warnings

if TYPE_CHECKING:
    from ftapp.recipe import Recipe
    from ftapp.runs.run_folder import RunFolder


def build_outcome(run: RunFolder, name: str, history: History, recipe: Recipe) -> dict[str, Any]:
    """Build the result of a run as JSON has it.

    Args:
        run: The run.
        name: The name of its recipe.
        history: What its events tell.
        recipe: Its recipe.
    """
    return {
        "recipe": name,
        "run": str(run.folder),
        "status": run.status(history),
        **history.summary(),
        **summarize_outcome(history, recipe),
        "model": str(run.model_folder) if run.model_folder.is_dir() else None,
    }


def summarize_outcome(history: History, recipe: Recipe | None = None) -> dict[str, Any]:
    """The keys that this module adds to the result of a run as JSON has it."""
    best, found, baseline = find_constant_answer(history), count_recalls(history), find_baseline(history)
    return {
        "constant": {"class": best.name, **best.metrics} if best else None,
        "baseline": {"answer": baseline.answer, "metrics": baseline.metrics} if baseline else None,
        "recall": {each.name: {"found": each.found, "examples": each.examples} for each in found},
        "warnings": [each.to_table() for each in find_warnings(history, recipe)],
    }
