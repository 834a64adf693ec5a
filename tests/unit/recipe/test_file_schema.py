"""The JSON schema of recipe files: editors that read it accept each recipe that ships, and mark what is wrong."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ftapp import recipe
from ftapp.recipe.file_schema import build_file_schema

BAD = [
    ("phase.0.batch_size", 0, "less than the minimum"),
    ("phase.0.optimizer", "adamm", "is not one of"),
    ("model.presett", "x", "'presett' was unexpected"),
    ("profile.quick.data.limt", 3, "'limt' was unexpected"),
    ("profile.quick.phase.head.epochs", "three", "not valid under any"),
    ("task", "image-clasification", "is not one of"),
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = build_file_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", recipe.bundled())
def test_recipes_that_ship_are_valid(validator: Draft202012Validator, name: str) -> None:
    found = tomllib.loads(recipe.bundled()[name].read_text("utf-8"))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(found)] == []


@pytest.mark.parametrize(("key", "value", "said"), BAD)
def test_wrong_keys_and_values_are_marked(validator: Draft202012Validator, key: str, value: object, said: str) -> None:
    tables = tomllib.loads(recipe.bundled()["vgg16-two-phase"].read_text("utf-8"))
    place: Any = tables
    *path, last = key.split(".")
    for part in path:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    messages = [error.message for error in validator.iter_errors(tables)]
    assert re.search(said, "\n".join(messages))


def test_every_key_is_described() -> None:
    schema = build_file_schema()
    tables = {"recipe": schema, **schema["$defs"]}
    missing = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, value in table.get("properties", {}).items()
        if "description" not in value and "$ref" not in value and "anyOf" not in value  # tables describe themselves
    ]
    assert missing == []
