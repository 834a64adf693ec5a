"""`ftapp push`: a run's model on Hugging Face or Kaggle, as an export with its model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.export import FormatOption
from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.options import JsonOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.publishing.folder import PublishedFolder
    from ftapp.publishing.targets import Target


def push(
    run_name: RunArgument,
    address: Annotated[
        str, typer.Argument(metavar="TARGET", help="hf://OWNER/NAME or kaggle://OWNER/MODEL/FRAMEWORK/VARIATION.")
    ],
    to: FormatOption = "keras-hub",
    int8: Annotated[bool, typer.Option("--int8", help="Quantize to int8 (openvino, litert).")] = False,
    examples: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Compare the answers to at most N test examples; 0 for no check."),
    ] = 50,
    license_name: Annotated[
        str | None,
        typer.Option("--license", metavar="NAME", help="The licence that you give the model, such as apache-2.0."),
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="What is new, for the hub's history.")
    ] = None,
    is_private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private. On Kaggle, new models are.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="The branch on Hugging Face. [default: main]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Send the model of a finished run to Hugging Face or Kaggle, as an export with the run's model card.

    Prints the address. Tokens are those of the hubs' own libraries: `hf auth login` or HF_TOKEN, and KAGGLE_API_TOKEN.
    """
    from ftapp.experiments.find_run import find_run
    from ftapp.publishing.targets import HuggingFaceTarget, parse_target
    from ftapp.runs.export_formats import FORMATS

    with refuse_bad_recipes(), fail_on_run_errors():
        target = parse_target(address)
        if revision is not None and not isinstance(target, HuggingFaceTarget):
            refuse("--revision is a branch on Hugging Face; Kaggle numbers the versions of a variation itself")
        run = find_run(run_name, runs_dir)
        from ftapp.cli.ask_helper import ask_helper
        from ftapp.publishing.folder import prepare_folder
        from ftapp.rpc.export_client import ExportChoice, ExportClient, find_export_folder

        choice = ExportChoice(to, find_export_folder(run.folder, to, int8=int8), int8, examples, replaces=True)
        with fail_on_run_errors(2):
            choice.check()
        _check_target(target, needs_token=not dry_run)
        ask_helper("the export", ExportClient(run.folder), lambda asked, progress: asked.export(choice, progress))
        published = prepare_folder(run, choice.folder, FORMATS[to].hub_library, license_name)
        place = None
        if not dry_run:
            title = message or f"Push the run {run.folder.name}"
            place = _send(target, published, title, license_name, is_private=is_private, revision=revision)
    _print_result(target, published, place, as_json=as_json)


def _check_target(target: Target, *, needs_token: bool) -> None:
    """Check what the hub's library tells of a target, and that there is a token, before a model is exported for it."""
    from ftapp.publishing import hugging_face, kaggle
    from ftapp.publishing.targets import HuggingFaceTarget

    if isinstance(target, HuggingFaceTarget):
        if needs_token:
            hugging_face.check_login(target)
        return
    kaggle.check_framework(target)
    if needs_token:
        kaggle.check_login(target)


def _send(
    target: Target,
    published: PublishedFolder,
    message: str,
    license_name: str | None,
    *,
    is_private: bool,
    revision: str | None,
) -> str:
    from ftapp.publishing import hugging_face, kaggle
    from ftapp.publishing.targets import HuggingFaceTarget

    if isinstance(target, HuggingFaceTarget):
        return hugging_face.push(target, published.folder, message, is_private=is_private, revision=revision)
    return kaggle.push(target, published.folder, message, license_name)


def _print_result(target: Target, published: PublishedFolder, place: str | None, *, as_json: bool) -> None:
    if as_json:
        facts = {"target": str(target), "address": place, "files": published.files, "header": published.header}
        print(json.dumps(facts))
    elif place is not None:
        print(place)
    else:
        from ftapp.cli.fact_table import make_fact_table
        from ftapp.common.console import PlainConsole
        from ftapp.common.formatting import format_size

        sizes = {name: format_size(size) for name, size in published.files.items()}
        PlainConsole().print(make_fact_table({"to": str(target), **sizes}))
        print(published.header, end="")
