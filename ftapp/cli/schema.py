"""`ftapp schema`: the JSON schema of recipe files, for editors."""

from __future__ import annotations

import json


def print_schema() -> None:
    """Print the JSON schema of recipe files, by which editors complete and check TOML.

    It knows keys, types, bounds and descriptions. `ftapp validate` also checks what must hold between keys.
    """
    from ftapp.recipe.file_schema import build_file_schema

    print(json.dumps(build_file_schema(), indent=2))
