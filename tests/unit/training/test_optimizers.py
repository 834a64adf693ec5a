"""Learning rates by group, and moments that go on from phase to phase, on a tiny model and on each backend."""

from __future__ import annotations

from typing import Any, get_args

import keras
import numpy as np
import pytest

from ftapp.recipe import Optimizer, Phase
from ftapp.training.averages import Averages
from ftapp.training.gradient_norm import compute_norm, take_norm
from ftapp.training.optimizers import make_optimizer

KINDS = get_args(Optimizer)
# Targets so far from what the model gives that the gradients are always longer than 0.1, the norm to clip to.
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(0, 1, (16, 4)).astype("float32"), RANDOM.normal(0, 3, (16, 2)).astype("float32")


def model() -> keras.Model:
    """Three dense layers: below, middle, above."""
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, activation="tanh", name="below")(inputs)
    x = keras.layers.Dense(3, activation="tanh", name="middle")(x)
    made = keras.Model(inputs, keras.layers.Dense(2, name="above")(x))
    random = np.random.default_rng(1)
    for variable in made.weights:
        variable.assign(random.normal(0, 0.5, variable.shape).astype("float32"))
    return made


def phase(kind: str, **keys: Any) -> Phase:
    return Phase.model_validate({"name": "p", "steps": 1, "optimizer": kind, "learning_rate": 0.01, **keys})


def train(
    trained: keras.Model,
    spec: Phase,
    steps: range,
    former: Any = None,
    rates: dict[str, float] | None = None,
    frozen: str = "",
    *,
    compiled: bool = False,
) -> Any:
    """Train on one slice of the data after another, with rates by layer as multiples; gives the optimizer.

    compiled: as a graph, as runs do it. That takes TensorFlow a second each time, so that most tests do without; JAX
    compiles in any case, since it takes longer without.
    """
    for layer in trained.layers:
        layer.trainable = layer.name not in frozen.split()
    multipliers = [(v, rate) for name, rate in (rates or {}).items() for v in trained.get_layer(name).trainable_weights]
    optimizer = make_optimizer(spec, trained.trainable_variables, multipliers, former)
    eagerly = keras.backend.backend() == "tensorflow" and not compiled
    trained.compile(optimizer, "mse", jit_compile=False, run_eagerly=eagerly)
    for step in steps:
        rows = slice(step % 8 * 2, step % 8 * 2 + 2)
        trained.train_on_batch(X[rows], Y[rows])
    return optimizer


def weights(trained: keras.Model, *names: str) -> list[Any]:
    layers = [trained.get_layer(name) for name in names or ("below", "middle", "above")]
    return [keras.ops.convert_to_numpy(variable) for layer in layers for variable in layer.weights]


def slots(optimizer: Any) -> int:
    """How many variables an optimizer has beside its count of steps and its learning rate."""
    return len(optimizer.variables) - 2


