"""`ftapp resume`: goes on with a run that was killed, stopped or has ended, or with an experiment."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ftapp.cli import failure
from ftapp.cli.options import JsonOption, MaxTimeOption, OfflineOption, OnOption, RunArgument, RunsDirOption


def resume(
    run: RunArgument,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, metavar="N", help="Train the last phase for N steps more.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, metavar="N", help="Train the last phase for N epochs more.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on with other versions too, although not exactly; the run says so.")
    ] = False,
    max_time: MaxTimeOption = None,
    on: OnOption = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Go on with a run from its newest checkpoint, to the weights of a run that was never interrupted.

    An experiment or a sweep goes on with all of its runs that did not come to their ends.
    """
    from ftapp.cli.follow_run import follow_run
    from ftapp.cli.run_experiment import resume_experiment
    from ftapp.cli.run_result import tell_outcome
    from ftapp.common import user_folders
    from ftapp.common.errors import RunError
    from ftapp.experiments import experiment_lookup
    from ftapp.experiments.find_run import find_run
    from ftapp.launchers.choose import choose_target, find_former, make_launcher
    from ftapp.runs import exit_codes
    from ftapp.runs.interruption import Interruption
    from ftapp.runs.starting import explain_fetched, prepare_resume

    max_seconds = failure.parse_max_time(max_time)
    if experiment := experiment_lookup.find(run, user_folders.runs(runs_dir)):
        if steps or epochs or anyway or on:
            failure.refuse(
                f"{experiment.folder.name} is an experiment, which goes on as it was begun; beside its name, only "
                "--runs-dir, --max-time, --json and --offline can be given"
            )
        how: dict[str, Any] = {"as_json": as_json, "offline": offline, "debug": failure.is_debug()}
        with failure.refuse_bad_recipes(), failure.fail_on_run_errors(2):
            code = resume_experiment(experiment, max_seconds=max_seconds, **how)
        raise typer.Exit(code)
    with failure.refuse_bad_recipes():
        found = find_run(run, runs_dir)
        try:
            launcher = make_launcher(choose_target(on, find_former(found)))
            start = prepare_resume(
                found, steps=steps or 0, epochs=epochs or 0, anyway=anyway, offline=offline, max_seconds=max_seconds
            )
            notes = explain_fetched(found, anyway=anyway, max_seconds=max_seconds)
            with Interruption(launcher) as interruption:
                outcome = follow_run(start, launcher, interruption, notes, debug=failure.is_debug())
        except (OSError, RunError) as error:
            failure.refuse(str(error))
    tell_outcome(outcome, as_json=as_json)
    raise typer.Exit(exit_codes.combine_exit_codes([launcher.wait(found)]))
