"""Features on disk: what the frozen half of a model makes of each example, computed once and read ever after.

The features of an example lie under a hash of all that went into them, in the entry of the frozen half that made them.
So splits, epochs, seeds, arms and runs share them. Each example is computed in a batch of the same size, at its own
length, so that its features are the same whoever asked for them first, but for the last digit: on some processors the
place in the batch has a say in how sums are rounded.

What is kept is held against checksums (`ftapp.freezing.feature_files`). What is damaged is computed anew and kept
again; what cannot be kept is computed whenever it is asked for.
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
from ftapp.common.safe_files import reason
from ftapp.data.dataset import AugmentedView, BatchKey, EncodedDataset
from ftapp.data.prefetch import prefetch
from ftapp.freezing import feature_cache, proof
from ftapp.freezing.cut import Boundary, Cut
from ftapp.freezing.feature_files import FORMAT, FeatureColumn, FeatureStore, numpy_dtype
from ftapp.models.keras_internals import graph_nodes
from ftapp.models.layers import name_variables, own_variables, weighted_layers

Told = Callable[[int, int], bool]

# Examples in a batch of the frozen half: enough for two cores, and few are computed in vain to fill the last one.
_AT_ONCE = 8
# Examples that are checked between two reports of progress.
_CHECKED_AT_ONCE = 256
# How far features computed anew may be from those kept, as a share of their largest: rounding in the dtype they are
# kept in, and products that are summed in another order.
_TOLERANCES = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}

_log = logging.getLogger(__name__)
# The frozen half computes for one thread at a time: for the one that prepares, or for one that reads a damaged block.
_computing = threading.Lock()


def columns(cut: Cut | Boundary, dtype: str) -> tuple[FeatureColumn, ...]:
    """The tensors that cross a cut. dtype: what to keep floats in; `auto` for the one they are computed in."""
    made = []
    for name, tensor in cut.features.items():
        by_token = None in tensor.shape[1:]
        kept = dtype if dtype != "auto" and tensor.dtype in _TOLERANCES else tensor.dtype
        made.append(FeatureColumn(name, tuple(tensor.shape[2 if by_token else 1 :]), by_token, kept))
    return tuple(made)


def key_of(cut: Cut, dtype: str) -> str:
    """The name of the entry for a frozen half: a hash of its graph, weights, precision and backend."""
    parts = [
        f"format {FORMAT}",
        keras.__version__,
        keras.backend.backend(),
        keras.config.dtype_policy().name,
        dtype,
        *_graph(cut.frozen),
    ]
    weights = name_variables((path, own_variables(layer)) for path, layer, _ in weighted_layers(cut.frozen))
    parts += [f"{name} {digest.hex()}" for name, digest in proof.hashed(weights).items()]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _graph(model: keras.Model) -> Iterator[str]:
    """Each call of the model's graph in words, without names that depend on what else the process has built."""
    numbers: dict[int, str] = {}

    def named(value: Any) -> Any:
        return numbers.get(id(value), value)

    for node in graph_nodes(model):
        layer = node.operation
        config = layer.get_config() if isinstance(layer, keras.Layer) else {}
        arguments = keras.tree.map_structure(named, (node.arguments.args, node.arguments.kwargs))
        yield f"{type(layer).__name__} {[(k, v) for k, v in config.items() if k != 'name']} {arguments}"
        numbers |= {id(tensor): f"#{len(numbers) + index}" for index, tensor in enumerate(node.outputs)}


