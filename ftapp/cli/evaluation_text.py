"""What `ftapp evaluate` prints: measures with intervals, a constant answer, and the confusion of classes."""

from __future__ import annotations

from ftapp.api.evaluations import find_differences, get_result
from ftapp.common.formatting import format_quantity
from ftapp.common.tables import Column, print_table, print_text
from ftapp.recipe.metrics import get_metric, sort_names
from ftapp.rpc.evaluation_messages import Remeasured
from ftapp.runs.baselines import find_baseline
from ftapp.runs.class_results import count_recalls, final_confusion
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder

_MOST_CLASSES = 12  # of a confusion matrix in a terminal
_SET_COLUMNS = ("examples", "threshold", "precision", "recall", "F1")


def print_evaluation(run: RunFolder, source: str | None, found: Remeasured) -> None:
    """Print an evaluation."""
    history = History.of(found.events)
    result, baseline = get_result(history), find_baseline(history)
    measures = result.values
    constant = baseline.metrics if baseline else {}
    print_text(f"{format_quantity(result.examples, 'example')} of {source or 'the test split'}")
    columns = [
        Column("", 0),
        Column("value", 0, right=True),
        Column("95% interval", 1),
        Column(baseline.answer if baseline else "", 2, right=True),
    ]
    rows = []
    for name in sort_names(measures):
        metric = get_metric(name)
        low, high = found.intervals.get(name, (None, None))
        interval = "" if low is None or high is None else f"{metric.format_plain(low)} to {metric.format_plain(high)}"
        beside = metric.format_plain(constant[name]) if name in constant else ""
        rows.append([metric.label, metric.format_plain(measures[name]), interval, beside])
    print_table(columns, rows)
    _print_answers(history)
    for note in history.data.notes if history.data else ():
        print_text(note)
    if found.seen:
        print_text(f"{found.seen:,} of these examples are among those that the run has trained on")
    if source is None:
        differences = find_differences(run, result)
        print_text("; ".join(differences) or "equal to the result of the run to the last digit")


def _print_answers(history: History) -> None:
    """Print the confusion matrix, what became of each class where there are many, or how each label is found."""
    data, confusion = history.data, final_confusion(history)
    scored = next((each for each in history.set_scores if each.final), None)
    if data is None:
        return
    if scored is not None:
        columns = [Column("label", 0, least=12), *(Column(name, 1, right=True) for name in _SET_COLUMNS)]
        values = zip(scored.counts, scored.thresholds, scored.precision, scored.recall, scored.f1, strict=True)
        rows = [
            [name, f"{count:,}", *(f"{value:.3f}" for value in rest)]
            for name, (count, *rest) in zip(data.classes, values, strict=True)
        ]
        print_table(columns, rows)
    elif confusion is not None and len(data.classes) <= _MOST_CLASSES:
        columns = [Column("truth \\ answer", 0, least=12), *(Column(name, 0, right=True) for name in data.classes)]
        counts = zip(data.classes, confusion.counts, strict=True)
        print_table(columns, [[name, *(f"{count:,}" for count in row)] for name, row in counts])
    elif confusion is not None:
        found = sorted(count_recalls(history), key=lambda each: each.found / max(1, each.examples))
        columns = [Column("class", 0, least=12), Column("found", 0, right=True), Column("examples", 0, right=True)]
        print_table(columns, [[each.name, f"{each.found:,}", f"{each.examples:,}"] for each in found])
