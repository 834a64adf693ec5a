"""The task, the model and the data of a run, read off its recipe without checking the recipe."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from ftapp.common.safe_files import UNREADABLE, read_text


@dataclass(frozen=True)
class RecipeFacts:
    """What lists of runs tell of a recipe; "" for what it does not say.

    Attributes:
        task: The task.
        model: The preset.
        data: The source.
    """

    task: str = ""
    model: str = ""
    data: str = ""


UNKNOWN = RecipeFacts()


def read_recipe_facts(path: Path) -> RecipeFacts:
    """Read the facts of a run's recipe; none of a recipe that cannot be read.

    Args:
        path: The resolved recipe.
    """
    try:
        table = tomllib.loads(read_text(path))
    except (OSError, *UNREADABLE):
        return UNKNOWN
    model, data = table.get("model"), table.get("data")
    return RecipeFacts(
        str(table.get("task", "")),
        str(model.get("preset", "")) if isinstance(model, dict) else "",
        str(data.get("source", "")) if isinstance(data, dict) else "",
    )
