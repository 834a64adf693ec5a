"""The loss of completions is a mean over their tokens alone, in a step, over a split, and of each example."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.data.dataset import IGNORED
from ftapp.models.objectives import loss_for
from ftapp.recipe import TASKS
from ftapp.training.evaluate import evaluate
from ftapp.training.instrumented_model import InstrumentedModel, instrument, read_values

_TASK = TASKS["completion-lm"]


def build_model(tokens: int | None = None) -> tuple[InstrumentedModel, NDArray[np.float32]]:
    """A linear model of next tokens, and its kernel."""
    inputs = keras.Input((tokens, 4))
    layer = keras.layers.Dense(5, use_bias=False)
    model = instrument(keras.Model(inputs, layer(inputs)), gives_scores=False)
    kernel = np.random.default_rng(0).normal(0, 1, (4, 5)).astype("float32")
    layer.kernel.assign(kernel)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss_for(_TASK, "softmax"), jit_compile=False)
    return model, kernel


def draw(*counts: tuple[int, int], width: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Examples of so many tokens of prompts and of completions, with targets that are ignored elsewhere."""
    random = np.random.default_rng(1)
    x = random.normal(0, 1, (len(counts), width, 4)).astype("float32")
    y = np.full((len(counts), width), IGNORED, np.int32)
    for row, (prompt, completion) in zip(y, counts, strict=True):
        row[prompt : prompt + completion] = random.integers(0, 5, completion)
    return x, y


def compute_losses(
    x: NDArray[np.float32], y: NDArray[np.int32], kernel: NDArray[np.float32]
) -> list[NDArray[np.float64]]:
    """The losses of the tokens that count, of each example."""
    logits = x.astype(float) @ kernel.astype(float)
    log = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return [-log[row][np.arange(y.shape[1]), y[row]][y[row] != IGNORED] for row in range(len(y))]


def test_a_step_trains_on_the_mean_over_all_tokens_of_completions() -> None:
    model, kernel = build_model()
    x, y = draw((1, 5), (4, 1), (2, 2), width=7)
    losses = compute_losses(x, y, kernel)
    stepped = read_values(model.train_on_batch(x, y, return_dict=True))
    assert stepped.metrics["loss"] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)
    assert stepped.losses is None
    logits = x @ kernel
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    gradient = (shares - np.eye(5)[y]) * (y != IGNORED)[..., None] / (y != IGNORED).sum()
    moved = kernel - 0.1 * np.einsum("btd,btv->dv", x, gradient)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model.layers[-1].kernel), moved, rtol=1e-4, atol=1e-6)


def test_padding_changes_no_loss() -> None:
    model, kernel = build_model()
    x, y = draw((1, 2), (0, 3), width=3)
    wide = np.pad(x, ((0, 0), (0, 6), (0, 0))), np.pad(y, ((0, 0), (0, 6)), constant_values=IGNORED)
    found = [read_values(model.test_on_batch(*each, return_dict=True)).metrics["loss"] for each in ((x, y), wide)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] == pytest.approx(np.concatenate(compute_losses(x, y, kernel)).mean(), rel=1e-5)


def test_an_evaluation_counts_tokens_and_not_batches_or_examples() -> None:
    model, kernel = build_model()
    x, y = draw((0, 9), (3, 1), (1, 2), (5, 4), (2, 1), width=9)
    dataset: Any = SimpleNamespace(make_inputs=lambda rows, _: x[rows], get_targets=lambda rows: y[rows])
    found = evaluate(model, dataset, [np.array([0, 1]), np.array([4, 2]), np.array([3])], None, lambda done, of: True)
    assert found is not None
    losses = compute_losses(x, y, kernel)
    assert found.metrics["loss"] == pytest.approx(np.concatenate(losses).mean(), rel=1e-6)
    by_example = [losses[row].mean() for row in found.order]
    np.testing.assert_allclose(found.losses, by_example, rtol=1e-5)
    assert found.metrics["loss"] != pytest.approx(np.mean(by_example), rel=1e-3)
