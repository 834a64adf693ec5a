"""Quantization of frozen halves: which examples it sees, what it gives, and the check before its features are used."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("openvino")

from ftapp.freezing import quantize
from ftapp.freezing.cut import Cut
from ftapp.freezing.engine import Engine
from ftapp.freezing.openvino_engine import OpenVinoEngine, convert
from ftapp.freezing.quantize import DrawnExamples, MakeFeatures, check_features, compare_answers, draw_samples
from tests.unit.freezing.test_openvino_engine import FAMILIES, cut_family, draw_inputs

EXAMPLES, TOKENS = 64, 12


class Drawn:
    """Random examples of what a frozen half takes, each of two classes."""

    def __init__(self, halves: Cut, examples: int = EXAMPLES) -> None:
        self._inputs, self._examples = draw_inputs(halves, examples, TOKENS), examples
        self._mask = self._inputs.get("padding_mask") if isinstance(self._inputs, dict) else None

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        return None if self._mask is None else self._mask.sum(axis=1).astype(np.int64)

    def __len__(self) -> int:
        return self._examples

    def compute_width(self, indices: NDArray[np.int64]) -> int | None:
        return None if self._mask is None else TOKENS

    def make_inputs(self, indices: NDArray[np.int64], key: Any) -> Any:
        if isinstance(self._inputs, dict):
            return {name: values[indices] for name, values in self._inputs.items()}
        return self._inputs[indices]

    def get_targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        return (indices % 2).astype(np.int32)

    def locate(self, index: int) -> str:
        return f"example {index + 1}"

    def find_file(self, index: int) -> None:
        return None

    def digest(self, index: int) -> bytes:
        return index.to_bytes(16, "big")

    def read_example(self, index: int) -> str:
        return self.locate(index)

    def hash_examples(self, indices: NDArray[np.int64], view: Any) -> list[bytes]:
        return [int(index).to_bytes(16, "big") for index in indices]


def compute(engine: Engine, dataset: Drawn) -> MakeFeatures:
    return lambda indices, key: engine.predict_on_batch(dataset.make_inputs(indices, key))


def test_samples_have_no_example_in_common_and_follow_the_seed() -> None:
    images, texts = Drawn(cut_family("vgg")), Drawn(cut_family("bert"))
    samples = draw_samples(images, 3)
    assert (len(samples.calibration), len(samples.check)) == (8, 32)
    assert not set(samples.calibration) & set(samples.check)
    again, other = draw_samples(images, 3), draw_samples(images, 4)
    assert (again.calibration == samples.calibration).all()
    assert (other.calibration != samples.calibration).any()
    assert len(draw_samples(texts, 3).calibration) == 24, "the ranges of texts vary more"
    few = draw_samples(Drawn(cut_family("vgg"), 6), 0)
    assert (len(few.calibration), len(few.check)) == (3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_int8_features_of_each_family_are_like_those_in_float(family: str, tmp_path: Path) -> None:
    halves = cut_family(family)
    dataset, graph = Drawn(halves), convert(halves)
    samples = draw_samples(dataset, 0)
    made = quantize.quantize(graph, halves, dataset, samples.calibration)
    exact, quantized = OpenVinoEngine(graph, halves, "float32"), OpenVinoEngine(made, halves, "float32")
    check = check_features(compute(exact, dataset), compute(quantized, dataset), dataset, samples, time.perf_counter())
    assert min(check.cosine.values()) > 0.97
    # The float graph is as it was, and the quantized one is another.
    inputs = dataset.make_inputs(samples.check, None)
    theirs, ours = exact.predict_on_batch(inputs), quantized.predict_on_batch(inputs)
    assert any((theirs[name] != ours[name]).any() for name in theirs)
    quantize.keep(tmp_path, made, check)
    assert quantize.read_check(tmp_path) == check
    kept = OpenVinoEngine(quantize.read_graph(tmp_path), halves, "float32").predict_on_batch(inputs)
    again = quantize.quantize(graph, halves, dataset, samples.calibration)
    anew = OpenVinoEngine(again, halves, "float32").predict_on_batch(inputs)
    for name, values in ours.items():
        assert np.array_equal(values, kept[name])
        assert np.array_equal(values, anew[name])
    file = tmp_path / "int8.bin"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert quantize.read_check(tmp_path) is None, "a damaged graph is not used"


class Noisy:
    """An engine that adds noise to another's features."""

    def __init__(self, engine: Engine, share: float) -> None:
        self._engine, self._share, self._random = engine, share, np.random.default_rng(0)

    def predict_on_batch(self, inputs: Any) -> dict[str, Any]:
        found = self._engine.predict_on_batch(inputs)
        return {
            name: values + self._share * values.std() * self._random.normal(size=values.shape)
            for name, values in found.items()
        }


@pytest.mark.parametrize(("share", "accepted"), [(0.0, True), (1.0, False)])
def test_the_check_declines_features_that_differ(share: float, accepted: bool) -> None:
    halves = cut_family("vgg")
    engine, dataset = OpenVinoEngine(convert(halves), halves, "float32"), Drawn(halves)
    exact, noisy = (compute(each, dataset) for each in (engine, Noisy(engine, share)))
    check = check_features(exact, noisy, dataset, draw_samples(dataset, 0), 0.0)
    assert check.accepted is accepted
    assert (max(check.error.values()) < 1e-6) is accepted
    assert (check.agreement == 1) is accepted


def test_answers_are_compared_by_a_classifier_that_does_not_know_the_example() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 40)
    features = np.eye(3)[targets] @ random.normal(size=(3, 30)) + 0.3 * random.normal(size=(40, 30))
    assert compare_answers(features, features, targets) == 1
    assert compare_answers(features, features + 1e-3 * random.normal(size=features.shape), targets) == 1
    assert compare_answers(features, random.permutation(features), targets) < 0.8


def test_the_key_of_features_follows_the_calibration() -> None:
    dataset = Drawn(cut_family("vgg"))
    first, second = (
        quantize.describe_quantization(dataset, DrawnExamples(np.arange(start, start + 4), np.arange(0)))
        for start in (0, 4)
    )
    assert first[:2] == second[:2]
    assert first[2] != second[2]


@pytest.mark.slow
def test_signals_are_handled_after_engines_and_quantizations_are_gone() -> None:
    program = """
import gc, os, signal, threading
from ftapp.freezing.openvino_engine import OpenVinoEngine, convert
from ftapp.freezing.quantize import draw_samples, quantize
from tests.unit.freezing.test_openvino_engine import cut_family
from tests.unit.freezing.test_quantize import Drawn
caught = []
signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
halves = cut_family("vgg")
graph, dataset = convert(halves), Drawn(halves)
held = [OpenVinoEngine(graph, halves, "float32")]
held.append(quantize(graph, halves, dataset, draw_samples(dataset, 0).calibration))
held.append(OpenVinoEngine(held[-1], halves, "float32"))
def free():
    held.clear()
    gc.collect()
other = threading.Thread(target=free)
other.start()
other.join()
for _ in range(3):
    os.kill(os.getpid(), signal.SIGINT)
assert caught
"""
    subprocess.run([sys.executable, "-c", program], check=True)
