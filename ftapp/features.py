"""Features on disk: what the frozen half of a model makes of each example, computed once and read ever after.

The features of an example lie under a hash of all that went into them, in the entry of the frozen half that made them.
So splits, epochs, seeds, arms and runs share them. Each example is computed in a batch of the same size, at its own
length, so that its features are the same whoever asked for them first, but for the last digit: on some processors the
place in the batch has a say in how sums are rounded.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ftapp import cache, proof
from ftapp.batches import Draw, Encoded, View, prefetched
from ftapp.errors import RunError
from ftapp.prefix import Boundary, Cut

Told = Callable[[int, int], bool]

# Examples in a batch of the frozen half: enough for two cores, and few are computed in vain to fill the last one.
_AT_ONCE = 8
_RECORD = np.dtype([("key", "V16"), ("start", "<i8"), ("count", "<i8"), ("seconds", "<f8")])
# How far features computed anew may be from those kept, as a share of their largest: rounding in the dtype they are
# kept in, and products that are summed in another order.
_TOLERANCES = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}


def _numpy(dtype: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@dataclass(frozen=True)
class Column:
    """One tensor of the features. shape: of an example, or of a token when `by_token`; dtype: as kept on disk."""

    name: str
    shape: tuple[int, ...]
    by_token: bool
    dtype: str

    @property
    def size(self) -> int:
        """Bytes of an example, or of a token."""
        return math.prod(self.shape) * _numpy(self.dtype).itemsize


def columns(cut: Cut | Boundary, dtype: str) -> tuple[Column, ...]:
    """The tensors that cross a cut. dtype: what to keep floats in; `auto` for the one they are computed in."""
    made = []
    for name, tensor in cut.features.items():
        by_token = None in tensor.shape[1:]
        kept = dtype if dtype != "auto" and tensor.dtype in _TOLERANCES else tensor.dtype
        made.append(Column(name, tuple(tensor.shape[2 if by_token else 1 :]), by_token, kept))
    return tuple(made)


def key_of(cut: Cut, dtype: str) -> str:
    """The name of the entry for a frozen half: a hash of its graph, weights, precision and backend."""
    parts = [
        repr(_RECORD),
        keras.__version__,
        keras.backend.backend(),
        keras.config.dtype_policy().name,
        dtype,
        *_graph(cut.frozen),
    ]
    parts += [f"{path} {digest.hex()}" for path, digest in proof.digests(cut.frozen).items()]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _graph(model: keras.Model) -> Iterator[str]:
    """Each call of the model's graph in words, without names that depend on what else the process has built."""
    numbers: dict[int, str] = {}

    def named(value: Any) -> Any:
        return numbers.get(id(value), value)

    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            layer = node.operation
            config = layer.get_config() if isinstance(layer, keras.Layer) else {}
            arguments = keras.tree.map_structure(named, (node.arguments.args, node.arguments.kwargs))
            yield f"{type(layer).__name__} {[(k, v) for k, v in config.items() if k != 'name']} {arguments}"
            numbers |= {id(tensor): f"#{len(numbers) + index}" for index, tensor in enumerate(node.outputs)}


