"""The bodies of requests: JSON, an image file, or a form with image files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ftapp.common.errors import quote
from ftapp.common.safe_files import UNREADABLE, explain_error
from ftapp.serving.refusals import RefusedError, explain_invalid

_JSON = "application/json"
_FORM = "multipart/form-data"
_FIELD = "images"

_Model = TypeVar("_Model", bound=BaseModel)


def list_image_types() -> dict[str, Any]:
    """List the types of bodies with images beside JSON, with their schemas as an OpenAPI document has them."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {_FIELD: {"type": "array", "items": file}}, "required": [_FIELD]}
    return {_FORM: {"schema": form}, "image/*": {"schema": file}}


async def read_json(request: Request, model: type[_Model]) -> _Model:
    """Read a body of JSON.

    Args:
        request: The request.
        model: The schema of the body.

    Raises:
        RefusedError: The body has another type, is no JSON, or does not fit the schema.
    """
    if _get_type(request) != _JSON:
        raise _refuse_type(request, [_JSON])
    try:
        found = msgspec.json.decode(await request.body())
    except UNREADABLE as error:
        raise RefusedError(400, f"the body is no JSON: {explain_error(error)}") from error
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise RefusedError(422, explain_invalid(error, list(model.model_fields))) from error


async def read_images(request: Request, model: type[BaseModel], column: str, most: int) -> list[Any]:
    """Read the images of a body of any type.

    Args:
        request: The request.
        model: The schema of a body of JSON.
        column: The column of a row that holds the image.
        most: The most images of a request.

    Returns:
        The bytes of image files, in base64.

    Raises:
        RefusedError: The body has another type, or cannot be read.
    """
    kind = _get_type(request)
    if kind == _FORM:
        return await _read_form(request, most)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [_encode(await request.body())]
    if kind != _JSON:
        raise _refuse_type(request, [_JSON, _FORM, "image/*"])
    return list(map(_strip_address, await read_texts(request, model, column)))


async def read_texts(request: Request, model: type[BaseModel], column: str) -> list[Any]:
    """Read the inputs of a body of JSON: values, or rows of a table.

    Args:
        request: The request.
        model: The schema of the body.
        column: The column of a row that holds the input.

    Returns:
        The inputs, which are texts if they are what they should be.

    Raises:
        RefusedError: The body has another type, is no JSON, or does not fit the schema.
    """
    inputs = (await read_json(request, model)).inputs  # type: ignore[attr-defined]
    return [each.get(column) if isinstance(each, dict) else each for each in inputs]


async def _read_form(request: Request, most: int) -> list[str]:
    try:
        async with request.form(max_files=most, max_fields=0) as form:
            files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
            return [_encode(await each.read()) for each in files]
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise RefusedError(
            400, f"the form cannot be read: {error.detail}; each of its fields is an image file"
        ) from error


def _strip_address(value: Any) -> Any:
    """Take the head of a data URL away, `data:image/png;base64,`."""
    return value.partition(",")[2] if isinstance(value, str) and value.startswith("data:") else value


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _get_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_type(request: Request, known: Sequence[str]) -> RefusedError:
    given = request.headers.get("content-type")
    wrong = f"bodies of the type {quote(given)} are not read" if given else "the body has no Content-Type"
    return RefusedError(415, f"{wrong}; a body is {' or '.join(known)}")
