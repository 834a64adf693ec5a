"""`ftapp tag` and `ftapp note`: what a user writes about a run, also while it trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse_bad_recipes
from ftapp.cli.options import JsonOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.runs.annotation import Annotations


def tag(
    name: RunArgument,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Tags to add.")] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", "-r", metavar="TAG", help="A tag to remove. Can be repeated.")
    ] = None,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Add tags to a run or an experiment, or remove them, and print its tags. `ftapp runs --where tag=TAG` finds it."""
    with refuse_bad_recipes(), fail_on_run_errors(2):
        folder = _find_folder(name, runs_dir)
        annotations = _change(folder, tags or (), removed or (), None)
    _print(folder, annotations, "\n".join(annotations.tags), as_json=as_json)


def note(
    name: RunArgument,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The note; '' removes it.")] = None,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Write a note about a run or an experiment, in place of the one before, and print it."""
    with refuse_bad_recipes(), fail_on_run_errors(2):
        folder = _find_folder(name, runs_dir)
        annotations = _change(folder, (), (), text)
    _print(folder, annotations, annotations.note, as_json=as_json)


def _find_folder(name: str, runs_dir: Path | None) -> Path:
    from ftapp.common import user_folders
    from ftapp.experiments import experiment_lookup
    from ftapp.experiments.find_run import find_run

    experiment = experiment_lookup.find(name, user_folders.runs(runs_dir))
    return experiment.folder if experiment else find_run(name, runs_dir).folder


def _change(folder: Path, tags: list[str] | tuple[()], removed: list[str] | tuple[()], text: str | None) -> Annotations:
    from ftapp.runs import annotation

    if not tags and not removed and text is None:
        return annotation.load(folder)
    return annotation.change(folder, add=tags, remove=removed, note=text)


def _print(folder: Path, annotations: Annotations, text: str, *, as_json: bool) -> None:
    from ftapp.common.tables import print_text

    if as_json:
        print(json.dumps({"run": str(folder), "tags": annotations.tags, "note": annotations.note}))
    elif text:
        print_text(text)
