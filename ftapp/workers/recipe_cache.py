"""The data and the model of the inspector's last recipe, so that toggling layers costs milliseconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ftapp.common.errors import RecipeError, RunError
from ftapp.common.quick_imports import quick_imports
from ftapp.recipe import TASKS, Recipe, sources
from ftapp.rpc import server, structure_cache
from ftapp.rpc.messages import Timing
from ftapp.rpc.server import Request

if TYPE_CHECKING:
    from ftapp.data import DocumentSplits, Splits
    from ftapp.data.dataset import EncodedSplits
    from ftapp.freezing.cut import Boundary
    from ftapp.models.build import Pretrained
    from ftapp.models.flops import Call


class HeldModel:
    """A model in memory, with what costs are computed from. Its flags and weights are used under `lock` alone."""

    def __init__(self, pretrained: Pretrained, model: Any, calls: list[Call] | None) -> None:
        from ftapp.models.layers import describe_layers

        self.pretrained, self.model, self.calls = pretrained, model, calls
        self.layers = describe_layers(model, pretrained.backbone)
        self.lock = threading.Lock()
        self.timed: dict[Hashable, Timing] = {}

    def list_calls_below(self, boundary: Boundary) -> list[Call] | None:
        """List the calls of the frozen half; None where shapes alone do not say."""
        from ftapp.training import cost_estimate

        if self.calls is None:
            return None
        return cost_estimate.list_calls_below(self.model, self.calls, boundary.features.values())


class RecipeCache:
    """The data of the last recipe and its model, each read or built when it is first asked for."""

    def __init__(self) -> None:
        self._data: server.Last[Splits | DocumentSplits] = server.Last()
        self._preprocessor: server.Last[Any] = server.Last()
        self._encoded: server.Last[EncodedSplits] = server.Last()
        self._model: server.Last[HeldModel] = server.Last()

    def read(self, recipe: Recipe, request: Request) -> Splits | DocumentSplits:
        """Read and split the recipe's data."""
        from ftapp import data

        request.report_progress("reading the data")
        return self._data.get(make_data_key(recipe), lambda: data.read(recipe, request.report_progress))

    def count_classes(self, recipe: Recipe, request: Request) -> int | None:
        """Count the classes that the head has outputs for; None for other tasks, and where only a hub knows them."""
        if not TASKS[recipe.task].has_classes:
            return None
        if names := recipe.data.label_columns or recipe.data.classes:
            return len(names)
        known = self._data.peek(make_data_key(recipe))
        if known is None and sources.is_on_hub(recipe.data.source):
            return None
        try:
            return len(getattr(known or self.read(recipe, request), "classes", ()))
        except (RecipeError, RunError):
            return None

    def load_preprocessor(self, recipe: Recipe, request: Request) -> Any:
        """Return the preprocessor of the recipe's preset."""
        with quick_imports():
            from ftapp.models import build

        key = repr((recipe.task, recipe.model.preset, recipe.model.image_size, recipe.model.sequence_length))
        return self._preprocessor.get(key, lambda: build.load_preprocessor(recipe, request.report_progress))

    def load_model(self, recipe: Recipe, request: Request, classes: int | None) -> HeldModel:
        """Return the recipe's model with a head for so many classes, for two where that is not known."""
        with quick_imports():
            import keras

            from ftapp.models import build
            from ftapp.training import cost_estimate

        def make() -> HeldModel:
            request.report_progress("loading the model")
            pretrained = build.load_pretrained(recipe, request.report_progress)
            keras.utils.set_random_seed(recipe.seed)
            model = build.build(recipe, pretrained, classes or 2)
            return HeldModel(pretrained, model, cost_estimate.list_calls(recipe, model))

        key = repr((recipe.task, recipe.model, recipe.precision, recipe.seed, classes))
        return self._model.get(key, make)

    def encode(self, recipe: Recipe, request: Request, preprocessor: Any) -> EncodedSplits:
        """Encode the recipe's data."""
        from ftapp.data.encoded_splits import encode_splits

        read = self.read(recipe, request)
        key = repr((make_data_key(recipe), recipe.model, recipe.augmentation, recipe.evaluate.split))
        return self._encoded.get(key, lambda: encode_splits(recipe, read, preprocessor, request.report_progress))


def load_keras(recipe: Recipe, request: Request) -> str:
    """Load Keras if need be, and set the precision, which each thread has for itself.

    Args:
        recipe: The recipe.
        request: The request, which reports the progress.

    Returns:
        The precision.
    """
    from ftapp.models import backend

    if "keras_hub" not in sys.modules:
        request.report_progress("loading Keras")
    backend.device()
    precision, _ = backend.choose_precision(recipe.precision)
    return precision


def make_data_key(recipe: Recipe) -> str:
    """Make a key of the state of a recipe's data, as they are split."""
    return repr((structure_cache.identify_data(recipe), recipe.seed))
