"""The JSON schema of recipe files, by which editors complete and check TOML."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ftapp.recipe.schema import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def build_file_schema() -> dict[str, Any]:
    """Build the JSON schema of a recipe file: the recipe's keys, with profiles, arms and findings.

    Profiles and arms change keys of the recipe, so none of theirs is required, and they find phases by name. The rules
    that hold between keys are not in the schema: `ftapp validate` checks these too.

    Returns:
        The schema, in draft 2020-12.
    """
    schema = Recipe.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    for name in list(definitions):
        definitions[f"{name}Change"] = _make_change(definitions[name])
    change = _make_change({key: value for key, value in schema.items() if key != "$defs"})
    change["properties"]["phase"] = _allow_names("PhaseChange", "Phase", "phases")
    arm, profile = deepcopy(change), deepcopy(change)
    del arm["properties"]["finding"]
    arm["properties"]["name"] = {"type": "string", "description": 'The name of the arm, such as "A full".'}
    arm["required"] = ["name"]
    profile["properties"]["arm"] = _allow_names("ArmChange", "Arm", "arms")
    definitions |= {"Arm": arm, "ArmChange": _drop_required(arm), "Profile": profile}
    schema["properties"] |= {
        "profile": {
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/Profile"},
            "description": "Changes of the recipe by the name of a profile, which --profile applies.",
        },
        "arm": {
            "type": "array",
            "items": {"$ref": "#/$defs/Arm"},
            "description": "The variants of an experiment, each with a name and the keys that it changes.",
        },
    }
    return {"$schema": DIALECT, **schema, "title": "ftapp recipe"}


def _allow_names(change: str, whole: str, kind: str) -> dict[str, Any]:
    """Make the schema of a change to named tables: changes by their names, or a list in the place of all."""
    return {
        "anyOf": [
            {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{change}"}},
            {"type": "array", "items": {"$ref": f"#/$defs/{whole}"}},
        ],
        "description": f"Changes of {kind} by their names, or a list of {kind} in the place of all.",
    }


def _drop_required(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "required"}


def _make_change(table: Mapping[str, Any]) -> dict[str, Any]:
    """Make the schema of a change to a table: no key is required, and tables inside are changed likewise."""
    changed = deepcopy(_drop_required(table))
    _refer_to_changes(changed.get("properties", {}))
    return changed


def _refer_to_changes(part: Any) -> None:
    """Let the references in a schema point to the schemas of changes. Lists of tables are replaced whole."""
    if isinstance(part, dict):
        if "$ref" in part:
            part["$ref"] += "Change"
        for key, value in part.items():
            if key != "items":
                _refer_to_changes(value)
    elif isinstance(part, list):
        for value in part:
            _refer_to_changes(value)
