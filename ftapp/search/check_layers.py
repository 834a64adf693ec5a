"""Whether the values of a sweep fit the layers of their models, asked of the inspector before the first trial."""

from __future__ import annotations

from functools import partial

from ftapp.common.downloads import Progress
from ftapp.common.errors import RecipeError
from ftapp.experiments.sweep.check_values import find_layer_problems, list_layer_spaces
from ftapp.experiments.sweep.search import Search
from ftapp.rpc.inspector_client import InspectorClient


def names_layers(search: Search) -> bool:
    """Tell whether values of a sweep name layers or change which layers there are, so that they need a check."""
    return bool(list_layer_spaces(search.spaces))


async def check_layers(
    search: Search, inspector: InspectorClient, *, is_local: bool, progress: Progress | None = None
) -> str | None:
    """Check the values of a sweep by the layers of their models.

    Args:
        search: What is searched.
        inspector: The helper process that builds models.
        is_local: Whether the runs go on this machine. For runs elsewhere, no model is downloaded here.
        progress: Called with what is being done.

    Returns:
        Why the values were not checked; None where they were.

    Raises:
        RecipeError: Values do not fit; the error has all problems.
        RunError: A model of a run on this machine cannot be had.
    """
    preset = search.base.model.preset
    if not is_local and preset in await inspector.find_missing(search.base):
        return f"{preset} is not on this machine, so the first trials check the layers that values name"
    problems = await find_layer_problems(search, partial(inspector.describe_structure, progress=progress))
    if problems:
        raise RecipeError(problems)
    return None
