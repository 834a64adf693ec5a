"""`ftapp track`: sends a run to trackers, also one that has ended long ago."""

from __future__ import annotations

import fcntl
from typing import Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, RunArgument, RunsDirOption


def track(
    name: RunArgument,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="TRACKER",
            help="tensorboard, wandb=PROJECT, mlflow=EXPERIMENT, trackio=PROJECT, history=csv or history=parquet. Can "
            "be repeated. [default: those of the recipe and of your settings]",
        ),
    ] = None,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Send what a run has recorded to trackers, such as TensorBoard or Weights & Biases.

    A tracker that has the first part of a run gets the rest. A run that goes on is followed to its end.
    """
    from ftapp.cli.activity import Activity
    from ftapp.common.errors import RecipeError
    from ftapp.common.locks import hold_lock
    from ftapp.experiments.find_run import find_run
    from ftapp.runs.environment import find_missing_trackers
    from ftapp.tracking import targets
    from ftapp.tracking.follow import track as track_run
    from ftapp.tracking.job import TrackJob

    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        chosen = targets.choose(run, to or [])
        if missing := list(find_missing_trackers(chosen)):
            raise RecipeError(missing)
        try:
            with hold_lock(TrackJob(run.folder).lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB), Activity() as activity:
                _, found = track_run(run, chosen.list_used(), offline=offline, tell=activity.tell)
        except BlockingIOError:
            refuse(f"{run.folder.name} is being tracked by another process; wait for its end")
    if as_json:
        import msgspec

        print(msgspec.json.encode(found).decode())
    else:
        from ftapp.cli.fact_table import make_fact_table
        from ftapp.common.console import PlainConsole

        PlainConsole().print(make_fact_table({tracker: each.error or each.place for tracker, each in found.items()}))
    if any(each.error for each in found.values()):
        raise typer.Exit(1)
