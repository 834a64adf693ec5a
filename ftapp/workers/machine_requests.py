"""Requests about this machine: a backend's device and precision, and what recipes lack without a network."""

from __future__ import annotations

from importlib import metadata

from ftapp import recipe as recipes
from ftapp.rpc.machine_messages import Machine
from ftapp.rpc.server import Request


def describe_machine(request: Request) -> Machine:
    """Describe the backend of this process.

    Args:
        request: Receives the progress.
    """
    import keras

    from ftapp.models import backend

    name = keras.backend.backend()
    device = backend.device()
    request.report_progress(f"probing the precision of {name}")
    precision, reason = backend.choose_precision("auto")
    return Machine(version=metadata.version(name), device=device, precision=precision, reason=reason)


def find_missing(request: Request, recipe: str) -> list[str]:
    """Find what a recipe would have to download: its preset, its data, both or neither.

    Args:
        request: Unused.
        recipe: TOML text.
    """
    from ftapp.data.at_hand import is_at_hand
    from ftapp.models import preset_files

    parsed = recipes.parse(recipe)
    preset, source = parsed.model.preset, parsed.data.source
    return [*[preset] * (not preset_files.is_at_hand(preset)), *[source] * (not is_at_hand(source))]
