"""The web application of a served model, asked without a network: its schemas, and clients that go away."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from ftapp import recipe as recipes
from ftapp.cli import app
from ftapp.common.web_access import WebAccess
from ftapp.recipe import Recipe
from ftapp.rpc.messages import Generated, Loaded
from ftapp.rpc.prediction_messages import PredictedRow
from ftapp.serving.application import ServedModel, make_application
from ftapp.serving.batcher import Batcher
from ftapp.serving.schemas import PredictSchemas


def make_schemas(folder: Path, task: str, head: str, classes: tuple[str, ...], *overrides: str) -> PredictSchemas:
    (folder / "any.csv").touch()
    given = [f"task={task}", f"model.head={head}", f"data.source=csv:{folder / 'any.csv'}", *overrides]
    recipe = recipes.load(recipes.find("bert-full"), None, given)
    return PredictSchemas(recipe, Loaded(task=task, classes=classes, head=head, no_base=None), 10)


@pytest.mark.parametrize(
    ("task", "head", "row", "expected"),
    [
        (
            "text-classification",
            "linear-svm",
            PredictedRow(name="", answer="b", answer_scores=(1.5,), scores=(-1.0, 1.5)),
            {
                "answer": "b",
                "score": 1.5,
                "top": [{"answer": "b", "score": 1.5}, {"answer": "a", "score": -1.0}],
                "scores": {"a": -1.0, "b": 1.5},
            },
        ),
        (
            "text-multi-label",
            "one-vs-rest",
            PredictedRow(name="", answer=(), answer_scores=(), scores=(0.2, 0.1)),
            {
                "answer": [],
                "probability": [],
                "top": [{"answer": "a", "probability": 0.2}, {"answer": "b", "probability": 0.1}],
                "scores": {"a": 0.2, "b": 0.1},
            },
        ),
        ("text-regression", "linear", PredictedRow(name="", answer=2.5), {"answer": 2.5}),
        (
            "text-regression",
            "linear",
            PredictedRow(name="", problem="the text is empty"),
            {"error": "the text is empty"},
        ),
    ],
)
def test_answers_of_each_kind_of_labels_fit_the_document(
    task: str, head: str, row: PredictedRow, expected: dict[str, Any], tmp_path: Path
) -> None:
    made = make_schemas(tmp_path, task, head, () if task == "text-regression" else ("a", "b"))
    given = {"top_k": 2, "scores": True} if "top" in expected else {}
    answer = made.make_answer(row, made.options(**given)).model_dump(exclude_none=True)
    assert answer == expected
    schema = made.response.model_json_schema()
    jsonschema.validate({"answers": [answer]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"answers": [{"answer": "c", "probability": 1, "score": 1}]}, schema)


def test_rows_have_the_column_of_the_recipe(tmp_path: Path) -> None:
    made = make_schemas(tmp_path, "text-classification", "softmax", ("a", "b"), "data.text_column=Review of 東京")
    schema = made.request.model_json_schema()
    jsonschema.validate({"inputs": [{"Review of 東京": "fine"}, "fine"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inputs": [{"text": "fine"}]}, schema)


def test_the_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("fastapi", "uvicorn") else name)
    result = CliRunner().invoke(app.app, ["serve-model", "last"])
    assert result.exit_code == 2
    assert "the package 'fastapi' is not installed; serve-model needs it: pip install fastapi uvicorn" in result.stderr
    assert "pip install 'ftapp[serving]' installs all that it needs" in result.stderr


class Process:
    """The process of a language model that writes without an end, and notes when it is left."""

    state = "ready"

    def __init__(self) -> None:
        self.written, self.is_left = 0, False

    def check(self) -> None:
        pass

    async def generate(self, prompt: str, sampling: object) -> AsyncGenerator[str | Generated, None]:
        try:
            while True:
                self.written += 1
                yield prompt
                await asyncio.sleep(0)
        finally:
            self.is_left = True


@pytest.mark.parametrize("streams", [True, False])
async def test_a_client_that_goes_away_frees_the_model(streams: bool) -> None:
    process = Process()
    recipe: Recipe = recipes.load(recipes.find("gpt2-full"))
    loaded = Loaded(task=recipe.task, classes=(), head="softmax", no_base=None)
    batcher: Batcher[Any, PredictedRow] = Batcher(process.generate, 1, 0, 1)  # type: ignore[arg-type]
    served = ServedModel("run", recipe, process, loaded, None, batcher, 1, 1 << 20)  # type: ignore[arg-type]
    application = make_application(served, WebAccess("localhost", (), None))
    body = json.dumps({"prompt": "once", "stream": streams}).encode()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not sent_body.is_set():
            sent_body.set()
            return {"type": "http.request", "body": body}
        while process.written < 5:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    sent_body = asyncio.Event()
    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/generate",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    await asyncio.wait_for(application(scope, receive, send), 60)
    for _ in range(100):
        await asyncio.sleep(0)
    assert process.is_left
    assert (b'data: {"piece": "once"}' in b"".join(each.get("body", b"") for each in sent)) == streams
