"""`ftapp export`: a run's model in the format of another runtime, checked by that runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, RunArgument, RunsDirOption
from ftapp.runs.export_formats import FORMATS

if TYPE_CHECKING:
    from ftapp.rpc.messages import Exported


FormatOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help=f"The format: {', '.join(FORMATS)}.",
        autocompletion=lambda incomplete: [name for name in FORMATS if name.startswith(incomplete)],
    ),
]


def export(
    run_name: RunArgument,
    to: FormatOption,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="The folder. [default: export/FORMAT in the run]"),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantize to int8 (openvino, litert).")] = False,
    examples: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Compare the answers to at most N test examples; 0 for no check."),
    ] = 50,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it is there.")] = False,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Export the model of a finished run, with its preprocessing, to another runtime.

    The export is checked by its own runtime: its answers to test examples have to be those of the model.
    """
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.experiments.find_run import find_run
    from ftapp.rpc.export_client import ExportChoice, ExportClient, find_export_folder

    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(run_name, runs_dir)
        folder = output or find_export_folder(run.folder, to, int8=int8)
        choice = ExportChoice(to, folder, int8, examples, replaces=force)
        with fail_on_run_errors(2):
            choice.check()
        client = ExportClient(run.folder, offline=offline)
        made = ask_helper("the export", client, lambda asked, progress: asked.export(choice, progress))
    _print_result(made, as_json=as_json)


def _print_result(made: Exported, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.encode(made).decode())
        return
    from ftapp.cli.fact_table import make_fact_table
    from ftapp.common.console import PlainConsole
    from ftapp.rpc.export_client import describe_export

    PlainConsole().print(make_fact_table(describe_export(made)))
