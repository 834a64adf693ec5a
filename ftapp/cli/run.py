"""`ftapp run`: trains recipes one after another."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ftapp.cli import failure
from ftapp.cli.options import (
    BackendOption,
    MaxTimeOption,
    NoteOption,
    OfflineOption,
    OnOption,
    Precision,
    ProfileOption,
    RecipesArgument,
    ResumeMode,
    RunsDirOption,
    SeedOption,
    SetOption,
    TagOption,
    combine_overrides,
)


def run(
    recipes: RecipesArgument = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: BackendOption = None,
    precision: Annotated[
        Precision | None, typer.Option(help="The dtype in which layers compute. auto chooses.")
    ] = None,
    seed: SeedOption = None,
    runs_dir: RunsDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each run on stdout.")] = False,
    offline: OfflineOption = False,
    verify_cache: Annotated[
        bool, typer.Option("--verify-cache", help="Compare checksums of cached features, and recompute some of them.")
    ] = False,
    max_time: MaxTimeOption = None,
    on: OnOption = None,
    tags: TagOption = None,
    note: NoteOption = None,
    resume: Annotated[
        ResumeMode | None,
        typer.Option(help="auto: go on with the newest run or experiment of the recipe that has not come to its end."),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Repeat a run with the commands that it got, and compare the weights."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(metavar="K", help="Cross-validate: run each arm on K folds of the data (data.folds)."),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="Run each arm with N seeds.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run N arms at the same time.")] = 1,
    control: Annotated[bool, typer.Option("--control", help="Run the first arm twice, to measure noise.")] = False,
) -> None:
    """Train recipes one after another, each in a separate process. A recipe with arms or folds is an experiment."""
    from ftapp import recipe
    from ftapp.cli import run_recipes
    from ftapp.experiments.options import Options
    from ftapp.launchers.choose import choose_target
    from ftapp.runs.annotation import make_annotations

    chosen = combine_overrides(overrides, backend=backend, precision=precision, seed=seed, **{"data.folds": folds})
    options = Options(repeat, jobs, control)
    with failure.fail_on_run_errors(2):
        annotations = make_annotations(tags or (), note)
    with failure.refuse_bad_recipes(), failure.fail_on_run_errors(2):
        target = choose_target(on)
    how: dict[str, Any] = {
        "offline": offline,
        "verify_cache": verify_cache,
        "annotations": annotations,
        "target": target,
    }
    debug, max_seconds = failure.is_debug(), failure.parse_max_time(max_time)
    if replay is not None:
        if recipes or profile or chosen or max_time or resume or verify_cache or annotations or options != Options():
            failure.refuse(
                "--replay repeats a run as it was; beside it, only --runs-dir, --on, --offline and --json can be given"
            )
        from ftapp.cli.replay_run import replay_run

        with failure.refuse_bad_recipes():
            raise typer.Exit(replay_run(replay, runs_dir, target, as_json=as_json, offline=offline, debug=debug))
    if not recipes:
        failure.refuse("no recipe is given; 'ftapp recipes' lists all recipes")
    experiments = [name for name in recipes if options.given or recipe.is_experiment(name, profile, chosen)]
    if resume and len(recipes) > 1:
        failure.refuse(f"--resume auto takes one recipe, and {len(recipes)} were given; run each by its own command")
    how |= {"as_json": as_json, "debug": debug, "max_seconds": max_seconds}
    if not experiments:
        raise typer.Exit(run_recipes.run_all(recipes, profile, chosen, runs_dir, resume=resume is not None, **how))
    from ftapp.cli.run_experiment import run_experiment  # here, since single runs need none of it
    from ftapp.runs.exit_codes import combine_exit_codes

    codes = []
    for name, valid in [(name, _is_valid(name, profile, chosen)) for name in recipes]:
        if not valid:
            codes.append(2)
        elif name not in experiments:
            codes.append(run_recipes.run_all([name], profile, chosen, runs_dir, **how))
        else:
            codes.append(run_experiment(name, profile, chosen, runs_dir, options, resume=resume is not None, **how))
        if codes[-1] in (75, 130):
            break
    raise typer.Exit(combine_exit_codes(codes))


def _is_valid(name: str, profile: str | None, overrides: list[str]) -> bool:
    """Return whether a recipe can be run; print why not."""
    from ftapp import recipe
    from ftapp.common.errors import RecipeError

    try:
        loaded = recipe.load_experiment(recipe.find(name), profile, overrides)
        from ftapp.cli import activity

        activity.check(loaded.arms.values() or [loaded.base])
    except RecipeError as error:
        print(error, file=sys.stderr)
        return False
    return True
