"""The cached features of a phase: its entry of the cache, held open while the phase goes on."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from ftapp.common.downloads import Progress
from ftapp.common.safe_files import explain_error
from ftapp.data.dataset import EncodedSplits
from ftapp.freezing import feature_cache, feature_store
from ftapp.freezing.cut import Cut
from ftapp.freezing.engine import Engine, LazyEngine, describe_openvino
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore
from ftapp.freezing.feature_store import CachedFeatures
from ftapp.models import backend
from ftapp.recipe import Phase, Recipe
from ftapp.runs.phase_events import QuantizationCheck
from ftapp.training.feature_choice import count_views

if TYPE_CHECKING:
    from ftapp.freezing.quantize import DrawnExamples

Report = Callable[[str, int, int], bool]
"""Is called with an activity in words, how much of it is done, and of how much. Returns False to give up."""


def report_to(progress: Progress) -> Report:
    """Make a report that never gives up.

    Args:
        progress: Receives what is reported.
    """

    def report(activity: str, done: int, total: int) -> bool:
        progress(activity, done, total)
        return True

    return report


@dataclass(frozen=True)
class PhaseFeatures:
    """The features of a phase.

    Attributes:
        data: The features by the name of the split; empty where none can be kept.
        refusal: The reason why none can be kept; empty where they can.
        engine: The engine that computes them.
        engine_reason: Why it is not the engine that the recipe names; empty where it is.
        quantization: The check of int8 features; None where the recipe asks for none.
        exact: The same features in float, where `data` has them in int8. They are computed when they are needed.
    """

    data: dict[str, CachedFeatures] = field(default_factory=dict)
    refusal: str = ""
    engine: str = "keras"
    engine_reason: str = ""
    quantization: QuantizationCheck | None = None
    exact: dict[str, CachedFeatures] = field(default_factory=dict)


def open_features(
    stack: ExitStack,
    recipe: Recipe,
    phase: Phase,
    halves: Cut,
    splits: EncodedSplits,
    size: int,
    report: Report,
) -> PhaseFeatures:
    """Open the features of all splits, which nobody removes until `stack` is closed.

    Args:
        stack: Holds what is opened.
        recipe: The recipe of the run.
        phase: The phase that trains on the features.
        halves: The model, cut above the frozen layers.
        splits: The encoded data.
        size: Bytes that the features of the phase take.
        report: Receives the work that comes before the first features.
    """
    opening = _Opening(stack, recipe, phase, halves, splits, size)
    if recipe.frozen.engine == "keras":
        return opening.open_keras()
    return opening.open_quantized(report) if recipe.frozen.dtype == "int8" else opening.open_openvino(size)


@dataclass(frozen=True)
class _Opening:
    """The features of a phase while they are opened. The attributes are the arguments of `open_features`."""

    stack: ExitStack
    recipe: Recipe
    phase: Phase
    halves: Cut
    splits: EncodedSplits
    size: int

    def open_keras(self) -> PhaseFeatures:
        """Open features that Keras computes."""
        store, refusal = self._open_store(self.size)
        if store is None:
            return PhaseFeatures(refusal=refusal)
        self.halves.frozen.compile(jit_compile=backend.jit_compile())
        return PhaseFeatures(self._read(store, self.halves.frozen))

    def open_openvino(self, size: int) -> PhaseFeatures:
        """Open features that OpenVINO computes; or those of Keras, if OpenVINO cannot convert the layers.

        Args:
            size: Bytes of the features that are used.
        """
        store, refusal = self._open_store(size, *describe_openvino())
        if store is None:
            return PhaseFeatures(refusal=refusal, engine="openvino")
        engine: Engine = LazyEngine(lambda: self._compile(self._graph))
        if not len(store):  # features that are there show that the layers can be converted
            try:
                engine = self._compile(self._graph)
            except Exception as error:  # of whatever kind a library makes
                reason = f"OpenVINO cannot convert these layers: {_first_line(error)}"
                return dataclasses.replace(self.open_keras(), engine_reason=reason)
        return PhaseFeatures(self._read(store, engine), engine="openvino")

    def open_quantized(self, report: Report) -> PhaseFeatures:
        """Open features in int8, once they are found to be like those in float; else open those in float."""
        from ftapp.freezing import quantize

        train, test = self.splits.train, self.splits.test
        samples = quantize.draw_samples(train, self.recipe.seed)
        entry = (*describe_openvino(), *quantize.describe_quantization(train, samples))
        store, refusal = self._open_store(self.size, *entry)
        if store is None:
            return PhaseFeatures(refusal=refusal, engine="openvino")
        examples = len(train) + len(self.splits.validation) + len(test)
        exact = self.open_openvino(self.size * (len(samples.check) + len(test)) // examples)
        if exact.refusal or exact.engine_reason:
            return exact
        check = quantize.read_check(store.folder)
        engine: Engine = LazyEngine(lambda: self._compile(quantize.read_graph(store.folder)))
        if check is None:
            try:
                check, engine = self._quantize(store, samples, exact.data["train"], report)
            except Exception as error:  # of whatever kind a library makes
                reason = f"OpenVINO cannot compute these layers in int8: {_first_line(error)}"
                return dataclasses.replace(self.open_openvino(self.size), engine_reason=reason)
        if not check.accepted:
            return dataclasses.replace(self.open_openvino(self.size), quantization=check)
        return PhaseFeatures(self._read(store, engine), engine="openvino", quantization=check, exact=exact.data)

    def _quantize(
        self, store: FeatureStore, samples: DrawnExamples, exact: CachedFeatures, report: Report
    ) -> tuple[QuantizationCheck, Engine]:
        """Quantize the frozen half, compare its features with those in float, and keep it in the entry."""
        from ftapp.freezing import quantize

        def tell(done: int, total: int) -> bool:
            report("quantizing the frozen layers and checking them", done, total)
            return True  # it takes seconds, and a run that stops here would not know which features it has

        began, train = time.perf_counter(), self.splits.train
        tell(0, len(samples.check))
        graph = self._graph
        with ThreadPoolExecutor(1, "float") as aside:  # quantization alone leaves cores idle
            is_ready = aside.submit(exact.prepare, samples.check, None, tell)
            quantized = quantize.quantize(graph, self.halves, train, samples.calibration)
            is_ready.result()
        engine = self._compile(quantized)
        ours = self._read(store, engine)["train"]
        ours.prepare(samples.check, None, lambda done, total: True)
        check = quantize.check_features(exact.make_features, ours.make_features, train, samples, began)
        with suppress(OSError):  # an entry that cannot be written costs another quantization next time
            quantize.keep(store.folder, quantized, check)
        return check, engine

    @functools.cached_property
    def _graph(self) -> Any:
        """The frozen half as a graph of OpenVINO, in float."""
        from ftapp.freezing.openvino_engine import convert  # here, since few runs need OpenVINO

        return convert(self.halves)

    def _compile(self, graph: Any) -> Engine:
        from ftapp.freezing.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(graph, self.halves, keras.config.dtype_policy().compute_dtype)

    def _read(self, store: FeatureStore, engine: Engine) -> dict[str, CachedFeatures]:
        views = count_views(self.recipe, self.phase, self.splits)
        names = ("train", "validation", "test")
        read = functools.partial(CachedFeatures, cut=self.halves, store=store, views=views, engine=engine)
        return {name: read(getattr(self.splits, name)) for name in names}

    def _open_store(self, size: int, *engine: str) -> tuple[FeatureStore | None, str]:
        """Open the store of an entry; or give None, and the reason why it keeps no features.

        Args:
            size: Bytes of the features that are used.
            engine: As `feature_store.make_key` takes it.
        """
        dtype = self.recipe.frozen.stored_dtype
        columns = feature_store.list_columns(self.halves, dtype)
        # For `ftapp cache` to list: the preset without the hash of where it comes from.
        preset = self.recipe.model.preset.partition("#")[0].rpartition("/")[2] or self.recipe.model.preset
        label = f"{preset}: {self.halves.layers[0]} to {self.halves.layers[-1]}"
        if engine:
            label += f" ({', '.join(engine)})"
        key = feature_store.make_key(self.halves, dtype, engine)
        return _open_store(self.stack, key, label, columns, size)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]


def _open_store(
    stack: ExitStack, key: str, label: str, columns: tuple[FeatureColumn, ...], size: int
) -> tuple[FeatureStore | None, str]:
    """Open the store of an entry until the stack is closed; or give None, and the reason why it keeps no features.

    An entry that can be read but not written is opened too: what it lacks is computed in each step.
    """
    try:
        folder = stack.enter_context(feature_cache.open_entry(key, label))
    except OSError as error:
        return (
            None,
            f"{feature_cache.folder()} cannot be written: {explain_error(error)} (FTAPP_CACHE names another folder)",
        )
    store = FeatureStore(folder, columns)
    stack.callback(store.close)
    if store.unwritable and not len(store):
        return None, f"{folder} cannot be written: {store.unwritable} (FTAPP_CACHE names another folder)"
    if not store.unwritable and (refusal := feature_cache.make_room(size, folder)):
        return None, refusal
    return store, ""
