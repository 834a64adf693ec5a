"""`ftapp runs`: the list of runs and experiments, and the trash."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftapp.cli.failure import fail_on_run_errors
from ftapp.cli.options import JsonOption, RestoreOption, RunsDirOption
from ftapp.recipe.metrics import get_metric, sort_names

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment


def list_runs(
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List what was deleted and can be restored.")] = False,
    restore: RestoreOption = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            "-w",
            metavar="FILTER",
            help="List the runs that match: words, and conditions such as 'tag=night model~bert accuracy>0.9'.",
        ),
    ] = None,
    empty_trash: Annotated[bool, typer.Option("--empty-trash", help="Remove deleted runs for good.")] = False,
) -> None:
    """List runs and experiments with their status and results, the newest first.

    A status is running, done, failed, refused, interrupted, unfinished, pruned, crashed or damaged. `ftapp resume`
    goes on with an unfinished run.
    """
    if deleted or restore is not None or empty_trash:
        from ftapp.cli import trash

        raise typer.Exit(trash.run(runs_dir, restore, empty=empty_trash, as_json=as_json))
    from ftapp.common import user_folders
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.experiments import experiment_lookup
    from ftapp.runs.rows import read_rows

    folder = user_folders.runs(runs_dir)
    rows = read_rows(folder)
    if where is not None:
        rows = _filter(rows, where)
        if not rows and not as_json:
            print("no run matches", file=sys.stderr)
            return
    if as_json:
        print(json.dumps([{**row, "run": str(folder / row["run"])} for row in rows]))
        return
    if not rows:
        print(f"there are no runs in {folder}", file=sys.stderr)
    names = sort_names(("loss", *(name for row in rows for name in row["metrics"])))
    ranks = {"owner": 2, "tags": 2, "note": 5}
    written = {name: rank for name, rank in ranks.items() if any(row[name] for row in rows)}
    columns = [
        Column("run", 0, least=24, is_name=True),
        Column("status", 0, least=12),
        Column("", 1),  # a sign where the result has warnings
        Column("steps", 4, right=True),
        *(Column(get_metric(name).heading, 2 if name == "loss" else 1, right=True) for name in names),
        Column("seconds", 3, right=True),
        *(Column(name, rank, least=12) for name, rank in written.items()),
    ]
    cells = [
        [
            *(str(row["run"]), _describe_status(row), _choose_mark(row), str(row["steps"])),
            *_format_numbers(row, names),
            *(_format_written(row, name) for name in written),
        ]
        for row in rows
    ]
    print_table(columns, cells)
    if any(mark for _, _, mark, *_ in cells):
        print_text("!  the result has warnings: ftapp report RUN shows them")
    if where is not None:
        return
    if found := experiment_lookup.list_experiments(folder):
        statuses = {row["run"]: str(row["status"]) for row in rows}
        columns = [
            Column("experiment", 0, least=24, is_name=True),
            Column("status", 0, least=12),
            Column("runs", 1),
            Column("arms", 2, least=16),
        ]
        print_table(columns, [_make_experiment_row(each, statuses) for each in found])


def _filter(rows: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    from ftapp.runs.rows import list_filter_facts
    from ftapp.runs.run_filter import parse_filter

    with fail_on_run_errors(2):
        wanted = parse_filter(where, {name for row in rows for name in row["metrics"]})
        return [row for row in rows if wanted.keeps(list_filter_facts(row))]


def _format_written(row: Mapping[str, Any], name: str) -> str:
    """Format the tags of a run, or the first line of its note or of its owner's name."""
    return " ".join(row["tags"]) if name == "tags" else str(row[name]).partition("\n")[0]


def _choose_mark(row: Mapping[str, Any]) -> str:
    """Return a sign for a run that is done and whose result has warnings."""
    return "!" if row["status"] == "done" and row["warnings"] else ""


def _describe_status(row: Mapping[str, Any]) -> str:
    """Return a run's status with the queue in which it waits, or with the damage of its files."""
    status, damage = row["status"], row["damage"]
    if row.get("place"):
        return f"waiting{row['place'].removeprefix('waits')}"
    return f"{status}: {damage}" if damage and status == "damaged" else f"{status}; {damage}" if damage else status


def _make_experiment_row(experiment: Experiment, statuses: dict[str, str]) -> list[str]:
    """Return the cells of an experiment, given the statuses of all runs by the names of their folders."""
    from ftapp.runs.run_folder import GOING_ON

    known = [statuses[name] for member in experiment.list_members() if (name := member.run.folder.name) in statuses]
    ended = sum(status not in GOING_ON for status in known)
    arms = ", ".join(experiment.facts.get("arms", []))
    if folds := experiment.facts.get("folds"):
        arms += f" on {folds} folds"
    status = _describe_status({"status": experiment.status(known), "damage": experiment.damage()})
    return [experiment.folder.name, status, f"{ended} of {experiment.planned}", arms]


def _format_numbers(row: dict[str, object], names: Sequence[str]) -> list[str]:
    metrics = row["metrics"]
    assert isinstance(metrics, dict)
    shown = [get_metric(name).format_plain(metrics[name]) if name in metrics else "" for name in names]
    return [*shown, f"{row['seconds']:.1f}" if row["seconds"] is not None else ""]
