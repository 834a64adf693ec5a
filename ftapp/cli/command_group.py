"""The group of all commands: what is wrong with the value of an option is said as for the keys of a recipe."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

_NO_CHOICE = " is not one of "
"""What stands in Typer's message between a value and its choices."""


class CommandGroup(TyperGroup):
    """Commands whose refused values are explained by `ftapp.recipe.value_errors`.

    Typer checks values by Pydantic, whose sentences are about data in general. They often do not name the value.
    """

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command, and run it.

        Args:
            ctx: Typer's context of the group.

        Raises:
            typer.BadParameter: A value is refused.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _explain(error)
            raise


def _explain(error: typer.BadParameter) -> str:
    """Say what is wrong with the value, the rule and the nearest choice; Typer's words where Pydantic has none."""
    from pydantic import ValidationError

    from ftapp.recipe.value_errors import explain_value

    if not isinstance(error.__cause__, ValidationError):
        return error.message
    detail: dict[str, Any] = {**error.__cause__.errors()[0]}
    _, refused, choices = detail["msg"].rpartition(_NO_CHOICE)
    if refused:
        detail |= {"type": "literal_error", "ctx": {"expected": choices.rstrip(".")}}
    return explain_value(detail)
