"""int8 arithmetic for the frozen half: quantized after the training of its preset, and checked before it is used.

NNCF measures the range of each activation on a sample of the training split, and OpenVINO then multiplies 8-bit
integers. On a second sample the features are compared with those in float. They have to point the same way, and a
linear classifier that was fitted on float features has to give the same answers on them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp.common.durable import replace_file
from ftapp.data.dataset import EncodedDataset, Targets
from ftapp.data.strata import find_strata
from ftapp.freezing.cut import Cut
from ftapp.runs.phase_events import QuantizationCheck

# Examples whose activations give the ranges, each at the cost of a forward pass in float32. VGG16's features change by
# 1.7% with 8 images and by 1.6% with 24, those of MiniLM by 11% with 8 texts and by 7% with 24 or 48.
_IMAGES, _TEXTS = 8, 24
# Examples on which the quantized features are compared.
_CHECKED = 32
_BATCH = 8
# The bounds of the check. A cosine of 0.99 is an error of 14% of the features' norm.
LEAST_COSINE, MOST_ERROR, LEAST_AGREEMENT = 0.99, 0.15, 0.95

# The linear classifier of the check: how many times it is fitted, on all but one part of the examples; how strongly its
# weights are held small; how many classes next tokens have; and how many tokens it sees.
_FOLDS, _RIDGE, _TOKEN_CLASSES, _TOKENS = 4, 1.0, 16, 2048

_GRAPH, _CHECK = "int8.xml", "int8.json"

Floats = NDArray[np.float64]
MakeFeatures = Callable[[NDArray[np.int64], None], Mapping[str, NDArray[Any]]]
"""Gives features of examples, without augmentation, by their names."""


@dataclass(frozen=True)
class DrawnExamples:
    """Examples of the training split, without augmentation, int64 (examples,).

    Attributes:
        calibration: Those that the ranges are measured on.
        check: Those that the quantized features are compared on.
    """

    calibration: NDArray[np.int64]
    check: NDArray[np.int64]


class _Kept(msgspec.Struct, frozen=True):
    """What an entry of the feature cache says of its quantized graph."""

    check: QuantizationCheck
    digest: str


def draw_samples(dataset: EncodedDataset, seed: int) -> DrawnExamples:
    """Draw two samples that have no example in common.

    Args:
        dataset: The training split.
        seed: The seed of the run.
    """
    order = np.random.default_rng([seed, len(dataset)]).permutation(len(dataset))
    wanted = _IMAGES if dataset.compute_width(order[:1]) is None else _TEXTS
    first = min(wanted, max(1, len(dataset) // 2))
    return DrawnExamples(order[:first], order[first : first + _CHECKED])


def describe_quantization(dataset: EncodedDataset, samples: DrawnExamples) -> list[str]:
    """Describe all that decides a quantized graph, beside the float one, for the key of cached features."""
    keys = b"".join(dataset.hash_examples(samples.calibration, None))
    return ["int8", f"nncf {metadata.version('nncf')}", hashlib.blake2b(keys, digest_size=16).hexdigest()]


def quantize(graph: Any, cut: Cut, dataset: EncodedDataset, indices: NDArray[np.int64]) -> Any:
    """Quantize a frozen half. The same sample gives the same graph.

    Args:
        graph: The frozen half, as `ftapp.freezing.openvino_engine.convert` gives it; it is not changed.
        cut: The cut model.
        dataset: The training split.
        indices: The examples of the sample.

    Raises:
        Exception: NNCF cannot quantize these layers; the exception is of its making.
    """
    from ftapp.freezing.openvino_engine import feed
    from ftapp.models.openvino_graph import has_attention, quantize_graph

    batches = [feed(graph, list_inputs(cut, dataset, part)) for part in split_sample(dataset, indices)]
    return quantize_graph(graph, batches, attention=has_attention(cut.frozen))


def time_example(cut: Cut, dataset: EncodedDataset, indices: NDArray[np.int64]) -> tuple[float, float]:
    """Time int8 features, from ranges that one example alone has given.

    Args:
        cut: The cut model.
        dataset: The examples.
        indices: Some of them; those of one batch are enough.

    Returns:
        (Seconds of an example, seconds of conversion and quantization).
    """
    from ftapp.freezing.openvino_engine import OpenVinoEngine, convert

    began = time.perf_counter()
    engine = OpenVinoEngine(quantize(convert(cut), cut, dataset, indices[:1]), cut, "float32")
    batch = indices[:_BATCH]
    inputs = dataset.make_inputs(batch, None)
    engine.predict_on_batch(inputs)
    preparing = time.perf_counter() - began
    times = []
    for _ in range(3):
        start = time.perf_counter()
        engine.predict_on_batch(inputs)
        times.append(time.perf_counter() - start)
    return min(times) / len(batch), preparing


def split_sample(dataset: EncodedDataset, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split a sample into batches, texts of like length together."""
    lengths = dataset.lengths
    ordered = indices if lengths is None else indices[np.argsort(lengths[indices], kind="stable")]
    return [ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH)]


