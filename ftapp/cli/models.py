"""`ftapp models`: the pretrained models that recipes can name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

import typer

from ftapp.cli.failure import refuse
from ftapp.cli.options import JsonOption


def list_models(
    word: Annotated[
        str | None, typer.Argument(metavar="WORD", help="List models with this word in their name or description.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="List models for this task.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the pretrained models of KerasHub, by task and size. It needs no network.

    A recipe names a model as its preset: --set model.preset=NAME.
    """
    import dataclasses

    from ftapp.common.errors import suggest_nearest
    from ftapp.common.formatting import format_count, format_size
    from ftapp.common.tables import Column, print_table, print_text
    from ftapp.recipe import TASKS
    from ftapp.recipe.hub_models import list_hub_models

    if task is not None and task not in TASKS:
        refuse(f"there is no task '{task}'; {suggest_nearest(task, TASKS)}")
    models = [model for model in list_hub_models() if task is None or task in model.tasks]
    wanted = (word or "").casefold()
    found = [model for model in models if wanted in f"{model.name} {model.description}".casefold()]
    if not found:
        refuse(f"no model's name or description has '{word}'; {suggest_nearest(word or '', [m.name for m in models])}")
    if as_json:
        print(json.dumps([dataclasses.asdict(model) | {"most_bytes": model.most_bytes} for model in found]))
        return
    columns = [
        Column("preset", 0, least=24, is_name=True),
        Column("parameters", 1, right=True),
        Column("download, at most", 2, right=True),
        Column("task", 3),
        Column("what it is", 4, least=24),
    ]
    rows = [
        [
            model.name,
            "" if model.parameters is None else format_count(model.parameters),
            "" if model.most_bytes is None else format_size(model.most_bytes),
            shorten_tasks(model.tasks),
            model.description,
        ]
        for model in found
    ]
    print_table(columns, rows)
    print_text(f"{len(found)} of the {len(models)} models" if word else f"{len(found)} models")


def shorten_tasks(names: Iterable[str]) -> str:
    """Write the names of tasks, those with the same beginning as one: "text-*, causal-lm"."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.partition("-")[0], []).append(name)
    return ", ".join(some[0] if len(some) == 1 else f"{kind}-*" for kind, some in kinds.items())
