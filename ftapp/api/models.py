"""Trained models for scripts and notebooks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp import recipe as recipes
from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.common.errors import RunError
from ftapp.common.safe_files import is_file
from ftapp.runs.run_folder import MODEL_DESCRIPTION

if TYPE_CHECKING:
    from ftapp.models.saved_model import TrainedModel


def load_model(run: Run | str | Path, *, runs_dir: str | Path | None = None) -> TrainedModel:
    """Load the trained model of a run into this process.

    Keras binds its backend when it is first imported. If this process has not imported Keras and sets no
    `KERAS_BACKEND`, the model is loaded on the backend that trained it.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`; or the `model` folder alone.
        runs_dir: The folder of all runs.

    Returns:
        The model. `predict` takes texts, image files or RGB arrays; a language model has `generate`.

    Raises:
        RecipeError: There is no such run.
        RunError: It has no model yet, or a file of the model is damaged.
    """
    folder = None if isinstance(run, Run) else Path(run).expanduser()
    if folder is None or not is_file(folder / MODEL_DESCRIPTION):
        found = get_run_folder(run, runs_dir)
        if not found.has_model():
            name = found.folder.name
            raise RunError(f"{name} has no model (status: {found.status()}); a run saves its model when it ends")
        os.environ.setdefault("KERAS_BACKEND", recipes.load(found.recipe_file).backend)
        folder = found.model_folder
    from ftapp.models.saved_model import load

    return load(folder)
