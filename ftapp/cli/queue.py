"""`ftapp queue`: runs, experiments and sweeps for the night, one after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.options import (
    BackendOption,
    JsonOption,
    OfflineOption,
    OnOption,
    OverOption,
    ProfileOption,
    RecipesArgument,
    RunsDirOption,
    SearchedArmOption,
    SeedOption,
    SetOption,
    combine_overrides,
)

if TYPE_CHECKING:
    from ftapp.experiments.queue import Queue

app = typer.Typer(
    help="Runs, experiments and sweeps that go on one after another, also when this terminal is closed.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
EntryArgument = Annotated[int, typer.Argument(metavar="ID", help="The id of an entry, as 'ftapp queue' lists it.")]


@app.callback()
def list_queue(context: typer.Context, runs_dir: RunsDirOption = None, as_json: JsonOption = False) -> None:
    """List the queue."""
    if context.invoked_subcommand is not None:
        return
    import msgspec

    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.experiments.queue_entries import Limits

    queue = _find_queue(runs_dir)
    with fail_on_run_errors():
        entries, paused, limits = queue.list_entries(), queue.is_paused(), queue.read_limits()
    alive, statuses = queue.alive(), [queue.describe_status(each) for each in entries]
    if as_json:
        rows = [
            {**msgspec.to_builtins(each), "status": status, "job": each.job or None}
            for each, status in zip(entries, statuses, strict=True)
        ]
        print(json.dumps({"folder": str(queue.folder), "active": alive, "paused": paused, "entries": rows}))
        return
    columns = [
        Column("id", 0, right=True),
        Column("recipe", 0, least=16),
        Column("status", 0),
        Column("run or experiment", 1, least=24, is_name=True),
    ]
    cells = [[str(each.id), each.label, status, each.job] for each, status in zip(entries, statuses, strict=True)]
    print_table(columns, cells)
    if any(not each.status for each in entries) and not alive:
        print_text("the queue is paused: 'ftapp queue start' carries it out" if paused else _STANDS_STILL)
    elif paused and alive:
        print_text("the queue is paused after what goes on now")
    if limits != Limits():
        of_person = f", {limits.per_person} of one person" if limits.per_person else ""
        print_text(f"{limits.at_once} at once{of_person}: `ftapp serve --class` shares the queue")


_STANDS_STILL = (
    "nothing carries the queue out, as with --hold or after a restart of the machine: 'ftapp queue start' goes on"
)


@app.command()
def add(
    recipes: RecipesArgument = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: BackendOption = None,
    seed: SeedOption = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", help="Cross-validate on K folds of the data (data.folds).")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="Run each arm with N seeds.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run N arms at the same time.")] = 1,
    control: Annotated[bool, typer.Option("--control", help="Run the first arm twice, to measure noise.")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Search the values of the recipe's table [sweep], as 'ftapp sweep' does.")
    ] = False,
    over: OverOption = None,
    arm: SearchedArmOption = None,
    on: OnOption = None,
    hold: Annotated[bool, typer.Option("--hold", help="Do not start the queue.")] = False,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Add recipes at the end of the queue, and start it.

    The recipes are kept as they are now. Recipes with arms or folds are experiments. With --sweep or --over, values are
    searched. A paused queue stays paused.
    """
    from ftapp.cli import activity
    from ftapp.cli.check_search import check_search
    from ftapp.experiments.options import Options
    from ftapp.experiments.prepare_job import make_label, prepare_job
    from ftapp.experiments.sweep.search import load_search, write_settings
    from ftapp.launchers.choose import choose_target
    from ftapp.recipe import find, load_experiment

    chosen = combine_overrides(overrides, backend=backend, seed=seed, **{"data.folds": folds})
    options = Options(repeat, jobs, control, sweep=sweep or bool(over), arm=arm)
    queue = _find_queue(runs_dir)
    if not recipes:
        refuse("no recipe is given; 'ftapp recipes' lists all recipes")
    with _explain_errors():
        options.check()
        target = choose_target(on)
        paths = [find(name) for name in recipes]
        for path in paths:  # all are checked before the first one is added
            if options.sweep:
                check_search(load_search(path, profile, chosen, over or (), arm=arm), target, offline=offline)
                continue
            loaded = load_experiment(path, profile, chosen)
            activity.check(loaded.arms.values() or [loaded.base])
        chosen += write_settings(over or (), {})
        for path in paths:
            prepare = partial(
                prepare_job, path, profile, chosen, options, command=sys.argv, offline=offline, on=target.text
            )
            entry = queue.add(make_label(path, profile), prepare, target.text)
            print(f"{entry.id}: {entry.label}")
        if queue.is_paused():
            print("the queue is paused: 'ftapp queue start' carries it out", file=sys.stderr)
        elif not hold:
            queue.start()


@app.command()
def drop(number: EntryArgument, runs_dir: RunsDirOption = None) -> None:
    """Remove an entry that waits."""
    with _explain_errors():
        print(f"dropped: {_find_queue(runs_dir).drop(number).label}")


@app.command()
def move(
    number: EntryArgument,
    place: Annotated[int, typer.Argument(metavar="PLACE", help="The new place among those that wait; 1 is the next.")],
    runs_dir: RunsDirOption = None,
) -> None:
    """Move an entry that waits to another place."""
    with _explain_errors():
        _find_queue(runs_dir).move(number, place)


@app.command()
def pause(runs_dir: RunsDirOption = None) -> None:
    """Start nothing further. What goes on now goes on; 'ftapp ctl RUN stop' ends it."""
    with _explain_errors():
        _find_queue(runs_dir).pause()


@app.command()
def start(runs_dir: RunsDirOption = None) -> None:
    """Carry out what waits. Runs that the end of the machine has cut off go on from their newest checkpoints."""
    with _explain_errors():
        _find_queue(runs_dir).start()


@contextmanager
def _explain_errors() -> Iterator[None]:
    """Turn errors into messages and exit codes: bad recipes and arguments, and a folder that cannot be written."""
    from ftapp.common.errors import RunError

    with refuse_bad_recipes(), fail_on_run_errors():
        try:
            yield
        except OSError as error:
            raise RunError(f"the folder of runs cannot be written: {error.strerror}: {error.filename}") from error


def _find_queue(runs_dir: Path | None) -> Queue:
    from ftapp.common import user_folders
    from ftapp.experiments.queue import Queue

    return Queue.of(user_folders.runs(runs_dir))