def list_inputs(cut: Cut, dataset: EncodedDataset, indices: NDArray[np.int64]) -> list[Any]:
    """List what the frozen half takes for some examples, in the order of its inputs."""
    given = dataset.make_inputs(indices, None)
    return [given[tensor.name] for tensor in cut.frozen.inputs] if isinstance(given, dict) else [given]


def check_features(
    exact: MakeFeatures, quantized: MakeFeatures, dataset: EncodedDataset, samples: DrawnExamples, began: float
) -> QuantizationCheck:
    """Compare float and int8 features on the second sample.

    Args:
        exact: Gives float features of examples.
        quantized: Gives int8 features of examples.
        dataset: The training split.
        samples: The samples.
        began: When the quantization began, by `time.perf_counter`.
    """
    pairs: dict[str, list[tuple[Floats, Floats]]] = {}
    vectors: list[tuple[Floats, Floats]] = []
    targets: list[Targets] = []
    for indices in split_sample(dataset, samples.check):
        theirs, ours = exact(indices, None), quantized(indices, None)
        wanted = dataset.get_targets(indices)
        by_token = wanted.ndim > 1 and wanted.dtype != bool  # the classes of an example are one answer
        names = [name for name, values in theirs.items() if values.dtype.kind not in "biu"]
        counts = [None] * len(indices) if dataset.lengths is None else dataset.lengths[indices].tolist()
        for row, count in enumerate(counts):
            both = [(_take(theirs[name][row], count), _take(ours[name][row], count)) for name in names]
            for name, pair in zip(names, both, strict=True):
                pairs.setdefault(name, []).append(pair)
            vectors.append((_pool([one for one, _ in both], by_token), _pool([other for _, other in both], by_token)))
            targets.append(wanted[row, : len(vectors[-1][0])] if by_token else wanted[row : row + 1])
    cosine = {name: float(np.mean([_cosine(*pair) for pair in found])) for name, found in pairs.items()}
    error = {name: _error(found) for name, found in pairs.items()}
    agreement = compare_answers(
        np.concatenate([one for one, _ in vectors]),
        np.concatenate([other for _, other in vectors]),
        find_strata(np.concatenate(targets)),
    )
    return QuantizationCheck(
        calibrated=len(samples.calibration),
        checked=len(samples.check),
        cosine=cosine,
        error=error,
        agreement=agreement,
        accepted=bool(
            min(cosine.values()) >= LEAST_COSINE and max(error.values()) <= MOST_ERROR and agreement >= LEAST_AGREEMENT
        ),
        seconds=time.perf_counter() - began,
    )


def _take(values: Any, count: int | None) -> Floats:
    """The features of an example, without padding."""
    return np.asarray(values, np.float64)[: count if np.ndim(values) > 1 else None]