class Store:
    """The files of an entry: one for each column, and an index of which example lies where.

    An example is in the index only after its features are on the disk, so a process that is killed leaves nothing
    half-written behind; what lies after the last example of the index is written over. spared: seconds that it once
    took to compute what `use` found there.
    """

    def __init__(self, folder: Path, columns: Sequence[Column]) -> None:
        self.folder, self.columns = folder, tuple(columns)
        self._index = folder / "index"
        # By key: number, first token, tokens, seconds that it took to compute.
        self._known: dict[bytes, tuple[int, int, int, float]] = {}
        self._used: set[bytes] = set()
        self._tokens = 0
        self._maps: dict[str, NDArray[Any]] = {}
        self.spared = 0.0
        self.refresh()

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def refresh(self) -> None:
        """Take in what other processes have added."""
        try:
            with self._index.open("rb") as file:
                file.seek(len(self._known) * _RECORD.itemsize)
                data = file.read()
        except FileNotFoundError:
            return
        whole = len(data) // _RECORD.itemsize * _RECORD.itemsize
        for record in np.frombuffer(data[:whole], _RECORD):
            start, count = int(record["start"]), int(record["count"])
            self._known[record["key"].tobytes()] = (len(self._known), start, count, float(record["seconds"]))
            self._tokens = start + count

    def use(self, keys: Sequence[bytes]) -> None:
        """Count what it once took to compute those of these examples that are there, each when first asked for."""
        new = set(keys) - self._used
        self.spared += sum(self._known[key][3] for key in new if key in self._known)
        self._used |= new

    def append(
        self, keys: Sequence[bytes], counts: Sequence[int], values: dict[str, NDArray[Any]], seconds: float
    ) -> None:
        """Add examples that are not there yet. The caller holds the entry's lock (`cache.filled`).

        counts: tokens of each example, 0 where no column is by token; values: of each column, (examples, ...) or
        (examples, at least so many tokens, ...); seconds: what it took to compute each.
        """
        starts = self._tokens + np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        for column in self.columns:
            rows = values[column.name]
            if column.by_token:
                rows = np.concatenate([row[:count] for row, count in zip(rows, counts, strict=True)])
            offset = (int(starts[0]) if column.by_token else len(self._known)) * column.size
            _write(self.folder / column.name, offset, np.ascontiguousarray(rows, _numpy(column.dtype)))
        records = np.zeros(len(keys), _RECORD)
        records["key"], records["start"], records["count"] = [np.void(key) for key in keys], starts, counts
        records["seconds"] = seconds
        _write(self._index, len(self._known) * _RECORD.itemsize, records)
        self.refresh()

    def read(self, keys: Sequence[bytes], width: int | None) -> dict[str, NDArray[Any]]:
        """The features of some examples, by column: (examples, ...) or, by token, (examples, width, ...) with zeros
        behind each example's tokens.
        """
        found = [self._known[key] for key in keys]
        result = {}
        for column in self.columns:
            kept = self._mapped(column)
            if not column.by_token:
                result[column.name] = kept[[number for number, *_ in found]]
                continue
            assert width is not None
            padded = np.zeros((len(found), width, *column.shape), kept.dtype)
            for row, (_, start, count, _) in zip(padded, found, strict=True):
                row[:count] = kept[start : start + count]
            result[column.name] = padded
        return result

    def _mapped(self, column: Column) -> NDArray[Any]:
        """The column's file in memory, as far as the index reaches: pages are read when they are needed."""
        length = self._tokens if column.by_token else len(self._known)
        mapped = self._maps.get(column.name)
        if mapped is None or len(mapped) < length:
            mapped = np.memmap(self.folder / column.name, _numpy(column.dtype), "r", shape=(length, *column.shape))
            self._maps[column.name] = mapped
        return mapped


