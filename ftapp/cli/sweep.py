"""`ftapp sweep`: searches better values of a recipe's keys, and says whether the best beat the recipe's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftapp.cli import failure
from ftapp.cli.options import (
    BackendOption,
    JsonOption,
    MaxTimeOption,
    NoteOption,
    OfflineOption,
    OnOption,
    OverOption,
    ProfileOption,
    RunsDirOption,
    SearchedArmOption,
    SeedOption,
    SetOption,
    TagOption,
    combine_overrides,
    complete_recipe,
)

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment


def sweep(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A recipe's name or a TOML file.", autocompletion=complete_recipe),
    ] = None,
    over: OverOption = None,
    metric: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The metric of the validation split to improve.")
    ] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="Try at most N settings.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no trial after this time, such as 2h or 90m.")
    ] = None,
    finalists: Annotated[
        int | None, typer.Option(metavar="N", help="Compare the best N settings with the recipe's own values.")
    ] = None,
    repeats: Annotated[int | None, typer.Option(metavar="N", help="Compare them over N new seeds.")] = None,
    pruning: Annotated[
        str | None, typer.Option(metavar="RULE", help="median or none: whether poor trials end early.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="EXPERIMENT",
            help="Go on with a sweep, by its name, or last. auto, beside a recipe: with one of this recipe, if any.",
        ),
    ] = None,
    max_time: MaxTimeOption = None,
    arm: SearchedArmOption = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: BackendOption = None,
    seed: SeedOption = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run N trials at the same time.")] = 1,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
    verify_cache: Annotated[
        bool, typer.Option("--verify-cache", help="Compare checksums of cached features, and recompute some of them.")
    ] = False,
    on: OnOption = None,
    tags: TagOption = None,
    note: NoteOption = None,
) -> None:
    """Search better values of a recipe's keys. The best are repeated with new seeds before one is named the winner."""
    from ftapp import recipe as recipes
    from ftapp.cli.check_search import check_search
    from ftapp.cli.run_experiment import check_max_time, find_unfinished, resume_experiment
    from ftapp.common import user_folders
    from ftapp.common.safe_files import explain_error
    from ftapp.experiments.sweep.prepare import prepare_sweep
    from ftapp.experiments.sweep.search import check_optuna, load_search
    from ftapp.launchers.choose import choose_target
    from ftapp.runs.annotation import make_annotations, store

    chosen = combine_overrides(overrides, backend=backend, seed=seed)
    settings = {"metric": metric, "trials": trials, "time": time, "finalists": finalists, "repeats": repeats}
    settings["pruning"] = pruning
    folder = user_folders.runs(runs_dir)
    max_seconds = failure.parse_max_time(max_time)
    with failure.fail_on_run_errors(2):
        annotations = make_annotations(tags or (), note)
    with failure.refuse_bad_recipes(), failure.fail_on_run_errors(2):
        if resume is not None and not (resume == "auto" and recipe):
            if not resume.strip():
                failure.refuse("--resume has no name; 'ftapp sweep --resume last' goes on with the newest sweep")
            given = (recipe, over, chosen, profile, arm, on, jobs != 1, verify_cache, tags, note)
            if any(given) or any(value is not None for value in settings.values()):
                failure.refuse(
                    "--resume goes on with a sweep as it was begun; beside it, only --runs-dir, --max-time, --json and "
                    "--offline can be given; --resume auto goes beside a recipe"
                )
            check_optuna()
            experiment = find_sweep(resume, folder)
        elif recipe is None:
            failure.refuse("no recipe is given; 'ftapp recipes' lists all recipes")
        else:
            target, path = choose_target(on), recipes.find(recipe)
            search = load_search(path, profile, chosen, over or (), settings, arm)
            check_max_time(max_seconds, target)
            former = find_unfinished(folder, search.to_toml(), is_sweep=True) if resume else None
            if former is None:
                check_search(search, target, offline=offline)
            try:
                experiment = former or prepare_sweep(
                    search,
                    path,
                    profile,
                    folder,
                    command=sys.argv,
                    jobs=jobs,
                    offline=offline,
                    verify_cache=verify_cache,
                    on=target.text,
                )
                if former:
                    former.write_facts(former.facts | {"jobs": jobs, "on": target.text})
                else:
                    store(experiment.folder, annotations)
            except OSError as error:
                failure.refuse(f"the folder of runs, {folder}, cannot be written: {explain_error(error)}")
        how: dict[str, Any] = {"as_json": as_json, "offline": offline, "debug": failure.is_debug()}
        raise typer.Exit(resume_experiment(experiment, max_seconds=max_seconds, **how))


def find_sweep(name: str, runs_dir: Path) -> Experiment:
    """Find a sweep that can go on.

    Args:
        name: Its folder, its name or the beginning of its name, or last.
        runs_dir: The folder of all runs.

    Returns:
        The sweep.

    Raises:
        RecipeError: There is no such sweep, or its files are damaged.
    """
    from ftapp.common.errors import Problem, RecipeError, suggest_nearest
    from ftapp.experiments import experiment_lookup, trash

    sweeps = [each for each in experiment_lookup.list_experiments(runs_dir) if each.is_sweep]
    if not sweeps and name == "last":
        raise RecipeError([Problem("--resume", "", f"there is no sweep in {runs_dir}")])
    found = sweeps[0] if name == "last" else experiment_lookup.find(name, runs_dir)
    if found is None:
        matching = [each for each in sweeps if each.folder.name.startswith(name)]
        found = matching[0] if len(matching) == 1 else None
    if found is None:
        if any(each.folder.name == name for each in trash.list_deleted(runs_dir)):
            message = f"'{name}' is deleted; 'ftapp runs --restore {name}' restores it"
            raise RecipeError([Problem("--resume", "", message)])
        rule = suggest_nearest(name, [each.folder.name for each in sweeps])
        raise RecipeError([Problem("--resume", "", f"there is no sweep '{name}' in {runs_dir}; {rule}")])
    if damage := found.damage():
        raise RecipeError([Problem("--resume", "", f"{found.folder.name} cannot go on: {damage}")])
    if not found.is_sweep:
        message = f"{found.folder.name} is no sweep; 'ftapp resume {found.folder.name}' goes on with it"
        raise RecipeError([Problem("--resume", "", message)])
    return found
