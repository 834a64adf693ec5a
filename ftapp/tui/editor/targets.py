"""The places where a run can go, for those who have more than this machine."""

from __future__ import annotations

import shutil
from contextlib import suppress

from ftapp.common.errors import RecipeError, RunError
from ftapp.common.person import Person
from ftapp.recipe.user_settings import Launch, load_settings
from ftapp.tui.editor.offers import Offer


def list_targets() -> list[Offer]:
    """List the targets to choose from; none where this machine is the only one, and for people of a class."""
    settings = Launch()
    with suppress(RecipeError, RunError):  # the start of a run tells it
        settings = load_settings().launch
    slurm = [Offer("slurm", "the usual partition of this cluster", "slurm")] if has_slurm() else []
    if Person.read().name or not (settings.targets or settings.on or slurm):
        return []
    named = [Offer(name, target, name) for name, target in settings.targets.items()]
    return [*named, Offer("local", "this machine", "local"), *slurm]


def has_slurm() -> bool:
    """Return whether jobs of Slurm can be sent from this machine."""
    return shutil.which("sbatch") is not None


def find_usual_target() -> str:
    """Find where a run goes if nothing is chosen."""
    with suppress(RecipeError, RunError):
        return load_settings().launch.on or "local"
    return "local"
