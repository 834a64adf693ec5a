"""The command line: results on stdout, narration on stderr.

Exit codes: 0 done, 1 failed while running, 2 bad recipe or arguments, 130 interrupted.
Everything but Typer is imported where it is used, so that --help answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ftapp.common.safe_output import screen_output
from ftapp.common.standard_streams import open_closed
from ftapp.runs.environment import make_environment

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment, Options
    from ftapp.recipe import Recipe
    from ftapp.rpc.messages import Survey

app = typer.Typer(
    name="ftapp",
    help="Fine-tune pretrained Keras models from the terminal.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    # Help in plain text: importing Rich for it would take longer than all the rest of `ftapp --help`.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed while running, 2 bad recipe or arguments, 130 interrupted.",
)

_debug = False


class Backend(StrEnum):
    tensorflow = "tensorflow"
    jax = "jax"
    torch = "torch"


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def _complete_recipe(incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.recipes(incomplete)


def _complete_profile(incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.profiles(incomplete)


def _complete_arm(incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.arms(incomplete)


def _complete_run(context: typer.Context, incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.runs(context.params.get("runs_dir"), incomplete)


def _complete_deleted(context: typer.Context, incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.deleted(context.params.get("runs_dir"), incomplete)


RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's name or a TOML file.", autocompletion=_complete_recipe)
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", "-p", metavar="P", help="A profile of the recipe.", autocompletion=_complete_profile),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override a key, such as data.source=csv:mine.csv. Repeatable."
    ),
]
RunsDirOption = Annotated[
    Path | None, typer.Option("--runs-dir", metavar="DIR", help="Where runs are kept. [env: FTAPP_RUNS]")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Make no network call; use what is cached.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.callback()
def options(
    context: typer.Context,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Without a command, open the terminal interface: choose a recipe, see what is frozen, watch it learn."""
    screen_output()
    global _debug
    _debug = debug
    if version:
        from ftapp import __version__

        print(f"ftapp {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        for name, given in (("--runs-dir", runs_dir), ("--offline", offline)):
            if given:
                _refuse(f"{name} before a command is for the interface; got it before '{context.invoked_subcommand}'")
        return
    if not (sys.stdout.isatty() or "TEXTUAL_DRIVER" in os.environ):  # the latter is how `ftapp serve` opens it
        print(context.get_help())
        return
    from ftapp.tui.app import run_app

    run_app(runs_dir, offline=offline)


@app.command()
def run(
    recipes: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE", help="Names of recipes or TOML files.", autocompletion=_complete_recipe),
    ],
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: Annotated[Backend | None, typer.Option(help="What Keras computes with.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="auto takes bfloat16 where the hardware has it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    runs_dir: RunsDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a run on stdout.")] = False,
    offline: OfflineOption = False,
    verify_cache: Annotated[
        bool, typer.Option("--verify-cache", help="Compute some of the kept features anew and compare.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="Run each arm with N seeds.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run N arms at once.")] = 1,
    control: Annotated[bool, typer.Option("--control", help="Run the first arm twice, to see the noise.")] = False,
) -> None:
    """Train recipes one after another, each in a process of its own. Those with arms are experiments."""
    from ftapp.cli import run as run_command
    from ftapp.experiments import runner
    from ftapp.experiments.experiment_folder import Options

    given = {"backend": backend, "precision": precision, "seed": seed}
    chosen = [*(overrides or []), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    options = Options(repeat, jobs, control)
    how = {"offline": offline, "verify_cache": verify_cache}
    if not options.given and not any(map(runner.has_arms, recipes)):
        raise typer.Exit(run_command.run_all(recipes, profile, chosen, runs_dir, as_json=as_json, debug=_debug, **how))
    codes = []
    for name, right in [(name, _is_right(name, profile, chosen)) for name in recipes]:
        if not right:
            codes.append(2)
        elif not options.given and not runner.has_arms(name):
            codes.append(run_command.run_all([name], profile, chosen, runs_dir, as_json=as_json, debug=_debug, **how))
        else:
            codes.append(_experiment(name, profile, chosen, runs_dir, options, how, as_json=as_json))
        if codes[-1] == 130:
            break
    raise typer.Exit(next((code for code in (130, 1, 2) if code in codes), 0))


def _is_right(name: str, profile: str | None, overrides: list[str]) -> bool:
    """Whether a recipe can be run; says why not."""
    from ftapp import recipe
    from ftapp.common.errors import RecipeError

    try:
        loaded = recipe.load_experiment(recipe.find(name), profile, overrides)
        from ftapp.data import preflight

        preflight.check(loaded.arms.values() or [loaded.base])
    except RecipeError as error:
        print(error, file=sys.stderr)
        return False
    return True


def _experiment(
    name: str,
    profile: str | None,
    overrides: list[str],
    runs_dir: Path | None,
    options: Options,
    how: dict[str, bool],
    *,
    as_json: bool,
) -> int:
    """Run a recipe with all its arms, and print how they compare."""
    from ftapp import recipe
    from ftapp.common import user_folders
    from ftapp.common.errors import RecipeError
    from ftapp.experiments import experiment_folder, runner
    from ftapp.runs.interruption import Interruption

    folder = user_folders.runs(runs_dir)
    try:
        path = recipe.find(name)
        experiment = experiment_folder.prepare(path, profile, overrides, options, folder, command=sys.argv, **how)
        with experiment.held(), Interruption() as interruption:
            code = runner.conduct(experiment, interruption, debug=_debug)
            _conclude(experiment, as_json=as_json)
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"runs are kept in {folder}, which cannot be written: {error}", file=sys.stderr)
        return 2
    return code


def _conclude(experiment: Experiment, *, as_json: bool) -> None:
    from ftapp.common import tables
    from ftapp.report.experiment import conclude

    arms, result = conclude(experiment)
    if as_json:
        print(json.dumps(result), flush=True)
    elif arms:
        _print_comparison(arms)
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
    if not arms:
        print("the arms are not compared: there is no repeat that all of them have", file=sys.stderr)


@app.command(name="recipes")
def list_recipes(as_json: JsonOption = False) -> None:
    """List the recipes that come with ftapp."""
    from ftapp import recipe
    from ftapp.common.tables import Column, print_table

    with _refusals():
        rows = []
        for name, path in recipe.bundled().items():
            loaded = recipe.load(path)
            rows.append({"name": name, "task": loaded.task, "title": loaded.title, "profiles": recipe.profiles(path)})
    if as_json:
        print(json.dumps(rows))
        return
    columns = [
        Column("recipe", 0, least=16, is_name=True),
        Column("task", 3),
        Column("what it does", 1, least=24),
        Column("profiles", 2, least=12),
    ]
    print_table(columns, [[*map(str, list(row.values())[:3]), ", ".join(row["profiles"])] for row in rows])


@app.command()
def show(recipe_name: RecipeArgument, profile: ProfileOption = None, overrides: SetOption = None) -> None:
    """Print a recipe as TOML with its profile and overrides applied, and what its arms override."""
    from ftapp import recipe

    with _refusals():
        shown = recipe.load_experiment(recipe.find(recipe_name), profile, overrides or [])
    print(shown.to_toml(), end="")


@app.command()
def copy(
    recipe_name: RecipeArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to write it; over another file only with --force.")
    ],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace the file if there is one.")] = False,
) -> None:
    """Copy a recipe with its comments, as a start for your own."""
    from ftapp import recipe

    with _refusals():
        recipe.copy_to(recipe.find(recipe_name), file, replace=force)
    print(file)


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="TOML files or names of recipes.")],
) -> None:
    """Check recipes and all their profiles, without running them, and say what is valid and likely to go wrong."""
    from ftapp import recipe
    from ftapp.common.errors import RecipeError
    from ftapp.common.tables import print_text
    from ftapp.recipe import cautions

    wrong: list[str] = []
    for name in files:
        problems: dict[str, None] = {}
        minded: dict[str, None] = {}
        try:
            path = recipe.find(name)
            for profile in (None, *recipe.profiles(path)):
                try:
                    loaded = recipe.load_experiment(path, profile)
                    for arm, each in (loaded.arms or {"": loaded.base}).items():
                        place = ", ".join(filter(None, [profile and f"profile {profile}", arm and f"arm {arm}"]))
                        told = (f"{f'{place}: ' * bool(place)}{caution}" for caution in cautions.of_recipe(each))
                        minded |= dict.fromkeys(told)
                except RecipeError as error:
                    problems |= dict.fromkeys(map(str, error.problems))
        except RecipeError as error:
            problems |= dict.fromkeys(map(str, error.problems))
        wrong += problems
        if not problems:
            print_text(f"{name}: valid")
        for caution in minded:
            print_text(f"{name}: caution: {caution}", sys.stderr)
    for problem in wrong:
        print_text(problem, sys.stderr)
    raise typer.Exit(2 if wrong else 0)


