"""The layers of a run's model, which its process writes when it has built the model."""

from __future__ import annotations

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.safe_files import UNREADABLE, read_bytes
from ftapp.recipe.structure import Structure
from ftapp.runs.run_folder import RunFolder


def read_structure(run: RunFolder) -> Structure | None:
    """Read the layers of a run's model; None where they are not written yet, or are damaged."""
    try:
        return msgspec.json.decode(read_bytes(run.structure_file), type=Structure)
    except (OSError, *UNREADABLE):
        return None


def write_structure(run: RunFolder, structure: Structure) -> None:
    """Write the layers of a run's model.

    Raises:
        OSError: The folder cannot be written.
    """
    replace_file(run.structure_file, msgspec.json.encode(structure))
