"""The models of the predictor's last run: the trained one, and the one before training."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp.common.errors import RunError
from ftapp.common.quick_imports import quick_imports
from ftapp.rpc import server
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import MODEL_DESCRIPTION, RunFolder

if TYPE_CHECKING:
    from ftapp.models.saved_model import TrainedModel
    from ftapp.recipe import Recipe


class RunModels:
    """The models of the last run, each loaded when it is first asked for.

    Attributes:
        lock: Is held while the trained model computes scores.
    """

    def __init__(self) -> None:
        self._trained: server.Last[TrainedModel] = server.Last()
        self._base: server.Last[Any] = server.Last()
        self.lock = threading.Lock()

    def load(self, request: Request, run: str) -> TrainedModel:
        """Load the trained model of the run in a folder.

        Raises:
            RunError: The run has saved no model, or its files are damaged.
        """
        files = RunFolder(Path(run))
        folder = files.model_folder
        if not files.has_model():
            raise RunError(f"there is no model in {folder}; a model can be tried once its run has saved it")
        import_keras(request)
        from ftapp.models import backend, generation, saved_model

        def make() -> TrainedModel:
            request.report_progress("loading the trained model")
            trained = saved_model.load(folder)
            trained.model.compile(jit_compile=backend.jit_compile())
            if trained.causal_lm is not None:
                generation.quicken(trained.causal_lm)
            return trained

        return self._trained.get((run, (folder / MODEL_DESCRIPTION).stat().st_mtime_ns), make)

    def load_base(self, request: Request, run: str, recipe: Recipe) -> Any:
        """Load the language model of a run's recipe as it was before training.

        Raises:
            RecipeError: The preset does not fit the recipe.
            RunError: The preset could not be loaded.
        """
        import_keras(request)
        from ftapp.models import build, generation

        def make() -> Any:
            request.report_progress("loading the model before training")
            base = build.load_pretrained(recipe, request.report_progress).causal_lm
            generation.quicken(base)
            return base

        return self._base.get(run, make)


def import_keras(request: Request) -> None:
    """Import Keras and say so, if it is not there yet."""
    if "keras_hub" not in sys.modules:
        request.report_progress("loading Keras")
    from ftapp.models import backend

    with quick_imports():  # it imports Keras
        backend.device()
