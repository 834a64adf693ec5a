"""The command line: results on stdout, narration on stderr.

Exit codes: 0 done, 1 failed while running, 2 bad recipe or arguments, 3 inputs without an answer, 75 unfinished,
130 interrupted. Each family of commands is a module of its own. Everything but Typer is imported where it is used, so
that --help answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ftapp.cli import (
    advise,
    annotate,
    cache,
    ctl,
    doctor,
    errors,
    evaluate,
    explain,
    export,
    failure,
    generate,
    lr_find,
    models,
    parity,
    plan,
    predict,
    push,
    queue,
    recipes,
    report,
    resume,
    run,
    runs,
    schema,
    serve,
    serve_model,
    sweep,
    track,
)
from ftapp.cli.command_group import CommandGroup
from ftapp.cli.options import OfflineOption, RunsDirOption
from ftapp.common.safe_output import screen_output
from ftapp.common.standard_streams import open_closed

app = typer.Typer(
    name="ftapp",
    cls=CommandGroup,
    help="Fine-tune pretrained Keras models from the terminal.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    # Help in plain text: importing Rich for it would take longer than all the rest of `ftapp --help`.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed while running, 2 bad recipe or arguments, 3 inputs without an answer, "
    "75 unfinished, 130 interrupted.",
)


@app.callback()
def open_interface(
    context: typer.Context,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Without a command, open the terminal interface: choose a recipe, see what is frozen, watch it learn."""
    screen_output()
    failure.set_debug(debug)
    if version:
        from ftapp import __version__

        print(f"ftapp {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        for name, given in (("--runs-dir", runs_dir), ("--offline", offline)):
            if given:
                failure.refuse(
                    f"{name} stands before '{context.invoked_subcommand}'; there it is for the interface; a command "
                    "has its options behind its name"
                )
        return
    if not (sys.stdout.isatty() or "TEXTUAL_DRIVER" in os.environ):  # the latter is how `ftapp serve` opens it
        print(context.get_help())
        return
    from ftapp.tui.app import run_app

    run_app(runs_dir, offline=offline)


app.command()(run.run)
app.command()(resume.resume)
app.command()(sweep.sweep)
app.command()(ctl.ctl)
app.command(name="recipes")(recipes.list_recipes)
app.command()(recipes.show)
app.command()(recipes.copy)
app.command()(recipes.validate)
app.command(name="schema")(schema.print_schema)
app.command()(plan.plan)
app.command(name="lr-find")(lr_find.lr_find)
app.command()(parity.parity)
app.command()(advise.advise)
app.command(name="models")(models.list_models)
app.command()(doctor.doctor)
app.command(name="cache")(cache.list_cache)
app.command(name="runs")(runs.list_runs)
app.command()(annotate.tag)
app.command()(annotate.note)
app.command(name="errors")(errors.list_errors)
app.add_typer(queue.app, name="queue")
app.command()(predict.predict)
app.command()(evaluate.evaluate)
app.command()(explain.explain)
app.command()(export.export)
app.command()(push.push)
app.command()(generate.generate)
app.command()(track.track)
app.command()(report.report)
app.command(name="compare")(report.compare_runs)
app.command()(serve.serve)
app.command(name="serve-model")(serve_model.serve_model)


def main() -> None:
    """Run the program `ftapp`."""
    open_closed()
    screen_output()
    commands = {each.name or getattr(each.callback, "__name__", ""): each for each in app.registered_commands}
    asked = [commands[name] for name in sys.argv[1:2] if name in commands]
    if asked:  # Typer takes as long to build the others as it takes to import them
        app.registered_commands, app.registered_groups = asked, []
    try:
        app()
    except (KeyboardInterrupt, Exception) as error:
        failure.end(error)


if __name__ == "__main__":
    main()
