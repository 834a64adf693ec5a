"""The result of one run as `ftapp run` prints it: a table, warnings, and samples of text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftapp.common import formatting, tables
from ftapp.common.console import PlainConsole
from ftapp.recipe.metrics import get_metric
from ftapp.runs import narration
from ftapp.runs.baselines import Baseline
from ftapp.runs.class_results import Recall, is_uneven

_NARROWEST, _MARGINS = 16, 4  # cells of a result's values at least, and around each of the two columns
_CLASSES = 12  # whose recall the table tells


def _describe_proof(proof: dict[str, Any]) -> str:
    trained = proof["moved"] + len(proof["still"])
    return formatting.describe_proof(proof["frozen"], len(proof["changed"]), proof["moved"], trained)


def _describe_recall(found: Sequence[Recall]) -> str:
    """Describe how many test examples of each class were found, the class with the smallest share first."""
    ordered = sorted(found, key=lambda each: each.found / max(1, each.examples))
    listed = ", ".join(map(str, ordered[:_CLASSES]))
    return listed + (f" and {len(found) - _CLASSES} more above" if len(found) > _CLASSES else "")


def tell_outcome(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Print the result of one run on stdout, as a table or as one line of JSON."""
    if as_json:
        print(json.dumps(outcome), flush=True)
    else:
        print_result(outcome, PlainConsole())


def print_result(outcome: dict[str, Any], console: Console) -> None:
    """Print the result of one run as a table, and the samples that it wrote.

    Args:
        outcome: As `ftapp run --json` prints it.
        console: Where it is printed.
    """
    table = Table(title=Text(f"{outcome['recipe']}: {outcome['status']}"), box=box.SIMPLE_HEAD, show_header=False)
    measured = ((get_metric(name), value) for name, value in outcome["metrics"].items())
    rows = {f"test {each.label}": each.format_plain(value) for each, value in measured}
    on_int8 = ((get_metric(name), value) for name, value in outcome["int8_metrics"].items())
    rows |= {f"test {each.label}, int8 features": each.format_plain(value) for each, value in on_int8}
    if baseline := outcome["baseline"]:
        rows[baseline["answer"]] = Baseline(**baseline).format_metrics()
    recalls = [Recall(name, **of_class) for name, of_class in outcome["recall"].items()]
    if is_uneven(recalls):
        rows["found of each class"] = _describe_recall(recalls)
    if outcome["classes"]:
        rows["classes"] = formatting.format_class_counts(outcome["classes"], outcome["counts"])
    if outcome["data_notes"]:
        rows["data"] = "\n".join(outcome["data_notes"])
    rows |= {
        f"R, phase {phase['name']}": f"{formatting.format_share(phase['trainable_share'])} of parameters train"
        for phase in outcome["phases"]
    }
    rows |= {
        f"freeze proof, {phase['name']}": _describe_proof(phase["proof"])
        for phase in outcome["phases"]
        if "proof" in phase
    }
    rows |= {"steps": str(outcome["steps"]), "seconds": f"{outcome['seconds'] or 0:.1f}"}
    rows |= {
        f"early end, {phase['name']}": phase["outcome"]["stopped"]
        for phase in outcome["phases"]
        if "outcome" in phase and phase["outcome"]["stopped"]
    }
    if (kept := outcome["restored"][-1:]) and kept[0]["best_step"] == outcome["weights_step"]:
        best = narration.describe_best(kept[0]["metric"], kept[0]["value"])
        rows["weights"] = f"of step {outcome['weights_step']}: {best}"
    if outcome["model"]:
        rows["model"] = outcome["model"]
    if outcome["weights"]:
        rows["hash of weights"] = outcome["weights"]
    notes = list(dict.fromkeys(outcome["notes"]))
    rows |= {f"note {number}" if len(notes) > 1 else "note": note for number, note in enumerate(notes, 1)}
    room = max(_NARROWEST, console.width - max(map(len, rows)) - 2 * _MARGINS)
    for name, value in rows.items():
        parts = (part for line in value.split("\n") for part in tables.wrap(line, room))
        table.add_row(name, Text("\n".join(parts)))
    console.print(table)
    for each in outcome["warnings"]:
        text = formatting.make_printable(f"warning: {each['says']}; {each['advice']}")
        console.print(Text(f"{text}\n", "yellow"), soft_wrap=True)
    for sample in outcome["samples"]:
        console.print(
            Text(f"after {formatting.format_quantity(sample['step'], 'step')}: {sample['text']}\n"), soft_wrap=True
        )