def _write(path: Path, offset: int, values: NDArray[Any]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        view = values.reshape(-1).view(np.uint8).data
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Features:
    """A dataset whose inputs are features, for the rest of a cut model. Call `prepare` before `inputs`.

    views: how many augmented views of each example are kept; epoch e trains on view e modulo `views`.
    """

    def __init__(self, dataset: Encoded, cut: Cut, store: Store, views: int) -> None:
        self._dataset, self._cut, self._store, self._views = dataset, cut, store, views

    @property
    def spared(self) -> float:
        """Seconds that it once took to compute what all data of the phase found there."""
        return self._store.spared

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        return self._dataset.lengths

    def __len__(self) -> int:
        return len(self._dataset)

    def inputs(self, indices: NDArray[np.int64], draw: Draw | None) -> dict[str, Any]:
        """The features of these examples, with those of the model's inputs that the rest needs too."""
        inputs = self._store.read(self._keys(indices, draw), self._dataset.width(indices))
        for column in self._store.columns:
            wanted = _numpy(self._cut.frozen.output[column.name].dtype)
            inputs[column.name] = inputs[column.name].astype(wanted, copy=False)
        return inputs | self._passed(indices, draw)

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        return self._dataset.targets(indices)

    def prepare(self, indices: NDArray[np.int64], draw: Draw | None, told: Told) -> bool:
        """Compute what is missing of these examples' features. told: as in `ftapp.evaluate.measure`.

        Returns whether all of them are there now; False when `told` gave up. Raises RunError when the disk is full.
        """
        wanted = self._keys(indices, draw)
        if not self._missing(indices, wanted):
            self._store.use(wanted)
            return True
        told(0, len(indices))  # says what is being waited for
        with cache.filled(self._store.folder):
            self._store.refresh()
            self._store.use(wanted)
            missing = self._missing(indices, wanted)
            done = len(indices) - len(missing)
            begun = time.perf_counter()
            for batch, features in self._computed(missing, draw):
                keys = self._keys(batch, draw)
                since, begun = begun, time.perf_counter()
                try:
                    self._store.append(keys, self._counts(batch), features, (begun - since) / len(batch))
                except OSError as error:
                    raise RunError(
                        f"features are kept in {self._store.folder}, which cannot be written: {error.strerror}; "
                        "FTAPP_CACHE names another folder, and frozen.cache = false does without"
                    ) from error
                done += len(batch)
                if not told(done, len(indices)):
                    return False
        return True

    def missing(self, indices: NDArray[np.int64], draw: Draw | None) -> int:
        """How many of these examples' features are still to be computed."""
        return len(self._missing(indices, self._keys(indices, draw)))

    def seconds(self, indices: NDArray[np.int64], draw: Draw | None) -> float:
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
            blank[column.name] = np.zeros(shape, _numpy(self._cut.frozen.output[column.name].dtype))
        return blank | self._passed(indices, None)

    def verify(self, indices: NDArray[np.int64], draw: Draw | None) -> float:
        """Compute features that are kept once more, and compare.

        Returns the largest difference as a share of the largest feature. Raises RunError when it is more than rounding
        explains.
        """
        worst = 0.0
        for batch, features in self._computed([int(index) for index in indices], draw):
            kept = self._store.read(self._keys(batch, draw), self._dataset.width(batch))
            for column in self._store.columns:
                fresh = np.asarray(features[column.name], np.float32)
                old = np.asarray(kept[column.name], np.float32)
                if column.by_token:
                    for row, count in zip(fresh, self._counts(batch), strict=True):
                        row[count:] = 0
                difference = float(np.abs(fresh - old).max(initial=0) / max(float(np.abs(fresh).max(initial=0)), 1e-30))
                worst = max(worst, difference)
                allowed = _TOLERANCES.get(column.dtype, 0.0)
                if not difference <= allowed:
                    raise RunError(
                        f"features that are kept equal those computed anew; {column.name} in {self._store.folder} "
                        f"differs by {difference:.2g} of the largest, more than {allowed:.0e}; "
                        "'ftapp cache --clear' removes what is kept"
                    )
        return worst

    def _passed(self, indices: NDArray[np.int64], draw: Draw | None) -> dict[str, Any]:
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
        self, indices: Sequence[int], draw: Draw | None
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

        for batch, inputs in prefetched(make, iter(batches)):
            outputs = self._cut.frozen.predict_on_batch(inputs)
            yield batch, {name: values[: len(batch)] for name, values in outputs.items()}

    def _counts(self, indices: NDArray[np.int64]) -> list[int]:
        if not any(column.by_token for column in self._store.columns):
            return [0] * len(indices)
        if (lengths := self._dataset.lengths) is None:
            return [self._dataset.width(indices) or 0] * len(indices)
        return [int(lengths[index]) for index in indices]

    def _view(self, draw: Draw | None) -> View | None:
        return View(draw.seed, draw.epoch % self._views) if draw is not None and self._views else None

    def _keys(self, indices: NDArray[np.int64], draw: Draw | None) -> list[bytes]:
        return self._dataset.keys(indices, self._view(draw))
