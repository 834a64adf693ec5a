"""Cached features: the outputs of a model's frozen half for each example, computed once and read from disk after that.

The features of an example lie under a hash of all that decides them, in the entry of the frozen half that computed
them, so splits, epochs, seeds, arms and runs share them. Each example is computed in a batch of the same size and at
its own length. Its features are therefore the same whichever batch asks for them first, but for the last digit: on some
processors the place in the batch changes how sums are rounded.

Cached features are compared with checksums (`ftapp.freezing.feature_files`). Damaged ones are computed anew and written
again; features that cannot be written are computed at each use.

`model.features` of a recipe is something else: the layer of the backbone whose output feeds the head.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import RunError
from ftapp.common.safe_files import explain_error
from ftapp.data.dataset import AugmentedView, BatchKey, EncodedDataset, Lengths, Targets
from ftapp.data.prefetch import prefetch
from ftapp.freezing import feature_cache, proof
from ftapp.freezing.cut import Boundary, Cut
from ftapp.freezing.engine import Engine
from ftapp.freezing.feature_files import FORMAT, FeatureColumn, FeatureStore, numpy_dtype
from ftapp.models.keras_internals import graph_nodes
from ftapp.models.layers import name_variables, own_variables, read_settings, weighted_layers

Report = Callable[[int, int], bool]

# Examples in a batch of the frozen half: enough for two cores, with little waste to fill the last batch.
_AT_ONCE = 8
# Examples that are checked between two reports of progress.
_CHECKED_AT_ONCE = 256
# The largest difference of recomputed from cached features, as a share of the largest feature: rounding in the dtype on
# disk, and products that are summed in another order.
_TOLERANCES = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}

_log = logging.getLogger(__name__)
# The frozen half computes for one thread at a time: the one that prepares, or one that reads a damaged block.
_computing = threading.Lock()


def list_columns(cut: Cut | Boundary, dtype: str) -> tuple[FeatureColumn, ...]:
    """List the tensors that cross a cut.

    Args:
        cut: The cut, or the place of one.
        dtype: The type of floats on disk; `auto` for the type that they are computed in.
    """
    columns = []
    for name, tensor in cut.features.items():
        by_token = None in tensor.shape[1:]
        kept = dtype if dtype != "auto" and tensor.dtype in _TOLERANCES else tensor.dtype
        columns.append(FeatureColumn(name, tuple(tensor.shape[2 if by_token else 1 :]), by_token, kept))
    return tuple(columns)


def make_key(cut: Cut, dtype: str, engine: Sequence[str] = ()) -> str:
    """Make the name of a frozen half's entry: a hash of its graph, weights, precision, backend and engine.

    Args:
        cut: The cut model.
        dtype: The type of floats on disk.
        engine: All that decides the features of another engine than Keras; empty for Keras.
    """
    parts = [
        f"format {FORMAT}",
        keras.__version__,
        keras.backend.backend(),
        keras.config.dtype_policy().name,
        dtype,
        *engine,
        *_graph(cut.frozen),
    ]
    weights = name_variables((path, own_variables(layer)) for path, layer, _ in weighted_layers(cut.frozen))
    parts += [f"{name} {digest.hex()}" for name, digest in proof.hash_variables(weights).items()]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _graph(model: keras.Model) -> Iterator[str]:
    """Describe each call of the model's graph, without names that depend on other models of the process."""
    numbers: dict[int, str] = {}

    def replace_tensor(value: Any) -> Any:
        return numbers.get(id(value), value)

    for node in graph_nodes(model):
        layer = node.operation
        config = read_settings(layer) if isinstance(layer, keras.Layer) else {}
        arguments = keras.tree.map_structure(replace_tensor, (node.arguments.args, node.arguments.kwargs))
        yield f"{type(layer).__name__} {[(k, v) for k, v in config.items() if k != 'name']} {arguments}"
        numbers |= {id(tensor): f"#{len(numbers) + index}" for index, tensor in enumerate(node.outputs)}


