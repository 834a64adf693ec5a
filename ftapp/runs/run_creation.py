"""Making the folders of new runs."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp.common.durable import replace_file
from ftapp.common.person import Person
from ftapp.runs.machine import find_processor, list_packages
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.run_names import make_name

if TYPE_CHECKING:
    from ftapp.recipe import Recipe


def create(recipe: Recipe, name: str, profile: str | None, folder: Path, **facts: Any) -> RunFolder:
    """Make a new run's folder with its recipe and environment.

    facts: what else to write down in `environment.json`.
    """
    run = RunFolder(make_new_folder(folder, name, profile))
    replace_file(run.recipe_file, recipe.to_toml().encode())
    # A file that holds something has room for commands in its last block, also when the disk is full.
    run.control_file.write_bytes(b"\n")
    environment = {
        "recipe": name,
        "profile": profile,
        "owner": Person.read().name,
        **facts,
        "created": time.time(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": find_processor(),
        "cores": os.cpu_count(),
        "packages": list_packages(),
    }
    replace_file(run.environment_file, json.dumps(environment, indent=2).encode() + b"\n")
    return run


def make_new_folder(place: Path, name: str, profile: str | None) -> Path:
    """Make a folder in `place`, itself made if need be. Folders are named by local time, so that they sort."""
    place.mkdir(parents=True, exist_ok=True)
    while True:  # until the name is nobody else's
        folder = (place / make_name(f"{name}-{profile}" if profile else name)).absolute()
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
