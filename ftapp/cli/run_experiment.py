"""Experiments and sweeps in the foreground, and their results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp import recipe
from ftapp.common import tables, user_folders
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.common.safe_files import explain_error, explain_lost_folder
from ftapp.experiments import experiment_creation, runner
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.find_same import find_same
from ftapp.experiments.options import Options
from ftapp.launchers.choose import choose_target, make_launcher
from ftapp.launchers.target import LaunchTarget
from ftapp.runs.annotation import Annotations, store
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.interruption import Interruption

if TYPE_CHECKING:
    from ftapp.analysis.records import Arm


def run_experiment(
    name: str,
    profile: str | None,
    overrides: Sequence[str],
    runs_dir: Path | None,
    options: Options,
    *,
    offline: bool,
    verify_cache: bool,
    annotations: Annotations,
    target: LaunchTarget,
    as_json: bool,
    debug: bool,
    max_seconds: float | None = None,
    resume: bool = False,
) -> int:
    """Run a recipe with all its arms, and print how they compare.

    Args:
        name: A recipe's name or file.
        profile: A profile of it, if any.
        overrides: KEY=VALUE each.
        runs_dir: The folder of all runs, if one is chosen.
        options: Repeats, jobs and control.
        offline: Whether runs make no network call.
        verify_cache: Whether runs recompute some cached features.
        annotations: The tags and the note of the experiment and of its runs.
        target: Where the runs go.
        as_json: Whether the comparison is printed as JSON.
        debug: Whether the output of failed runs is shown.
        max_seconds: After how many seconds its runs end and no other starts, if at all.
        resume: Whether an experiment of the same recipe that has not come to its end goes on.

    Returns:
        The exit code.
    """
    folder = user_folders.runs(runs_dir)
    try:
        path = recipe.find(name)
        check_max_time(max_seconds, target)
        if resume:
            options.check()
            text = recipe.load_experiment(path, profile, overrides).to_toml()
            if experiment := find_unfinished(folder, text, repeats=options.repeats, control=options.control):
                experiment.write_facts(experiment.facts | {"jobs": options.jobs, "on": target.text})
                return resume_experiment(
                    experiment, as_json=as_json, offline=offline, debug=debug, max_seconds=max_seconds
                )
        experiment = experiment_creation.prepare(
            path,
            profile,
            overrides,
            options,
            folder,
            command=sys.argv,
            offline=offline,
            verify_cache=verify_cache,
            on=target.text,
        )
        store(experiment.folder, annotations)
        with experiment.hold():
            code = _carry_out(experiment, as_json=as_json, debug=debug, max_seconds=max_seconds)
    except (RecipeError, RunError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"the folder of runs, {folder}, cannot be written: {explain_error(error)}", file=sys.stderr)
        return 2
    return code


def find_unfinished(folder: Path, text: str, *, is_sweep: bool = False, **facts: Any) -> Experiment | None:
    """Find an experiment or a sweep that goes on, and say whether there is one.

    Args:
        folder: The folder of all runs.
        text: Its recipe as TOML.
        is_sweep: Whether it is a sweep.
        facts: What else has to be the same, by name.
    """
    experiment = find_same(folder, text, is_sweep=is_sweep, **facts)
    if experiment is None:
        print(
            f"no {'sweep' if is_sweep else 'experiment'} in {folder} has this recipe and can go on: a new one starts",
            file=sys.stderr,
        )
    else:
        print(f"{experiment.folder.name} has this recipe and has not come to its end: it goes on", file=sys.stderr)
    return experiment


def check_max_time(max_seconds: float | None, target: LaunchTarget) -> None:
    """Check that the runs of an experiment at a target can be ended after a time.

    Raises:
        RecipeError: The target is a cluster, which starts runs again that were ended.
    """
    if max_seconds is not None and target.kind != "local":
        message = (
            f"the time of an experiment is limited on this machine alone, and its runs go to {target.text}, where they "
            "go on without this command; there, the option time limits a job of Slurm: --on 'slurm?time=2h'"
        )
        raise RecipeError([Problem("--max-time", "", message)])


def resume_experiment(
    experiment: Experiment, *, as_json: bool, offline: bool, debug: bool, max_seconds: float | None = None
) -> int:
    """Go on with an experiment or a sweep, or begin it, and print its result.

    Args:
        experiment: The experiment or the sweep.
        as_json: Whether the result is printed as JSON.
        offline: Whether its runs make no network call from now on, whatever its folder says.
        debug: Whether the output of failed runs is shown.
        max_seconds: After how many seconds its runs end and no other starts, if at all.

    Returns:
        The exit code.

    Raises:
        RecipeError: The target cannot be reached, or the recipe in the folder is not valid.
        RunError: It cannot go on, or another process works on it.
        OSError: The folder cannot be written.
    """
    if reason := experiment.damage() or (not experiment.is_sweep and experiment.refusal):
        raise RunError(f"{experiment.folder.name} cannot go on: {reason}")
    with experiment.hold_alone():
        if offline:
            experiment.write_facts(experiment.facts | {"offline": True})
        return _carry_out(experiment, as_json=as_json, debug=debug, max_seconds=max_seconds)


def _carry_out(experiment: Experiment, *, as_json: bool, debug: bool, max_seconds: float | None) -> int:
    """Carry out an experiment or a sweep that this process holds, and print its result."""
    target = choose_target(experiment.facts.get("on", "local"))
    check_max_time(max_seconds, target)
    launcher = make_launcher(target)
    with Interruption(launcher, max_seconds) as interruption:
        try:
            if experiment.is_sweep:
                from ftapp.search.runner import run_sweep  # here, since only a sweep needs Optuna

                code = run_sweep(experiment, launcher, interruption, debug=debug)
            else:
                code = runner.run_experiment(experiment, launcher, interruption, debug=debug)
        except RunError as error:
            if explain_lost_folder(experiment.folder) is None:
                raise
            print(error, file=sys.stderr)
            return EXIT_CODES["failed"]
        await_tracking(experiment, interruption)
        if not experiment.remove_refused():
            with interruption.excuse_full_disk("the result"):
                print_experiment(experiment, as_json=as_json)
            if not experiment.is_sweep and code in (EXIT_CODES["interrupted"], EXIT_CODES["unfinished"]):
                print(f"'ftapp resume {experiment.folder.name}' goes on with the experiment", file=sys.stderr)
    return code


def await_tracking(experiment: Experiment, interruption: Interruption) -> None:
    """Wait until trackers have everything of the runs, since a batch system ends what goes on after the command.

    Args:
        experiment: The experiment, whose runs have ended.
        interruption: Tells when the user wants to wait no longer.
    """
    from ftapp.cli.follow_run import make_patience
    from ftapp.tracking.job import TrackJob, wait_for_tracking

    is_waited_for = make_patience(interruption)
    for member in experiment.list_members():
        if not wait_for_tracking(member.run, is_waited_for):
            log = TrackJob(member.run.folder).log_file
            print(
                f"trackers do not have everything of {member.run.folder.name} yet; their log is {log}", file=sys.stderr
            )
            return


def print_experiment(experiment: Experiment, *, as_json: bool) -> None:
    """Write the result of an experiment into its folder and print it.

    Args:
        experiment: One whose runs have ended.
        as_json: Whether it is printed as JSON, else as tables and sentences.
    """
    from ftapp.report.experiment import write_result

    arms, result = write_result(experiment)
    if as_json:
        print(json.dumps(result), flush=True)
    elif experiment.is_sweep:
        from ftapp.cli.sweep_result import print_sweep

        print_sweep(result)
    elif arms:
        print_comparison(arms)
        if result["findings"]:
            rows = [
                [row["says"], row["lesson"], row["bounds"], row["told"], row["holds"]] for row in result["findings"]
            ]
            tables.print_wrapped(["finding", "lesson's value", "holds where", "ours (95% interval)", "holds?"], rows)
            for row in result["findings"]:
                if row["note"]:
                    what = "Not measured" if row["ours"] is None else "To mind"
                    tables.print_text(f"{what}, {row['says']}: {row['note']}.")
        for note in result["notes"]:
            tables.print_text(note)
        print(result["report"])
    if not arms and not experiment.is_sweep:
        print("the arms are not compared: there is no repeat that all of them have", file=sys.stderr)


def print_comparison(arms: Sequence[Arm]) -> None:
    """Print runs side by side: their results, the differences of their recipes, and conclusions.

    Args:
        arms: Of `ftapp.analysis.compare`; the others are compared with the first.
    """
    from ftapp.analysis.cross_validation import HEADER, METHOD, summarize_all
    from ftapp.report import comparison

    names = [arm.name for arm in arms]
    tables.print_wrapped(["", *names], comparison.list_metrics(arms))
    if rows := comparison.list_differences(arms):
        tables.print_wrapped(["recipe", *names], rows)
    print()
    for line in comparison.list_sentences(arms):
        tables.print_text(line)
    folds = summarize_all(arms)
    for each in folds:
        tables.print_text(each.title)
        tables.print_wrapped(HEADER, each.rows())
        if each.problem:
            tables.print_text(each.problem)
    if folds:
        tables.print_text(METHOD)