class CachedFeatures:
    """A dataset whose inputs are cached features, for the rest of a cut model. Call `prepare` before `make_inputs`.

    Args:
        dataset: The examples.
        cut: The cut model.
        store: The files of the frozen half's entry.
        views: The number of augmented views of each example; epoch e trains on view e modulo `views`.
        engine: Computes the features; by default Keras, with which the frozen half is compiled.
    """

    def __init__(
        self, dataset: EncodedDataset, cut: Cut, store: FeatureStore, views: int, engine: Engine | None = None
    ) -> None:
        self._dataset, self._cut, self._store, self._views = dataset, cut, store, views
        self._engine: Engine = engine or cut.frozen
        self._has_warned = False

    @property
    def seconds_saved(self) -> float:
        """The time that it once took to compute the features that the phase's data found, in seconds."""
        return self._store.seconds_saved

    @property
    def lengths(self) -> Lengths | None:
        """The number of tokens of each example; None where all examples have the same size."""
        return self._dataset.lengths

    def __len__(self) -> int:
        return len(self._dataset)

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | None) -> dict[str, Any]:
        """Return the features of these examples, with the model's own inputs that the rest needs too."""
        return self.make_features(indices, key) | self._model_inputs(indices, key)

    def make_features(self, indices: NDArray[np.int64], key: BatchKey | None) -> dict[str, Any]:
        """Return the features of these examples: arrays (batch, ...) or (batch, tokens, ...) by their names."""
        features, absent = self._store.read(self._keys(indices, key), self._dataset.compute_width(indices))
        if absent:
            self._compute_into(features, indices, absent, key)
        for column in self._store.columns:
            wanted = numpy_dtype(self._cut.frozen.output[column.name].dtype)
            features[column.name] = features[column.name].astype(wanted, copy=False)
        return features

    def get_targets(self, indices: NDArray[np.int64]) -> Targets:
        """Return the targets of these examples, as the dataset does."""
        return self._dataset.get_targets(indices)

    def prepare(self, indices: NDArray[np.int64], key: BatchKey | None, report: Report) -> bool:
        """Check the cached features of these examples, and compute missing and damaged ones.

        Where features cannot be written, `make_inputs` computes them.

        Args:
            indices: The examples.
            key: The step whose augmentation they get; None for none.
            report: Called with the examples done and in all; it returns False to give up.

        Returns:
            False when `report` gave up.
        """
        store, wanted = self._store, self._keys(indices, key)
        store.refresh()
        if not self._check(wanted, report):
            return False
        if not self._missing(indices, wanted) or store.unwritable:
            store.use(wanted)
            return True
        report(0, len(indices))  # says why the run waits
        with ExitStack() as stack:
            try:
                stack.enter_context(feature_cache.lock_for_writing(store.folder))
            except OSError as error:
                self._give_up_keeping(error)
                return True
            return self._complete(indices, key, report)

    def _complete(self, indices: NDArray[np.int64], key: BatchKey | None, report: Report) -> bool:
        """Compute the missing features of these examples and append them. The caller holds the entry's lock."""
        store, wanted = self._store, self._keys(indices, key)
        store.refresh()
        if not self._check(wanted, report):
            return False
        store.use(wanted)
        missing = self._missing(indices, wanted)
        done = len(indices) - len(missing)
        try:
            left = store.trim()
        except OSError as error:
            self._give_up_keeping(error)
            return True
        if left:
            _log.warning(
                "%s held %s bytes of features that its index does not list, from a process that was stopped or from "
                "damage; missing features are computed anew",
                store.folder,
                f"{left:,}",
            )
        begun = time.perf_counter()
        for batch, features in self._compute(missing, key):
            since, begun = begun, time.perf_counter()
            try:
                store.append(self._keys(batch, key), self._counts(batch), features, (begun - since) / len(batch))
            except OSError as error:
                self._give_up_keeping(error)
                return True
            done += len(batch)
            if not report(done, len(indices)):
                return False
        return True

    def _check(self, keys: Sequence[bytes], report: Report | None = None) -> bool:
        """Compare cached features with their checksums, once in a phase, and warn of damage; False to give up."""
        unchecked = self._store.unchecked(keys)
        for start in range(0, len(unchecked), _CHECKED_AT_ONCE):
            if start and report and not report(start, len(unchecked)):
                return False
            self._store.check(unchecked[start : start + _CHECKED_AT_ONCE])
        if damaged := self._store.take_damaged():
            _log.warning(
                "cached features of %s examples in %s are damaged (their checksums differ) and are computed anew",
                f"{damaged:,}",
                self._store.folder,
            )
        return True

    def _give_up_keeping(self, error: OSError) -> None:
        self._store.unwritable = explain_error(error)
        _log.warning(
            "%s cannot be written: %s; features that are not cached yet are computed in each step "
            "(FTAPP_CACHE names another folder)",
            self._store.folder,
            self._store.unwritable,
        )

    def _compute_into(
        self, inputs: dict[str, NDArray[Any]], indices: NDArray[np.int64], places: Sequence[int], key: BatchKey | None
    ) -> None:
        """Compute the features of the examples at these places of `indices`, and write them there into `inputs`."""
        if not self._store.unwritable and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "cached features in %s changed while the run used them; damaged ones are computed anew",
                self._store.folder,
            )
        by_example: dict[int, list[int]] = {}
        for place in places:
            by_example.setdefault(int(indices[place]), []).append(place)
        for batch, features in self._compute(list(by_example), key):
            for number, (example, count) in enumerate(zip(batch, self._counts(batch), strict=True)):
                for column in self._store.columns:
                    values = features[column.name][number]
                    for place in by_example[int(example)]:
                        row = inputs[column.name][place : place + 1]
                        if column.by_token:
                            row[0, :count] = values[:count]
                        else:
                            row[0] = values

    def count_missing(self, indices: NDArray[np.int64], key: BatchKey | None) -> int:
        """Return how many of these examples have no cached features yet."""
        return len(self._missing(indices, self._keys(indices, key)))

    def time_example(self, indices: NDArray[np.int64], key: BatchKey | None) -> float:
        """Measure the seconds that the features of one example take, on at most two batches after a first one."""
        sample = [int(index) for index in indices[: 3 * _AT_ONCE]]
        times = [time.perf_counter()]
        sizes = []
        for batch, _ in self._compute(sample, key):
            times.append(time.perf_counter())
            sizes.append(len(batch))
        if len(sizes) < 2:  # too few to leave out the first, which compiles
            return (times[-1] - times[0]) / len(sample)
        return (times[-1] - times[1]) / sum(sizes[1:])

    def zeros(self, indices: NDArray[np.int64]) -> dict[str, Any]:
        """Return inputs of the size that `make_inputs` gives, with zeros for features, to time a step."""
        width = self._dataset.compute_width(indices)
        zeros: dict[str, Any] = {}
        for column in self._store.columns:
            shape = (len(indices), *((width or 0,) if column.by_token else ()), *column.shape)
            zeros[column.name] = np.zeros(shape, numpy_dtype(self._cut.frozen.output[column.name].dtype))
        return zeros | self._model_inputs(indices, None)

    def verify(self, indices: NDArray[np.int64], key: BatchKey | None) -> float:
        """Compute cached features once more, and compare.

        Returns:
            The largest difference, as a share of the largest feature.

        Raises:
            RunError: The difference is larger than rounding explains.
        """
        worst = 0.0
        for batch, features in self._compute([int(index) for index in indices], key):
            kept, absent = self._store.read(self._keys(batch, key), self._dataset.compute_width(batch))
            there = np.setdiff1d(np.arange(len(batch)), absent)
            for column in self._store.columns:
                fresh = np.asarray(features[column.name], np.float32)[there]
                old = np.asarray(kept[column.name], np.float32)[there]
                if column.by_token:
                    for row, count in zip(fresh, np.array(self._counts(batch))[there], strict=True):
                        row[count:] = 0
                difference = float(np.abs(fresh - old).max(initial=0) / max(float(np.abs(fresh).max(initial=0)), 1e-30))
                worst = max(worst, difference)
                allowed = _TOLERANCES.get(column.dtype, 0.0)
                if not difference <= allowed:
                    raise RunError(
                        f"cached features differ from recomputed ones: {column.name} in {self._store.folder} by "
                        f"{difference:.2g} of the largest; rounding explains up to {allowed:.0e}; "
                        "'ftapp cache --clear' removes all cached features"
                    )
        return worst

    def check_all(self) -> int:
        """Compare all examples of the entry, other runs' too, with their checksums, and return their number."""
        self._store.refresh()
        keys = self._store.keys()
        self._check(keys)
        return len(keys)

    def _model_inputs(self, indices: NDArray[np.int64], key: BatchKey | None) -> dict[str, Any]:
        """Return the model's own inputs that the rest needs too."""
        if not self._cut.passed:
            return {}
        given = self._dataset.make_inputs(indices, self._view(key))
        named = given if isinstance(given, dict) else {self._cut.frozen.inputs[0].name: given}
        return {name: named[name] for name in self._cut.passed}

    def _missing(self, indices: NDArray[np.int64], keys: Sequence[bytes]) -> list[int]:
        """Return the examples without cached features, one for each key."""
        by_key = {key: int(index) for index, key in zip(indices, keys, strict=True)}
        return [index for key, index in by_key.items() if key not in self._store]

    def _compute(
        self, indices: Sequence[int], key: BatchKey | None
    ) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]]:
        """Yield examples with their features by column, in batches of one size and of one length."""
        groups: dict[int | None, list[int]] = {}
        for index in indices:
            groups.setdefault(self._dataset.compute_width(np.array([index])), []).append(index)
        batches = [
            np.array(group[start : start + _AT_ONCE])
            for group in groups.values()
            for start in range(0, len(group), _AT_ONCE)
        ]

        def make(batch: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
            return batch, self._dataset.make_inputs(np.resize(batch, _AT_ONCE), self._view(key))

        for batch, inputs in prefetch(make, iter(batches)):
            with _computing:
                outputs = self._engine.predict_on_batch(inputs)
            yield batch, {name: values[: len(batch)] for name, values in outputs.items()}

    def _counts(self, indices: NDArray[np.int64]) -> list[int]:
        if not any(column.by_token for column in self._store.columns):
            return [0] * len(indices)
        if (lengths := self._dataset.lengths) is None:
            return [self._dataset.compute_width(indices) or 0] * len(indices)
        return [int(length) for length in lengths[indices]]

    def _view(self, key: BatchKey | None) -> AugmentedView | None:
        return AugmentedView(key.seed, key.epoch % self._views) if key is not None and self._views else None

    def _keys(self, indices: NDArray[np.int64], key: BatchKey | None) -> list[bytes]:
        return self._dataset.hash_examples(indices, self._view(key))