class CachedFeatures:
    """A dataset whose inputs are features, for the rest of a cut model. Call `prepare` before `inputs`.

    views: how many augmented views of each example are kept; epoch e trains on view e modulo `views`.
    """

    def __init__(self, dataset: EncodedDataset, cut: Cut, store: FeatureStore, views: int) -> None:
        self._dataset, self._cut, self._store, self._views = dataset, cut, store, views
        self._has_told = False

    @property
    def spared(self) -> float:
        """Seconds that it once took to compute what all data of the phase found there."""
        return self._store.spared

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        return self._dataset.lengths

    def __len__(self) -> int:
        return len(self._dataset)

    def inputs(self, indices: NDArray[np.int64], draw: BatchKey | None) -> dict[str, Any]:
        """The features of these examples, with those of the model's inputs that the rest needs too."""
        inputs, absent = self._store.read(self._keys(indices, draw), self._dataset.width(indices))
        if absent:
            self._compute_into(inputs, indices, absent, draw)
        for column in self._store.columns:
            wanted = numpy_dtype(self._cut.frozen.output[column.name].dtype)
            inputs[column.name] = inputs[column.name].astype(wanted, copy=False)
        return inputs | self._passed(indices, draw)

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        return self._dataset.targets(indices)

    def prepare(self, indices: NDArray[np.int64], draw: BatchKey | None, told: Told) -> bool:
        """Check what is kept of these examples' features, and compute what is missing or damaged.

        told: as in `ftapp.training.evaluate.measure`. Returns False when `told` gave up. Where the features cannot be
        kept, `inputs` computes them.
        """
        store, wanted = self._store, self._keys(indices, draw)
        store.refresh()
        if not self._check(wanted, told):
            return False
        if not self._missing(indices, wanted) or store.unwritable:
            store.use(wanted)
            return True
        told(0, len(indices))  # says what is being waited for
        with ExitStack() as stack:
            try:
                stack.enter_context(feature_cache.filled(store.folder))
            except OSError as error:
                self._give_up_keeping(error)
                return True
            return self._complete(indices, draw, told)

    def _complete(self, indices: NDArray[np.int64], draw: BatchKey | None, told: Told) -> bool:
        """Compute what is missing of these examples and append it. The entry's lock is held."""
        store, wanted = self._store, self._keys(indices, draw)
        store.refresh()
        if not self._check(wanted, told):
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
                "damage; what is missing is computed anew",
                store.folder,
                f"{left:,}",
            )
        begun = time.perf_counter()
        for batch, features in self._computed(missing, draw):
            since, begun = begun, time.perf_counter()
            try:
                store.append(self._keys(batch, draw), self._counts(batch), features, (begun - since) / len(batch))
            except OSError as error:
                self._give_up_keeping(error)
                return True
            done += len(batch)
            if not told(done, len(indices)):
                return False
        return True

    def _check(self, keys: Sequence[bytes], told: Told | None = None) -> bool:
        """Compare what is kept with its checksums, once in a phase, and say what differs. False when `told` gave up."""
        unchecked = self._store.unchecked(keys)
        for start in range(0, len(unchecked), _CHECKED_AT_ONCE):
            if start and told and not told(start, len(unchecked)):
                return False
            self._store.check(unchecked[start : start + _CHECKED_AT_ONCE])
        if damaged := self._store.take_damaged():
            _log.warning(
                "kept features of %s examples in %s are damaged (their checksums differ) and are computed anew",
                f"{damaged:,}",
                self._store.folder,
            )
        return True

    def _give_up_keeping(self, error: OSError) -> None:
        self._store.unwritable = reason(error)
        _log.warning(
            "%s cannot be written: %s; features that are not kept there yet are computed in each step "
            "(FTAPP_CACHE names another folder)",
            self._store.folder,
            self._store.unwritable,
        )

    def _compute_into(
        self, inputs: dict[str, NDArray[Any]], indices: NDArray[np.int64], places: Sequence[int], draw: BatchKey | None
    ) -> None:
        """Compute the features of the examples at these places among `indices`, and put them there into `inputs`."""
        if not self._store.unwritable and not self._has_told:
            self._has_told = True
            _log.warning(
                "kept features in %s changed while the run used them; what is damaged is computed anew",
                self._store.folder,
            )
        by_example: dict[int, list[int]] = {}
        for place in places:
            by_example.setdefault(int(indices[place]), []).append(place)
        for batch, features in self._computed(list(by_example), draw):
            for number, (example, count) in enumerate(zip(batch, self._counts(batch), strict=True)):
                for column in self._store.columns:
                    values = features[column.name][number]
                    for place in by_example[int(example)]:
                        row = inputs[column.name][place : place + 1]
                        if column.by_token:
                            row[0, :count] = values[:count]
                        else:
                            row[0] = values

    def missing(self, indices: NDArray[np.int64], draw: BatchKey | None) -> int:
        """How many of these examples' features are still to be computed."""
        return len(self._missing(indices, self._keys(indices, draw)))

    def seconds(self, indices: NDArray[np.int64], draw: BatchKey | None) -> float:
        """Seconds that the features of one example take, by a probe on some: of at most two batches after a first."""
        sample = [int(index) for index in indices[: 3 * _AT_ONCE]]
        times = [time.perf_counter()]
        sizes = []
        for batch, _ in self._computed(sample, draw):
            times.append(time.perf_counter())
            sizes.append(len(batch))
        if len(sizes) < 2:  # too few to leave out the first, which compiles
            return (times[-1] - times[0]) / len(sample)
        return (times[-1] - times[1]) / sum(sizes[1:])

    def blank(self, indices: NDArray[np.int64]) -> dict[str, Any]:
        """Inputs of the size that `inputs` gives, with zeros for features: for a probe of a step's time."""
        width = self._dataset.width(indices)
        blank: dict[str, Any] = {}
        for column in self._store.columns:
            shape = (len(indices), *((width or 0,) if column.by_token else ()), *column.shape)
            blank[column.name] = np.zeros(shape, numpy_dtype(self._cut.frozen.output[column.name].dtype))
        return blank | self._passed(indices, None)

    def verify(self, indices: NDArray[np.int64], draw: BatchKey | None) -> float:
        """Compute features that are kept once more, and compare.

        Returns the largest difference as a share of the largest feature. Raises RunError when it is more than rounding
        explains.
        """
        worst = 0.0
        for batch, features in self._computed([int(index) for index in indices], draw):
            kept, absent = self._store.read(self._keys(batch, draw), self._dataset.width(batch))
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
                        f"kept features differ from recomputed ones: {column.name} in {self._store.folder} by "
                        f"{difference:.2g} of the largest; rounding explains up to {allowed:.0e}; "
                        "'ftapp cache --clear' removes what is kept"
                    )
        return worst

    def check_all(self) -> int:
        """Compare all that the entry keeps, for other runs too, with its checksums, and return of how many examples."""
        self._store.refresh()
        keys = self._store.keys()
        self._check(keys)
        return len(keys)

    def _passed(self, indices: NDArray[np.int64], draw: BatchKey | None) -> dict[str, Any]:
        """Those of the model's own inputs that the rest needs too."""
        if not self._cut.passed:
            return {}
        given = self._dataset.inputs(indices, self._view(draw))
        named = given if isinstance(given, dict) else {self._cut.frozen.inputs[0].name: given}
        return {name: named[name] for name in self._cut.passed}

    def _missing(self, indices: NDArray[np.int64], keys: Sequence[bytes]) -> list[int]:
        """Which of these examples are not kept yet, one for each key."""
        by_key = {key: int(index) for index, key in zip(indices, keys, strict=True)}
        return [index for key, index in by_key.items() if key not in self._store]

    def _computed(
        self, indices: Sequence[int], draw: BatchKey | None
    ) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]]:
        """(examples, features by column), in batches of one size and of one length."""
        groups: dict[int | None, list[int]] = {}
        for index in indices:
            groups.setdefault(self._dataset.width(np.array([index])), []).append(index)
        batches = [
            np.array(group[start : start + _AT_ONCE])
            for group in groups.values()
            for start in range(0, len(group), _AT_ONCE)
        ]

        def make(batch: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
            return batch, self._dataset.inputs(np.resize(batch, _AT_ONCE), self._view(draw))

        for batch, inputs in prefetch(make, iter(batches)):
            with _computing:
                outputs = self._cut.frozen.predict_on_batch(inputs)
            yield batch, {name: values[: len(batch)] for name, values in outputs.items()}

    def _counts(self, indices: NDArray[np.int64]) -> list[int]:
        if not any(column.by_token for column in self._store.columns):
            return [0] * len(indices)
        if (lengths := self._dataset.lengths) is None:
            return [self._dataset.width(indices) or 0] * len(indices)
        return [int(lengths[index]) for index in indices]

    def _view(self, draw: BatchKey | None) -> AugmentedView | None:
        return AugmentedView(draw.seed, draw.epoch % self._views) if draw is not None and self._views else None

    def _keys(self, indices: NDArray[np.int64], draw: BatchKey | None) -> list[bytes]:
        return self._dataset.digests(indices, self._view(draw))