def _pool(columns: Sequence[Floats], by_token: bool) -> Floats:
    """Vectors for the linear classifier, (1 or tokens, features): the mean over positions, or those of each token."""
    if by_token:
        return np.concatenate([column.reshape(len(column), -1) for column in columns if column.ndim > 1], axis=1)
    return np.concatenate([column.reshape(-1, column.shape[-1]).mean(axis=0) for column in columns])[None]


def _cosine(exact: Floats, quantized: Floats) -> float:
    return float((exact * quantized).sum() / max(np.linalg.norm(exact) * np.linalg.norm(quantized), 1e-30))


def _error(pairs: Sequence[tuple[Floats, Floats]]) -> float:
    difference = sum(float(((exact - quantized) ** 2).sum()) for exact, quantized in pairs)
    return float(np.sqrt(difference / max(sum(float((exact**2).sum()) for exact, _ in pairs), 1e-30)))


def compare_answers(exact: Floats, quantized: Floats, targets: NDArray[np.integer]) -> float:
    """Measure how often a linear classifier, fitted on float features, answers the same on quantized ones.

    It is a ridge regression on the classes, fitted on all parts of the sample but the one that it answers for.

    Args:
        exact: Float features (examples, features).
        quantized: Quantized features of the same examples.
        targets: Their strata (`ftapp.data.strata`), or the next tokens. All but the most frequent are one class.

    Returns:
        The share of equal answers, from 0 to 1.
    """
    chosen = np.linspace(0, len(exact) - 1, min(_TOKENS, len(exact))).astype(int)
    exact, quantized, targets = exact[chosen], quantized[chosen], targets[chosen]
    names, counts = np.unique(targets, return_counts=True)
    frequent = names[np.argsort(-counts, kind="stable")[:_TOKEN_CLASSES]]
    classes = np.concatenate([targets[:, None] == frequent, ~np.isin(targets, frequent)[:, None]], axis=1)
    mean, scale = exact.mean(axis=0), exact.std(axis=0) + 1e-6
    exact, quantized = (exact - mean) / scale, (quantized - mean) / scale
    fold = np.arange(len(exact)) % _FOLDS
    equal = 0
    for part in range(min(_FOLDS, len(exact))):
        known, wanted = exact[fold != part], classes[fold != part].astype(np.float64)
        if not len(known):
            known, wanted = exact, classes.astype(np.float64)
        # As features outnumber examples, the system has the size of the examples: W = X' (X X' + r I)^-1 Y.
        gram = known @ known.T + _RIDGE * known.shape[1] * np.eye(len(known))
        weights = known.T @ np.linalg.solve(gram, wanted - wanted.mean(axis=0))
        answers = [
            (values[fold == part] @ weights + wanted.mean(axis=0)).argmax(axis=1) for values in (exact, quantized)
        ]
        equal += int((answers[0] == answers[1]).sum())
    return equal / len(exact)


def keep(folder: Path, graph: Any, check: QuantizationCheck) -> None:
    """Write a quantized graph and its check into an entry of the feature cache.

    Raises:
        OSError: The folder cannot be written.
    """
    from ftapp.models.openvino_graph import save_graph

    save_graph(graph, folder / _GRAPH)
    replace_file(folder / _CHECK, msgspec.json.encode(_Kept(check, _digest(folder))))


def read_check(folder: Path) -> QuantizationCheck | None:
    """Read the check of an entry's quantized graph; None where there is no whole one."""
    try:
        kept = msgspec.json.decode((folder / _CHECK).read_bytes(), type=_Kept)
        return kept.check if kept.digest == _digest(folder) else None
    except (OSError, msgspec.MsgspecError):
        return None


def read_graph(folder: Path) -> Any:
    """Read an entry's quantized graph."""
    from ftapp.models.openvino_graph import load_graph

    return load_graph(folder / _GRAPH)


def _digest(folder: Path) -> str:
    whole = hashlib.blake2b(digest_size=16)
    for suffix in (".xml", ".bin"):
        whole.update((folder / _GRAPH).with_suffix(suffix).read_bytes())
    return whole.hexdigest()
