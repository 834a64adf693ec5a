"""The bell at the end of runs, if the user's settings ask for it."""

from __future__ import annotations

from collections.abc import Iterable

from ftapp.common.errors import RecipeError, RunError
from ftapp.experiments.listing import Summary


def wants_bell(ended: Iterable[Summary]) -> bool:
    """Tell whether the user wants to hear that one of these runs has ended. Wrong settings are told elsewhere."""
    from ftapp.recipe.user_settings import load_settings  # here, since the first screen needs no Pydantic

    try:
        settings = load_settings().notify
    except (RecipeError, RunError):
        return False
    return settings.bell and any((each.seconds or 0.0) >= settings.after for each in ended)
