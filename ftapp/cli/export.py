"""`ftapp export`: a run's model in the format of another runtime, checked by that runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.rpc.messages import Exported


class Format(StrEnum):
    """The values of --to, which `ftapp.models.export.formats` describes."""

    keras_hub = "keras-hub"
    saved_model = "saved_model"
    onnx = "onnx"
    openvino = "openvino"
    litert = "litert"
    torch = "torch"
    transformers = "transformers"


def export(
    run_name: RunArgument,
    to: Annotated[Format, typer.Option("--to", metavar="FORMAT", help=f"The format: {', '.join(Format)}.")],
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
    from ftapp.common import durable
    from ftapp.experiments.find_run import find_run
    from ftapp.models.export.formats import FORMATS
    from ftapp.rpc.export_client import ExportClient, check_export_folder, find_export_folder

    chosen = FORMATS[to.value]
    with fail_on_run_errors(2):
        chosen.check_int8(to.value, int8=int8)
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(run_name, runs_dir)
        folder = output or find_export_folder(run.folder, to.value, int8=int8)
        with fail_on_run_errors(2):
            check_export_folder(folder, replaces=force)
        try:
            chosen.check_installed(to.value, int8=int8)
            client = ExportClient(run.folder, offline=offline)
            made = ask_helper(
                "the export",
                client,
                lambda asked, progress: asked.export(
                    to.value,
                    folder,
                    chosen.backend,
                    int8=int8,
                    examples=examples,
                    replaces=force,
                    progress=progress,
                ),
            )
        finally:
            durable.remove_leftovers(folder.parent, folder.name)  # of a process that was ended
    _print_result(made, as_json=as_json)


def _print_result(made: Exported, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        print(msgspec.json.encode(made).decode())
        return
    from ftapp.cli.fact_table import make_fact_table
    from ftapp.common.console import PlainConsole
    from ftapp.common.formatting import format_duration, format_size

    rows = {
        "export": made.folder,
        "files": ", ".join(f"{name} {format_size(size)}" for name, size in made.files.items() if size >= 2**16)
        or f"{len(made.files)}",
        **_describe_check(made),
        **{"note" if not index else f"note {index + 1}": note for index, note in enumerate(made.notes)},
        "seconds": format_duration(made.seconds),
    }
    PlainConsole().print(make_fact_table(rows))


def _describe_check(made: Exported) -> dict[str, str]:
    check = made.check
    if check is None:
        return {"check": "left out: no answers were compared"}
    rows = {
        "equal answers": f"{check.agreeing} of {check.examples} test examples"
        + (f" (int8: at least {check.least_agreement:.0%})" if made.int8 else ""),
        "largest difference": f"{check.difference:.2g}"
        + (f" (at most {check.tolerance:.2g})" if check.tolerance is not None else ""),
    }
    if check.metric and check.before is not None and check.after is not None:
        rows[f"{check.metric} on them"] = f"{check.before:.4g} before, {check.after:.4g} after"
    if check.tokens is not None:
        rows["equal tokens"] = f"{check.tokens} of {check.examples} texts"
    if check.continuations:
        rows["equal continuations"] = f"{check.continuations[0]} of {check.continuations[1]} prompts"
    return rows