@app.command()
def plan(
    recipe_name: RecipeArgument,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Say what a recipe, or each of its arms, will train and cost, phase by phase, without training it."""
    from ftapp import recipe

    with _refusals():
        loaded = recipe.load_experiment(recipe.find(recipe_name), profile, overrides or [])
        planned = loaded.arms or {"": loaded.base}
        from ftapp.data import preflight

        preflight.check(planned.values())
    for arm, resolved in planned.items():
        if arm:
            print(f"arm {arm}", file=sys.stderr if as_json else sys.stdout, flush=True)
        made = _planned(resolved, make_environment(resolved.backend, offline=offline))
        if as_json:
            print(json.dumps({"arm": arm} | made if arm else made), flush=True)
            continue
        from ftapp.cli.outline import rendered
        from ftapp.common.console import PlainConsole

        PlainConsole().print(rendered(made))


@app.command(name="lr-find")
def lr_find(
    recipe_name: RecipeArgument,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="NAME", help="The phase to test. [default: the first]")
    ] = None,
    arm: Annotated[
        str | None,
        typer.Option(
            "--arm",
            metavar="NAME",
            help="The arm to test. [default: the recipe without arms]",
            autocompletion=_complete_arm,
        ),
    ] = None,
    low: Annotated[float, typer.Option("--from", metavar="RATE", help="The learning rate to begin with.")] = 1e-6,
    high: Annotated[float, typer.Option("--to", metavar="RATE", help="The learning rate to end with.")] = 10.0,
    steps: Annotated[int, typer.Option(min=20, metavar="N", help="Steps of the test.")] = 100,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw the curve, as FILE.svg or FILE.html.")
    ] = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: Annotated[Backend | None, typer.Option(help="What Keras computes with.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Test a phase's learning rate: train while it grows, suggest one, and leave the weights as they were.

    Phases before the one to test are trained first, as in a run; --set phase.NAME.steps=... shortens them.
    """
    from ftapp import recipe
    from ftapp.cli import lr_find as finder
    from ftapp.common.errors import RunError

    given = {"backend": backend, "seed": seed}
    chosen = [*(overrides or []), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    with _refusals():
        resolved = finder.tested(recipe.find(recipe_name), profile, chosen, arm)
        index = finder.check(resolved, phase, (low, high), plot)
        from ftapp.data import preflight

        preflight.check([resolved])
        environment = make_environment(resolved.backend, offline=offline)
        try:
            found = finder.find(resolved, index, (low, high), steps, environment, arm=arm, debug=_debug)
        except RunError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(1) from None
    result = {"recipe": Path(recipe_name).stem, "profile": profile, **found}
    if plot is not None:
        from ftapp.report import lr_find as drawn

        try:
            drawn.write(result, plot)
        except OSError as error:
            _refuse(f"the plot cannot be written: {error}")
    if as_json:
        print(json.dumps(result))
        return
    from ftapp.common.console import PlainConsole
    from ftapp.tui.terminal import plain_text

    plain_text.prepare(sys.stdout)
    is_terminal = sys.stdout.isatty()
    console = PlainConsole()
    console.print(finder.rendered(result, console.width if is_terminal else None), crop=False)


@app.command()
def advise(
    recipe_name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="A recipe whose pretrained model is asked; by default a VGG16 or BERT one, as the source has it.",
            autocompletion=_complete_recipe,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Your data, such as folder:photos or csv:reviews.csv; by default the recipe's.", metavar="URI"
        ),
    ] = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Look at your data through a pretrained model, and recommend how to train on them, with the command.

    Small or large: from about 1,000 training examples of a class on, data are large, a rule of thumb. Similar to the
    pretraining or not: a linear classifier tells the classes apart by each block's features; where an earlier block's
    serve better than the last one's, the data are different. Small and similar: a feature extractor. Large and similar:
    fine-tuning in two phases. Small and different: a feature extractor on early layers. Large and different:
    everything trains, from the pretrained weights.
    """
    from ftapp.analysis import advice

    with _refusals():
        name = advice.recipe_for(recipe_name, source)
        asked = advice.asked(name, source, profile, overrides or [])
        from ftapp.data import preflight

        preflight.check([advice.with_all_data(asked)])
    survey = _surveyed(asked, name, source, offline=offline)
    given = advice.advise(asked, survey, profile)
    from ftapp.cli import outline
    from ftapp.tui.editor.draft import Draft

    def command(course: advice.Course) -> str:
        return Draft.of(course).command()

    if as_json:
        from msgspec import to_builtins

        best, *others = ({"command": command(course)} | to_builtins(course) for course in (given.best, *given.others))
        notes = list(map(outline.note_words, given.notes))
        parts = {"best": best, "others": others, "notes": notes, "survey": to_builtins(survey)}
        print(json.dumps(to_builtins(given) | parts))
        return
    from ftapp.common.console import PlainConsole

    console = PlainConsole()
    for part in outline.advised(asked, survey, given, command):
        console.print(part)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that no run uses.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the features of frozen layers that are kept on disk, those used last first."""
    import time

    from ftapp.common import formatting
    from ftapp.common.errors import RunError
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.freezing import feature_cache as features

    try:
        limit = features.quota()
    except RunError as error:
        _refuse(str(error))
    entries = features.entries()
    if clear:
        kept = [entry for entry in entries if not features.remove(entry)]
        for entry in kept:
            print(f"not removed, since a run uses it or it is another user's: {entry.label}", file=sys.stderr)
        entries = kept
    if as_json:
        rows = [{"label": e.label, "folder": str(e.folder), "bytes": e.size, "used": e.used} for e in entries]
        print(json.dumps({"folder": str(features.folder()), "quota": limit, "entries": rows}))
        return
    columns = [Column("features of", 0, least=16, is_name=True), Column("size", 1, right=True), Column("used", 2)]
    print_table(
        columns,
        [[e.label, formatting.size(e.size), formatting.when(e.used, time.time())] for e in entries],
    )
    taken = sum(entry.size for entry in entries)
    print_text(f"{formatting.size(taken)} of {formatting.size(limit)} in {features.folder()}")


@app.command()
def runs(
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List what was deleted and can be restored.")] = False,
    restore: Annotated[
        str | None,
        typer.Option(
            "--restore",
            metavar="RUN",
            help="Bring back a deleted run or experiment, or last.",
            autocompletion=_complete_deleted,
        ),
    ] = None,
    empty_trash: Annotated[bool, typer.Option("--empty-trash", help="Remove deleted runs for good.")] = False,
) -> None:
    """List runs and experiments, the newest first: running, done, failed, refused, interrupted, crashed or damaged."""
    if deleted or restore is not None or empty_trash:
        _trash(runs_dir, restore, empty=empty_trash, as_json=as_json)
        return
    from ftapp.common import user_folders
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.experiments import experiment_folder
    from ftapp.runs import outcome
    from ftapp.runs import run_folder as folders

    folder = user_folders.runs(runs_dir)
    rows = []
    for one in folders.list_runs(folder):
        history, facts = one.history(), one.environment()
        of = {key: facts.get(key) for key in ("experiment", "arm", "repeat")}
        of["damage"] = one.damage() or history.damage()
        told = {**history.summary(), **outcome.table(history)}
        rows.append({"run": one.folder.name, "status": one.standing(history), **of, **told})
    if as_json:
        print(json.dumps([{**row, "run": str(folder / row["run"])} for row in rows]))
        return
    columns = [
        Column("run", 0, least=24, is_name=True),
        Column("status", 0, least=12),
        Column("", 1),  # a sign where the result has warnings
        Column("steps", 4, right=True),
        Column("loss", 2, right=True),
        Column("accuracy", 1, right=True),
        Column("seconds", 3, right=True),
    ]
    cells = [[str(row["run"]), _status(row), _mark(row), str(row["steps"]), *_numbers(row)] for row in rows]
    print_table(columns, cells)
    if any(mark for _, _, mark, *_ in cells):
        print_text("!  the result has warnings: ftapp report RUN tells them")
    if found := experiment_folder.list_experiments(folder):
        statuses = {row["run"]: str(row["status"]) for row in rows}
        columns = [
            Column("experiment", 0, least=24, is_name=True),
            Column("status", 0, least=12),
            Column("runs", 1),
            Column("arms", 2, least=16),
        ]
        print_table(columns, [_experiment_row(each, statuses) for each in found])


def _mark(row: Mapping[str, Any]) -> str:
    """A sign where a run is done and its result has warnings."""
    return "!" if row["status"] == "done" and row["warnings"] else ""


def _status(row: Mapping[str, Any]) -> str:
    """A run's status, with what is wrong with its files."""
    status, damage = row["status"], row["damage"]
    return f"{status}: {damage}" if damage and status == "damaged" else f"{status}; {damage}" if damage else status


def _trash(runs_dir: Path | None, restored: str | None, *, empty: bool, as_json: bool) -> None:
    """List deleted runs, restore one, or remove them all for good."""
    from datetime import datetime

    from ftapp.common import formatting, user_folders
    from ftapp.common.errors import RunError
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.experiments import trash

    folder = user_folders.runs(runs_dir)
    if restored is not None:
        with _refusals():
            found = trash.find(restored, folder)
        try:
            trash.restore(found)
        except RunError as error:
            print_text(str(error), sys.stderr)
            raise typer.Exit(1) from None
        print(found.place)
        return
    wrong: list[str] = []
    if empty:
        trash.empty(folder, failed=lambda place, error: wrong.append(f"{place} is not removed: {error.strerror}"))
    rows = [(found, found.size) for found in trash.contents(folder)]
    if as_json:
        print(json.dumps([{"run": str(found.place), "deleted": found.time, "bytes": size} for found, size in rows]))
    else:
        columns = [Column("deleted run", 0, least=24, is_name=True), Column("when", 2), Column("size", 1, right=True)]
        print_table(
            columns,
            [
                [
                    found.folder.name,
                    datetime.fromtimestamp(found.time).isoformat(" ", "minutes"),
                    formatting.size(size),
                ]
                for found, size in rows
            ],
        )
        print()
        print_text(
            f"{formatting.size(sum(size for _, size in rows))}; each is removed for good {trash.DAYS} days after"
        )
    for message in wrong:
        print_text(message, sys.stderr)
    if wrong:
        raise typer.Exit(1)


def _experiment_row(experiment: Experiment, statuses: dict[str, str]) -> list[str]:
    """statuses: of all runs, by the names of their folders."""
    known = [statuses[name] for member in experiment.members() if (name := member.run.folder.name) in statuses]
    ended = sum(status != "running" for status in known)
    arms = ", ".join(experiment.facts.get("arms", []))
    status = _status({"status": experiment.status(known), "damage": experiment.damage()})
    return [experiment.folder.name, status, f"{ended} of {experiment.planned}", arms]


RunsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Folders of runs, names that `ftapp runs` shows or beginnings of these, or last.",
        autocompletion=_complete_run,
    ),
]