def changes(spec: Phase, rates: dict[str, float] | None = None, steps: int = 1) -> list[Any]:
    trained = model()
    before = weights(trained)
    train(trained, spec, range(steps), rates=rates)
    return [after - old for after, old in zip(weights(trained), before, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_phases_with_the_same_weights_are_one(kind: str) -> None:
    whole, parts = model(), model()
    spec = phase(kind, weight_decay=0.1, clip_norm=0.1)
    compiled = kind == "adamw"
    train(whole, spec, range(9), compiled=compiled)
    former = train(parts, spec, range(4), compiled=compiled)
    former = train(parts, spec, range(4, 6), former, compiled=compiled)
    train(parts, spec, range(6, 9), former, compiled=compiled)
    for one, other in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    # Starting anew leads elsewhere, so that the comparison can fail.
    anew = model()
    train(anew, spec, range(4))
    train(anew, spec, range(4, 9))
    assert max(np.abs(one - other).max() for one, other in zip(weights(whole), weights(anew), strict=True)) > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_multiples_for_the_update_and_for_the_decay(kind: str) -> None:
    rates = {"below": 0.25, "middle": 0.5}
    spec = phase(kind, weight_decay=0.5, clip_norm=0.1)
    same, scaled = changes(spec), changes(spec, rates)
    for index, (one, other) in enumerate(zip(same, scaled, strict=True)):
        np.testing.assert_allclose(other, one * (0.25, 0.5, 1.0)[index // 2], rtol=1e-3, atol=1e-6)


def test_gradients_are_clipped_by_the_norm_of_all_groups_together() -> None:
    spec = phase("sgd", learning_rate=1.0, clip_norm=0.1)
    rates = {"below": 0.5, "middle": 0.25}
    unscaled = [change / (0.5, 0.25, 1.0)[index // 2] for index, change in enumerate(changes(spec, rates))]
    assert np.sqrt(sum(np.square(change).sum() for change in unscaled)) == pytest.approx(0.1, rel=1e-3)


def test_the_rate_that_is_read_and_set_is_the_base_rate() -> None:
    trained = model()
    optimizer = train(trained, phase("adam"), range(2), rates={"below": 0.1})
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    before = weights(trained)
    optimizer.learning_rate = 0.0
    trained.train_on_batch(X, Y)
    assert all((one == other).all() for one, other in zip(weights(trained), before, strict=True))


def test_without_groups_and_without_a_past_it_is_an_optimizer_of_keras_without_hooks() -> None:
    trained = model()
    every = [(variable, 1.0) for variable in trained.trainable_variables]
    made = make_optimizer(phase("adam"), trained.trainable_variables, every)
    assert isinstance(made, type(keras.optimizers.Adam()))
    assert not hasattr(made, "groups")


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_join_take_the_first_step_of_a_new_optimizer(kind: str) -> None:
    joined, fresh = model(), model()
    former = train(joined, phase(kind), range(12), frozen="below middle")
    fresh.set_weights(joined.get_weights())
    train(joined, phase(kind), range(12, 13), former, frozen="below")
    train(fresh, phase(kind), range(12, 13), frozen="below")
    for one, other in zip(weights(joined, "middle"), weights(fresh, "middle"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    above = zip(weights(joined, "above"), weights(fresh, "above"), strict=True)
    assert any(np.abs(one - other).max() > 1e-6 for one, other in above)


def test_weights_that_paused_start_anew() -> None:
    paused, fresh = model(), model()
    former = train(paused, phase("adam"), range(8))
    former = train(paused, phase("adam"), range(8, 10), former, frozen="middle")
    fresh.set_weights(paused.get_weights())
    train(paused, phase("adam"), range(10, 11), former)
    train(fresh, phase("adam"), range(10, 11))
    for one, other in zip(weights(paused, "middle"), weights(fresh, "middle"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_another_kind_of_optimizer_starts_anew() -> None:
    trained = model()
    former = train(trained, phase("adam"), range(3))
    made = make_optimizer(phase("adamw"), trained.trainable_variables, (), former)
    assert isinstance(made, type(keras.optimizers.AdamW()))
    assert not hasattr(made, "groups")


def test_steps_before_a_phase_are_counted_for_each_weight() -> None:
    trained = model()
    former = train(trained, phase("adam"), range(5), frozen="below middle")
    former = train(trained, phase("adam"), range(3), former, frozen="below", rates={"middle": 0.1})
    last = train(trained, phase("adam"), range(1), former)
    by_name = {v.path: group for v, group in zip(trained.trainable_variables, last.groups, strict=True)}
    assert {path.split("/")[0]: group.lead for path, group in by_name.items()} == {"below": 0, "middle": 3, "above": 8}


def test_frozen_weights_have_no_moments() -> None:
    trained = model()
    former = train(trained, phase("adam"), range(1))
    assert slots(former) == 2 * 6
    former = train(trained, phase("adam"), range(1), former, frozen="below", rates={"middle": 0.1})
    assert slots(former) == 2 * 4
    last = train(trained, phase("adam"), range(1), former, frozen="below middle")
    assert slots(last) == 2 * 2


def test_moments_go_on_under_a_loss_scale() -> None:
    # float16 makes Keras wrap the optimizer; the one that is remembered is the inner one.
    trained = model()
    former = None
    for _ in range(2):
        former = last = make_optimizer(phase("adam"), trained.trainable_variables, (), former)
        trained.compile(keras.optimizers.LossScaleOptimizer(last), "mse", jit_compile=False)
        trained.train_on_batch(X, Y)
    assert {group.lead for group in last.groups} == {1}
    assert int(last.iterations) == 1


needs_slices = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the rows are TensorFlow's")


def scattered(optimizer: Any) -> list[str]:
    """The operations with which an optimizer changes single rows of a table, as the gradient of an embedding has."""
    import tensorflow as tf

    table = keras.Variable(np.zeros((4, 2), "float32"))
    optimizer.build([table])

    def update(rows: Any) -> None:
        optimizer.apply([tf.IndexedSlices(rows, tf.constant([0, 1, 1]), tf.constant([4, 2]))], [table])

    graph = tf.function(update).get_concrete_function(tf.TensorSpec((3, 2))).graph
    return [each.type for each in graph.get_operations() if each.type.startswith("ResourceScatter")]


@needs_slices
def test_no_optimizer_adds_the_rows_of_an_embedding_in_the_order_of_threads() -> None:
    """With 1,024 rows or more, ResourceScatterAdd and ResourceScatterSub round as their threads happen to run."""
    assert scattered(keras.optimizers.SGD()) == ["ResourceScatterSub"]
    assert {kind: scattered(make_optimizer(phase(kind))) for kind in KINDS} == {kind: [] for kind in KINDS}


@needs_slices
@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 0.1}, {"gradient_norm": True}], ids=["plain", "clipped", "watched"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_comes_twice_has_one_gradient(kind: str, options: dict[str, Any]) -> None:
    """A table of an embedding learns from rows as from the table of their sums, which is what other backends give."""
    import tensorflow as tf

    rows, tokens = np.array([[3, -1], [2, 5], [2, -4]], "float32"), [0, 1, 1]
    sums = np.zeros((4, 2), "float32")
    np.add.at(sums, tokens, rows)
    tables = []
    for gradient in (tf.IndexedSlices(tf.constant(rows), tf.constant(tokens), tf.constant([4, 2])), tf.constant(sums)):
        tables.append(keras.Variable(np.ones((4, 2), "float32")))
        optimizer = make_optimizer(phase(kind, **options), tables[-1:])
        for _ in range(3):
            optimizer.apply([gradient], tables[-1:])
        if options.get("gradient_norm"):
            assert float(take_norm(optimizer)) == pytest.approx(np.linalg.norm(sums))
    by_rows, by_sums = (keras.ops.convert_to_numpy(table) for table in tables)
    np.testing.assert_array_equal(by_rows, by_sums)
    assert (by_rows[:2] != 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_weight_decay_leaves_what_is_kept(kind: str) -> None:
    def move(decay: float, kept: str) -> list[Any]:
        trained = model()
        before = weights(trained)
        spec = phase(kind, weight_decay=decay)
        chosen = [each for each in trained.weights if each.name == "bias"] if kept == "biases" else trained.weights
        optimizer = make_optimizer(spec, trained.trainable_variables, exempt=chosen if kept else ())
        trained.compile(optimizer, "mse", jit_compile=False, run_eagerly=keras.backend.backend() == "tensorflow")
        trained.train_on_batch(X[:4], Y[:4])
        return [after - old for after, old in zip(weights(trained), before, strict=True)]

    plain, all_of_it, kernels, nothing = move(0, ""), move(0.5, ""), move(0.5, "biases"), move(0.5, "all")
    for index in range(0, 6, 2):  # a kernel and its bias
        assert np.array_equal(kernels[index], all_of_it[index])
        assert not np.allclose(kernels[index], plain[index], rtol=1e-3)
        assert np.allclose(kernels[index + 1], plain[index + 1], atol=1e-7)
        assert np.allclose(nothing[index], plain[index], atol=1e-7)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_accumulated_batches_are_one_update(kind: str) -> None:
    whole, parts = model(), model()
    spec = phase(kind, weight_decay=0.1, clip_norm=0.1, accumulate=2, steps=2)
    train(parts, spec, range(1), compiled=True)
    assert all(np.array_equal(*pair) for pair in zip(weights(parts), weights(whole), strict=True))
    parts = model()
    optimizer = train(parts, spec, range(4), rates={"below": 0.5}, compiled=True)
    large = make_optimizer(
        phase(kind, weight_decay=0.1, clip_norm=0.1),
        whole.trainable_variables,
        [(each, 0.5) for each in whole.get_layer("below").weights],
    )
    whole.compile(large, "mse", jit_compile=False)
    for rows in (slice(0, 4), slice(4, 8)):
        whole.train_on_batch(X[rows], Y[rows])
    for one, other in zip(weights(whole), weights(parts), strict=True):
        assert np.allclose(one, other, atol=1e-6)
    assert int(keras.ops.convert_to_numpy(optimizer.iterations)) == 2


def test_a_norm_is_that_of_all_gradients_as_one_vector() -> None:
    gradients = [keras.ops.ones((2, 3)), None, keras.ops.full((4,), 2.0), keras.ops.ones((2, 1, 2), "bfloat16")]
    assert float(keras.ops.convert_to_numpy(compute_norm(gradients))) == pytest.approx(26**0.5)


def test_averages_from_a_step_on_count_each_step_the_same() -> None:
    trained, spec = model(), phase("adam", swa=0.5)
    rates = [(trained.trainable_variables[0], 0.5)]
    optimizer, averages = make_optimizer(spec, trained.trainable_variables, rates, steps=6), Averages()
    averages.follow(optimizer)
    trained.compile(optimizer, "mse", jit_compile=False)
    made: list[list[Any]] = []
    for step in range(6):
        trained.train_on_batch(X[step * 2 : step * 2 + 2], Y[step * 2 : step * 2 + 2])
        made.append(weights(trained))
        expected = [np.mean(each, axis=0) for each in zip(*(made[3:] or made[-1:]), strict=True)]
        with averages.applied():
            assert all(np.allclose(*pair, atol=1e-6) for pair in zip(weights(trained), expected, strict=True))


def test_averages_follow_the_weights() -> None:
    trained, spec = model(), phase("adam", ema=0.8)
    first = weights(trained)
    optimizer, averages = make_optimizer(spec, trained.trainable_variables), Averages()
    averages.follow(optimizer)
    with averages.applied():
        assert all(np.array_equal(*pair) for pair in zip(weights(trained), first, strict=True))
    trained.compile(optimizer, "mse", jit_compile=False)
    expected: list[Any] = []
    for step in range(4):
        trained.train_on_batch(X[step * 4 : step * 4 + 4], Y[step * 4 : step * 4 + 4])
        now = weights(trained)
        pairs = zip(expected or now, now, strict=True)
        expected = [np.float32(0.8) * old + np.float32(0.2) * new for old, new in pairs]
    last = weights(trained)
    with averages.applied():
        assert all(np.allclose(*pair, atol=1e-6) for pair in zip(weights(trained), expected, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(weights(trained), last, strict=True))
    averages.keep()
    assert all(np.allclose(*pair, atol=1e-6) for pair in zip(weights(trained), expected, strict=True))
    assert not np.allclose(weights(trained)[0], last[0], atol=1e-4)
