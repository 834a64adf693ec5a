"""`ftapp resume`: goes on with a run that was killed, stopped or has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from ftapp.cli import failure
from ftapp.cli.options import JsonOption, MaxTimeOption, OfflineOption, RunArgument, RunsDirOption


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
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Go on with a run from its newest checkpoint, to the weights of a run that was never interrupted."""
    from ftapp import recipe as recipes
    from ftapp.cli.find_run import find_run
    from ftapp.cli.follow_run import follow_run
    from ftapp.cli.run_result import tell_outcome
    from ftapp.common.durable import replace_file
    from ftapp.common.errors import RunError
    from ftapp.runs import resuming, run_folder
    from ftapp.runs.environment import check_installed, make_environment
    from ftapp.runs.interruption import Interruption
    from ftapp.runs.launcher import LocalLauncher, do_nothing

    if steps and epochs:
        failure.refuse(f"--steps and --epochs both say how much longer the run is; got {steps} and {epochs}")
    max_seconds = failure.parse_max_time(max_time)
    with failure.refuse_bad_recipes():
        found = find_run(run, runs_dir)
        recipe = recipes.load(found.recipe_file)
        check_installed(recipe)
    if found.alive():
        failure.refuse(f"{found.folder.name} goes on already, in another process")
    history = found.history()
    if not (steps or epochs) and found.status(history) == "done":
        failure.refuse(f"the run has reached its end, after {len(history.steps)} steps; --steps N goes on for N more")
    launcher = LocalLauncher()
    environment = make_environment(recipe.backend, offline=offline, max_seconds=max_seconds)
    environment |= resuming.make_resume_environment(found, anyway=anyway)
    try:
        if steps or epochs:
            recipe = resuming.lengthen_last_phase(recipe, history, steps=steps or 0, epochs=epochs or 0)
        resuming.check_resumable(found, anyway=anyway)

        def store_recipe() -> None:
            replace_file(found.recipe_file, recipe.to_toml().encode())

        with Interruption(launcher) as interruption:
            name = str(found.environment().get("recipe", found.folder.name))
            outcome = follow_run(
                found,
                name,
                recipe,
                environment,
                launcher,
                interruption,
                debug=failure.is_debug(),
                prepare=store_recipe if steps or epochs else do_nothing,
            )
    except (OSError, RunError) as error:
        failure.refuse(str(error))
    tell_outcome(outcome, as_json=as_json)
    raise typer.Exit(run_folder.combine_exit_codes([launcher.wait(found)]))