@app.command()
def report(
    runs: RunsArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The page to write, in place of the default.")
    ] = None,
    runs_dir: RunsDirOption = None,
) -> None:
    """Write a run's report and model card into its folder, or one page about several runs, and print its path.

    Of an experiment, compare its arms anew.
    """
    from ftapp.report import comparison
    from ftapp.report import run as single

    try:
        with _refusals():
            if experiment := _find_experiment(runs, runs_dir):
                _conclude(experiment, as_json=False)
                return
        found = _find_runs(runs, runs_dir)
        if len(found) == 1:
            from ftapp.analysis.records import read_record

            path = single.write(read_record(found[0]), output)
        else:
            from ftapp.analysis.records import read_arms

            path = comparison.write(read_arms(found), output or Path("comparison.html"))
    except OSError as error:
        _refuse(f"the report cannot be written: {error}")
    print(path)


@app.command(name="compare")
def compare_runs(
    runs: RunsArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each run as CSV.")] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Compare runs with the first one: results, differences of their recipes, and what can be told of them."""
    from ftapp.analysis import compare
    from ftapp.analysis.records import read_arms, read_experiment
    from ftapp.report import comparison

    if as_json and as_csv:
        _refuse("a comparison is printed as --json or as --csv; got both")
    if experiment := _find_experiment(runs, runs_dir):
        arms = read_experiment(experiment)
    else:
        arms = read_arms(_find_runs(runs, runs_dir))
    if len(arms) < 2:
        _refuse(f"a comparison is of two runs or more; got {len(arms)}")
    if as_json:
        print(json.dumps(compare.build_table(arms)))
    elif as_csv:
        comparison.write_csv(arms, sys.stdout)
    else:
        _print_comparison(arms)


def _print_comparison(arms: list[Any]) -> None:
    from ftapp.common.tables import print_text, print_wrapped
    from ftapp.report import comparison

    names = [arm.name for arm in arms]
    print_wrapped(["", *names], comparison.metric_rows(arms))
    if rows := comparison.difference_rows(arms):
        print_wrapped(["recipe", *names], rows)
    print()
    for line in comparison.sentences(arms):
        print_text(line)


def _find_experiment(names: list[str], runs_dir: Path | None) -> Experiment | None:
    """The experiment that a single name names, if it does."""
    from ftapp.common import user_folders
    from ftapp.experiments import experiment_folder

    return experiment_folder.find(names[0], user_folders.runs(runs_dir)) if len(names) == 1 else None


def _find_runs(names: list[str], runs_dir: Path | None) -> list[Any]:
    from ftapp.common import user_folders
    from ftapp.runs import run_folder as folders

    with _refusals():
        return [folders.find(name, user_folders.runs(runs_dir)) for name in names]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Another name of it, such as that of a proxy. Repeatable."),
    ] = None,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Offer the terminal interface to a browser, on this machine only unless --host says otherwise.

    Only who opens the printed address gets in: it holds a token, a new one each time or that of FTAPP_TOKEN.
    """
    from ftapp.cli.web import LOOPBACK, WebServer, chosen_token
    from ftapp.common.processes import python_module
    from ftapp.common.safe_files import reason

    with _refusals():
        token = chosen_token()
    if host not in LOOPBACK:
        print(
            f"whoever knows the token and reaches {host}:{port} can start runs and read files here; what goes between "
            "can be read on the way",
            file=sys.stderr,
        )
    words = python_module("ftapp.cli.app")
    words += ["--runs-dir", str(runs_dir.absolute())] if runs_dir else []
    words += ["--offline"] if offline else []
    try:
        WebServer(words, host, port, names or (), token).serve()
    except OSError as error:
        _refuse(f"{host}:{port} cannot be listened on: {reason(error)}")


def main() -> None:
    """The commands of the program `ftapp`."""
    open_closed()
    screen_output()
    try:
        app()
    except (KeyboardInterrupt, Exception) as error:
        end(error)


def end(error: BaseException) -> NoReturn:
    """End the program with the exit code for an error, and a message in place of a traceback."""
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from None
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        raise SystemExit(1) from None
    screen_output()
    if _debug:
        traceback.print_exception(error)
        raise SystemExit(1) from None
    from ftapp.common.errors import RunError

    if isinstance(error, RunError):
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print(f"ftapp: {type(error).__name__}: {error} ('ftapp --debug ...' shows where)", file=sys.stderr)
    raise SystemExit(1) from None


def _planned(resolved: Recipe, environment: dict[str, str]) -> dict[str, Any]:
    """The plan of a recipe, made by a process of its own since that takes Keras."""
    import subprocess
    import tempfile

    from ftapp.common.processes import child_environment, python_module

    told: dict[str, Any] = {}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+") as log,
    ):
        file.write(resolved.to_toml())
        file.flush()
        command = python_module("ftapp.workers.planner", file.name)
        variables = child_environment(environment)
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                told |= json.loads(line)
                if "progress" in told:
                    print(told.pop("progress"), file=sys.stderr)
        log.seek(0)
        if _debug or not told:
            print(log.read(), file=sys.stderr)
    if "error" in told:
        print(told["error"], file=sys.stderr)
    if process.returncode or "plan" not in told:
        raise typer.Exit(process.returncode if process.returncode in (1, 2) else 1)
    plan: dict[str, Any] = told["plan"]
    return plan


def _surveyed(asked: Recipe, name: str, source: str | None, *, offline: bool) -> Survey:
    """The survey of a recipe's data, made by a process of its own since that takes Keras."""
    import asyncio

    from ftapp import recipe
    from ftapp.common.errors import RecipeError, RunError
    from ftapp.recipe import presets, sources
    from ftapp.rpc.clients import Inspector

    said = ""

    def told(activity: str, done: int, total: int | None) -> None:
        nonlocal said
        if activity != said:
            said = activity
            print(activity, file=sys.stderr)

    async def survey() -> Survey:
        inspector = Inspector(offline=offline)
        try:
            return await inspector.survey(asked, told)
        finally:
            await inspector.close()

    try:
        return asyncio.run(survey())
    except RecipeError as error:
        _refuse(str(error))
    except RunError as error:
        print(error, file=sys.stderr)
        of_hub = presets.on_hub(asked.model.preset) or (source is None and sources.on_hub(asked.data.source))
        if of_hub and (profiles := recipe.hubless_profiles(recipe.find(name))):
            print(f"'--profile {profiles[0]}' works without it", file=sys.stderr)
    raise typer.Exit(1)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn a bad recipe into its problems on stderr and exit code 2."""
    from ftapp.common.errors import RecipeError

    try:
        yield
    except RecipeError as error:
        _refuse(str(error))


def _refuse(message: str) -> None:
    print(message, file=sys.stderr)
    raise typer.Exit(2)


def _numbers(row: dict[str, object]) -> list[str]:
    metrics = row["metrics"]
    assert isinstance(metrics, dict)
    shown = [f"{metrics[key]:.4f}" if key in metrics else "" for key in ("loss", "accuracy")]
    return [*shown, f"{row['seconds']:.1f}" if row["seconds"] is not None else ""]


if __name__ == "__main__":
    main()
