"""Requests that are refused: a status and a sentence as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ftapp.common.errors import RunError, quote, suggest_nearest
from ftapp.recipe.value_errors import explain_value
from ftapp.serving.model_process import UnavailableError
from ftapp.serving.turns import QueueFullError

_MOST_SENTENCES = 3
_SECONDS_FULL, _SECONDS_DOWN = 1, 5  # after which it is worth to try again


class RefusedError(Exception):
    """A request that is refused.

    Attributes:
        status: The status of the response.
        answers: The reason of each input, where no input has an answer.
    """

    def __init__(self, status: int, message: str, answers: Sequence[object] = ()) -> None:
        """Make an error.

        Args:
            status: The status of the response.
            message: What is wrong, the rule, and the nearest valid choice.
            answers: The reason of each input, where no input has an answer.
        """
        super().__init__(message)
        self.status, self.answers = status, answers


def explain_invalid(error: ValidationError | RequestValidationError, fields: Sequence[str]) -> str:
    """Explain why values do not fit a request.

    Args:
        error: The errors of Pydantic.
        fields: The keys that there are.

    Returns:
        A sentence for each of the first values.
    """
    sentences = []
    for each in error.errors()[:_MOST_SENTENCES]:
        place = [str(part) for part in each["loc"] if part not in ("body", "query")]
        key = ".".join(place)
        if each["type"] == "extra_forbidden":
            sentences.append(f"there is no key {quote(key)}; {suggest_nearest(key, fields)}")
        elif each["type"] in ("model_type", "model_attributes_type"):
            sentences.append("the body is no JSON object; its keys are " + ", ".join(map(repr, fields)))
        else:
            sentences.append(f"{key}: {explain_value(each)}")
    return "; ".join(dict.fromkeys(sentences))


def refuse(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Make the response of a refusal."""
    return JSONResponse({"error": message}, status, headers)


def add_handlers(app: FastAPI, options: Sequence[str]) -> None:
    """Have an application answer errors with sentences.

    Args:
        app: The application.
        options: The parameters that an address can have.
    """
    paths = [route.path for route in app.routes if getattr(route, "include_in_schema", False)]  # type: ignore[attr-defined]

    async def refuse_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        content: dict[str, object] = {"error": str(error)}
        # The rest of a late body would be taken for the next request.
        headers = {"Connection": "close"} if error.status == HTTPStatus.REQUEST_TIMEOUT else None
        return JSONResponse(
            content | ({"answers": list(error.answers)} if error.answers else {}), error.status, headers
        )

    async def refuse_options(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refuse(422, explain_invalid(error, options))

    async def refuse_full(request: Request, error: Exception) -> Response:
        return refuse(503, "too many requests wait for the model; try again later", _retry_after(_SECONDS_FULL))

    async def refuse_unavailable(request: Request, error: Exception) -> Response:
        return refuse(503, f"{error}; try again later", _retry_after(_SECONDS_DOWN))

    async def refuse_failed(request: Request, error: Exception) -> Response:
        return refuse(500, f"the model could not answer: {error}")

    async def refuse_unexpected(request: Request, error: Exception) -> Response:
        return refuse(500, f"the request failed: {type(error).__name__}")

    async def refuse_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = str(error.detail)
        if error.status_code == HTTPStatus.NOT_FOUND:
            message = f"there is no {quote(request.url.path)} here; there are {', '.join(paths)} and /docs"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("Allow", "")
            message = f"{request.url.path} takes no {request.method}; it takes {allowed}"
        return refuse(error.status_code, message, dict(error.headers or {}))

    app.add_exception_handler(RefusedError, refuse_request)
    app.add_exception_handler(RequestValidationError, refuse_options)
    app.add_exception_handler(QueueFullError, refuse_full)
    app.add_exception_handler(UnavailableError, refuse_unavailable)
    app.add_exception_handler(RunError, refuse_failed)
    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(Exception, refuse_unexpected)


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def encode_error(error: Exception) -> str:
    """Encode the reason why a stream ends early, as JSON."""
    return json.dumps({"error": str(error)})
