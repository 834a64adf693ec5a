"""`ftapp export`: a run's model in the format of another runtime, checked by that runtime."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
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
    from ftapp.rpc.export_client import ExportClient

    chosen = FORMATS[to.value]
    if int8 and not chosen.has_int8:
        able = " and ".join(name for name, each in FORMATS.items() if each.has_int8)
        refuse(f"--int8 does not go with --to {to.value}; int8 is for {able}")
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(run_name, runs_dir)
        folder = output or run.folder / "export" / (f"{to.value}-int8" if int8 else to.value)
        _check_place(folder, force=force)
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


def _check_place(folder: Path, *, force: bool) -> None:
    """Refuse a folder that cannot be written, or that holds something else than an export."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        refuse(f"'{folder}' is a file; an export is a folder")
    held = sorted(each.name for each in folder.iterdir())
    if held and not force:
        refuse(f"'{folder}' exists and is not empty; --force replaces it, and -o FOLDER writes another one")
    if held and "predict.py" not in held:
        refuse(f"'{folder}' holds no export but '{held[0]}'; --force replaces only exports; choose another -o FOLDER")


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
