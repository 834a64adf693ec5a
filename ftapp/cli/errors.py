"""`ftapp errors`: the test examples of a run that its model finds hardest."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from pathlib import Path

    from ftapp.experiments.experiment_folder import Experiment
    from ftapp.runs.example_results import ExampleResult, ExampleResults
    from ftapp.runs.history import History
    from ftapp.runs.run_folder import RunFolder

_SHOWN = 20  # examples of a table


def list_errors(
    name: RunArgument,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="List at most N examples. [default: 20; all in JSON and CSV]"),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each example as CSV.")] = False,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """List the test examples of a run with the highest loss: the mistakes, and what the model is unsure of.

    The content of the first examples is kept with the run (evaluate.keep_worst of the recipe). For an experiment with
    folds, list those of all folds: each example of the data, answered by a model that did not train on it.
    """
    from ftapp.common import user_folders
    from ftapp.experiments import experiment_lookup
    from ftapp.experiments.find_run import find_run
    from ftapp.runs.example_results import join_example_results, read_example_results

    if as_json and as_csv:
        refuse("--json and --csv are both given; examples are printed as one of them")
    with refuse_bad_recipes():
        experiment = experiment_lookup.find(name, user_folders.runs(runs_dir))
        runs = (_list_folds(experiment) if experiment else []) or [find_run(name, runs_dir)]
    most = limit or (None if as_json or as_csv else _SHOWN)
    parts = []
    for run in runs:
        history = run.history()
        part = read_example_results(run, history.result, most)
        if part is None:
            refuse(_explain_missing(run, history))
        parts.append(part)
    results = join_example_results(parts, most)
    if as_json:
        print(json.dumps(_describe(experiment.folder if experiment else runs[0].folder, results)))
    elif as_csv:
        _write_csv(results.found)
    else:
        _print_table(results)


def _list_folds(experiment: Experiment) -> list[RunFolder]:
    """List the runs of an experiment whose runs are the folds of one recipe; none for another experiment."""
    facts = experiment.facts
    if not facts.get("folds") or len(facts.get("arms", [])) > 1 or facts.get("repeats", 1) > 1:
        return []
    return [member.run for member in experiment.list_members()]


def _explain_missing(run: RunFolder, history: History) -> str:
    """Explain why a run has no results of examples."""
    if history.result is None:
        return f"run '{run.folder.name}' is {run.status(history)} and has no result; a run measures its test split last"
    file = run.examples_file.name
    return (
        f"run '{run.folder.name}' has no {file} of its result; a run writes this file since version 0.1; "
        f"'ftapp run {run.recipe_file}' trains it again"
    )


def _describe(folder: Path, results: ExampleResults) -> dict[str, object]:
    import msgspec

    found = [msgspec.structs.asdict(each) for each in results.found]
    return {
        "run": str(folder),
        "step": results.step,
        "split": results.split,
        "examples": results.examples,
        "scores": results.scores or None,
        "found": [{name: value for name, value in each.items() if name != "picture"} for each in found],
    }


def _write_csv(found: Sequence[ExampleResult]) -> None:
    from ftapp.common.csv_cells import format_cell

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["example", "loss", "truth", "answer", "truth_score", "answer_score", "right", "file", "text"])
    for each in found:
        texts = [format_cell(text) for text in (each.example, each.truth, each.answer, each.file, each.text)]
        right = "" if each.right is None else str(each.right).lower()
        scores = [each.truth_score, each.answer_score]
        writer.writerow([texts[0], each.loss, *texts[1:3], *scores, right, *texts[3:]])


def _is_completion(each: ExampleResult) -> bool:
    """Tell whether an example is a prompt with a completion, to which there is no one answer."""
    return bool(each.truth) and not each.answer


def _print_table(results: ExampleResults) -> None:
    from ftapp.common.formatting import format_number
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.runs.example_results import format_score

    columns = [
        Column("loss", 0, right=True),
        Column("", 1),
        Column("truth", 0, least=12),
        Column("score", 2, right=True),
        Column("answer", 0, least=12),
        Column("score", 1, right=True),
        Column("example", 0, least=12, is_name=True),
        Column("prompt" if any(map(_is_completion, results.found)) else "text", 3, least=24),
        Column("completion", 0, least=12),
    ]
    signs = {True: "✓", False: "✗", None: ""}
    cells = [
        [
            format_number(each.loss),
            signs[each.right],
            "" if _is_completion(each) else each.truth,
            format_score(each.truth_score, results.scores),
            each.answer,
            format_score(each.answer_score, results.scores),
            each.example,
            each.text,
            each.truth if _is_completion(each) else "",
        ]
        for each in results.found
    ]
    there = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    print_table([columns[place] for place in there], [[row[place] for place in there] for row in cells])
    if len(cells) < results.examples:
        print_text(f"{len(cells)} of {results.examples:,} examples of the {results.split} split; --limit N lists more")
