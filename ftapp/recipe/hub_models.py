"""The models of the installed KerasHub that ftapp can fine-tune, read from its source text, without an import."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftapp.recipe.presets import find_hub_tables, serves
from ftapp.recipe.tasks import TASKS

# Weights are float32 or narrower; KerasHub does not tell of which type.
_MOST_BYTES = 4


@dataclass(frozen=True)
class HubModel:
    """A pretrained model of KerasHub.

    Attributes:
        name: What a recipe's `model.preset` takes.
        tasks: The tasks that it can be fine-tuned for, by name.
        parameters: The number of its weights; None where KerasHub does not tell it.
        description: What it is, in KerasHub's words.
        address: Where its weights are downloaded from.
    """

    name: str
    tasks: tuple[str, ...]
    parameters: int | None
    description: str
    address: str

    @property
    def most_bytes(self) -> int | None:
        """The size of the download, at most; None where the number of weights is unknown."""
        return None if self.parameters is None else self.parameters * _MOST_BYTES


def list_hub_models() -> list[HubModel]:
    """List the models that serve a task, by their tasks and then by their size."""
    found: dict[str, HubModel] = {}
    for table in find_hub_tables():
        tasks = tuple(name for name in TASKS if serves(table, name))
        if tasks:
            found |= {name: _read_entry(name, tasks, entry) for name, entry in _read_entries(table)}
    order = list(TASKS)
    return sorted(
        found.values(),
        key=lambda model: ([order.index(task) for task in model.tasks], model.parameters or 0, model.name),
    )


def _read_entry(name: str, tasks: tuple[str, ...], entry: Mapping[str, Any]) -> HubModel:
    about = entry.get("metadata", {})
    parameters, address = about.get("params"), entry.get("kaggle_handle", "")
    return HubModel(name, tasks, parameters, " ".join(about.get("description", "").split()), address)


def _read_entries(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the names and entries of a source file's dictionaries, as far as they are written out."""
    for statement in ast.parse(table.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            for key, value in zip(statement.value.keys, statement.value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Dict):
                    try:
                        yield str(key.value), ast.literal_eval(value)
                    except ValueError:
                        continue  # made of other names
