"""What hubs refuse, in sentences, without the tokens that their libraries send."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from http import HTTPStatus
from typing import Any

from ftapp.common.errors import RecipeError, RunError

_HIDDEN = "(token)"


@contextmanager
def explain_refusals(hub: str, place: str, login: str, list_secrets: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Turn what a hub's library raises into sentences, and print nothing that it prints.

    No cause is kept: a traceback of a library could show a token. Kaggle's library prints whole requests in some of
    its environments, with the token.

    Args:
        hub: The hub's name.
        place: What is sent to, as its user calls it.
        login: How a user gives a token.
        list_secrets: Lists the tokens, which no sentence shows.

    Raises:
        RunError: Whatever the library has raised.
    """
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except (RecipeError, RunError):
        raise
    except Exception as error:
        message = _explain(error, hub, place, login)
        for secret in filter(None, list_secrets()):
            message = message.replace(secret, _HIDDEN)
        raise RunError(message) from None


def _explain(error: Exception, hub: str, place: str, login: str) -> str:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return f"{hub} does not accept the token; {login}"
        case HTTPStatus.FORBIDDEN:
            return f"{hub} does not let this token write to {place}; take one with the right to write there; {login}"
        case HTTPStatus.NOT_FOUND:
            return f"{hub} does not know {place}, or hides it from this token; {login}"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return f"a file is too large for {hub}: {reason}"
        case HTTPStatus.TOO_MANY_REQUESTS:
            return f"{hub} takes no more requests for now; try again later"
        case None if isinstance(error, OSError) or "connect" in type(error).__name__.lower():
            return f"{hub} cannot be reached, or a file cannot be read: {reason}"
        case None:
            return f"nothing more was sent to {place}: {type(error).__name__}: {reason}"
    return f"{hub} refused {place} with status {status}: {reason}"
