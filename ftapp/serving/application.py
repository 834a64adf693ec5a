"""The web application of a served model: its paths, and the document that describes them.

FastAPI reads the annotations of the functions that answer, and some name classes that are made for the run. So this
module's annotations are no strings.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Query, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import HTTPBearer
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.staticfiles import StaticFiles

from ftapp import __version__
from ftapp.common.errors import RunError
from ftapp.common.web_access import WebAccess
from ftapp.recipe import TASKS, Recipe
from ftapp.rpc.messages import Generated, Loaded
from ftapp.rpc.prediction_messages import PredictedRow
from ftapp.serving import schemas
from ftapp.serving.batcher import Batcher
from ftapp.serving.bodies import list_image_types, read_images, read_json, read_texts
from ftapp.serving.body_limit import BodyLimit
from ftapp.serving.gate import Gate
from ftapp.serving.model_process import ModelProcess, UnavailableError
from ftapp.serving.refusals import RefusedError, add_handlers, encode_error
from ftapp.serving.turns import QueueFullError

_GONE = 499  # the status, which nobody sees, of a request whose client has gone

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class ServedModel:
    """What the application answers with.

    Attributes:
        name: The run's name.
        recipe: The run's recipe.
        process: The process of the model.
        loaded: The model.
        example: The model's answer to the example of the document; None of a language model.
        batcher: Puts inputs into batches. An input is its content, and whether all scores are asked for.
        most_inputs: The most inputs of a request.
        max_body: The most bytes of a request.
    """

    name: str
    recipe: Recipe
    process: ModelProcess
    loaded: Loaded
    example: PredictedRow | None
    batcher: Batcher[tuple[Any, bool], PredictedRow]
    most_inputs: int
    max_body: int


class _ClientGoneError(Exception):
    """The client has gone, so nobody waits for the answer."""


def make_application(served: ServedModel, access: WebAccess) -> FastAPI:
    """Make the application of a model.

    Args:
        served: The model.
        access: Who is answered.
    """
    task = TASKS[served.recipe.task]
    app = FastAPI(
        title=f"ftapp: {served.name}",
        description=f"{task.title}, fine-tuned from `{served.recipe.model.preset}`.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        dependencies=[Depends(HTTPBearer(auto_error=False))] if access.token else None,
    )
    _add_page(app)
    _add_health(app, served)
    options = _add_generate(app, served) if task.writes else _add_predict(app, served)
    add_handlers(app, options)

    async def drop(request: Request, error: Exception) -> Response:
        return Response(status_code=_GONE)

    for gone in (_ClientGoneError, ClientDisconnect):  # the latter while its body is read
        app.add_exception_handler(gone, drop)
    app.add_middleware(BodyLimit, most=served.max_body)
    app.add_middleware(Gate, access=access)
    return app


def _add_page(app: FastAPI) -> None:
    """Add the page about the paths, with nothing from a network. Its addresses are relative, for proxies before it."""
    files = "swagger"
    app.mount(f"/{files}", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    @app.get("/", include_in_schema=False)
    async def redirect() -> Response:
        return RedirectResponse("docs")

    @app.get("/docs", include_in_schema=False)
    async def show_page() -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{files}/swagger-ui-bundle.js",
            swagger_css_url=f"{files}/swagger-ui.css",
            swagger_favicon_url=f"{files}/favicon-32x32.png",
            # Without the mark of a validator on the internet.
            swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
        )


def _add_health(app: FastAPI, served: ServedModel) -> None:
    @app.get("/health", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
    async def health() -> Response:
        """Whether the model answers. Needs no token."""
        state = served.process.state
        return JSONResponse({"status": state}, 200 if state == "ready" else 503)


def _add_predict(app: FastAPI, served: ServedModel) -> list[str]:
    """Add the path of answers. Returns the parameters that its address can have."""
    made = schemas.PredictSchemas(served.recipe, served.loaded, served.most_inputs)
    has_images = TASKS[served.recipe.task].inputs == "images"
    options_type = made.options
    types = list_image_types() if has_images else {}
    assert served.example is not None
    example = made.make_answer(served.example, made.options())

    @app.post(
        "/predict",
        response_model=made.response,
        responses={
            200: {"content": {"application/json": {"example": {"answers": [_encode(example)]}}}},
            **_list_refusals(400, 408, 413, 415, 422, 500, 503),
        },
        openapi_extra=_describe_body(made.request, types),
    )
    async def predict(request: Request, options: Annotated[options_type, Query()]) -> Response:  # type: ignore[valid-type]
        """The model's answers to inputs, in their order. An input that is damaged has an error in place of its answer.

        Inputs of requests that come at the same time are answered together.
        """
        served.process.check()
        if served.batcher.is_full:
            raise QueueFullError
        if has_images:
            inputs = await read_images(request, made.request, made.column, served.most_inputs)
        else:
            inputs = await read_texts(request, made.request, made.column)
        if not inputs:
            raise RefusedError(422, "there is no input; a request has at least one")
        if len(inputs) > served.most_inputs:
            raise RefusedError(
                413, f"{len(inputs):,} inputs are too many; the most of a request is {served.most_inputs:,}"
            )
        has_scores = any(getattr(options, name, 0) for name in ("scores", "top_k"))
        rows = await _unless_gone(request, served.batcher.submit([(each, has_scores) for each in inputs]))
        answers = [made.make_answer(row, options) for row in rows]
        if all(row.problem for row in rows):
            first = (
                rows[0].problem if len(rows) == 1 else f"none of the inputs has an answer; the first: {rows[0].problem}"
            )
            raise RefusedError(422, first, [_encode(each) for each in answers])
        return Response(
            made.response(answers=answers).model_dump_json(exclude_none=True), media_type="application/json"
        )

    return list(made.options.model_fields)


def _add_generate(app: FastAPI, served: ServedModel) -> list[str]:
    """Add the path of texts. Returns the parameters that its address can have: none."""
    model = schemas.make_generate_request(served.loaded)
    events = {
        "schema": {"type": "string", "description": 'Events with {"piece": TEXT}; the last one is the whole response.'}
    }

    @app.post(
        "/generate",
        response_model=schemas.GenerateResponse,
        responses={
            200: {"content": {"text/event-stream": events}},
            **_list_refusals(400, 408, 413, 415, 422, 500, 503),
        },
        openapi_extra=_describe_body(model, {}),
    )
    async def generate(request: Request) -> Response:
        """The continuation of a prompt, whole or piece by piece. Prompts are continued one after another."""
        served.process.check()
        asked = await read_json(request, model)
        if not asked.prompt.strip():
            raise RefusedError(422, "prompt: the prompt is empty; a prompt has words")
        pieces = served.process.generate(asked.prompt, asked.make_sampling())
        try:
            first = await _unless_gone(request, anext(pieces))
        except UnavailableError:
            raise
        except RunError as error:
            raise RefusedError(422, f"prompt: {error}") from error
        if asked.stream:
            return StreamingResponse(_stream(first, pieces), media_type="text/event-stream")
        whole = await _unless_gone(request, _find_whole(first, pieces))
        return JSONResponse(_describe_text(whole))

    return []


async def _stream(first: str | Generated, pieces: AsyncGenerator[str | Generated, None]) -> AsyncIterator[bytes]:
    """Encode the pieces of a text as server-sent events."""
    async with aclosing(pieces):
        try:
            yield _encode_event(first)
            async for piece in pieces:
                yield _encode_event(piece)
        except (UnavailableError, RunError) as error:
            yield format_sse_event(event="error", data_str=encode_error(error))


async def _find_whole(first: str | Generated, pieces: AsyncGenerator[str | Generated, None]) -> Generated:
    """Wait for the end of a text."""
    async with aclosing(pieces):
        if isinstance(first, Generated):
            return first
        async for piece in pieces:
            if isinstance(piece, Generated):
                return piece
    raise AssertionError("a text ends with its whole")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Return what some work returns, or give it up once the client has gone.

    Raises:
        _ClientGoneError: The client has gone.
    """

    async def wait_until_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(wait_until_gone())
    tasks: tuple[asyncio.Task[Any], ...] = working, leaving
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _ClientGoneError
        answer: _Answer = working.result()
        return answer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _describe_text(made: Generated) -> dict[str, Any]:
    return {"text": made.text, "tokens": made.tokens, "end": made.end}


def _encode_event(piece: str | Generated) -> bytes:
    content = {"piece": piece} if isinstance(piece, str) else _describe_text(piece)
    return format_sse_event(data_str=json.dumps(content))


def _encode(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(exclude_none=True)


def _list_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Refusal} for status in statuses}


def _describe_body(model: type[BaseModel], others: dict[str, Any]) -> dict[str, Any]:
    """Describe the body of a request, which FastAPI does not read itself, in the words of OpenAPI."""
    content = {"application/json": {"schema": model.model_json_schema()}, **others}
    return {"requestBody": {"required": True, "content": content}}
