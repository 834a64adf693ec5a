"""Cached features: computed once, those of the frozen half, and computed anew where they are damaged."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.common.errors import RunError
from ftapp.data.augmentation import Augmenter
from ftapp.data.dataset import AugmentedView, BatchKey
from ftapp.data.encoded import Images
from ftapp.data.examples import Examples, Subset
from ftapp.data.hashes import hash_content
from ftapp.freezing import feature_cache, feature_store, freeze
from ftapp.freezing.cut import Cut, cut
from ftapp.freezing.feature_files import FeatureStore
from ftapp.freezing.feature_store import CachedFeatures
from ftapp.recipe import Augment
from tests.support.plans import make_plan


class Noise(Examples):
    """Random images of 16x16; some are alike."""

    classes = ("a", "b")

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count, dtype=np.int32) % 2
        self._images = np.random.default_rng(0).integers(0, 255, (count, 16, 16, 3)).astype(np.uint8)
        self._images[count // 2] = self._images[0]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self._images[index])

    def digest(self, index: int) -> bytes:
        return hash_content(self._images[index].tobytes())


class Half:
    """A cut model with its data, of which `calls` counts how often the frozen half was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int = 20, augment: Augment | None = None) -> None:
        keras.utils.set_random_seed(0)
        backbone = keras_hub.models.VGGBackbone([1, 1], [4, 4], image_shape=(16, 16, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
        model = keras.Model(backbone.input, keras.layers.Dense(2, name="classifier")(pooled))
        plan = make_plan(model, backbone, ["freeze all", "train head"])
        freeze.apply(model, plan)
        halves = cut(model, plan, dropout=False)
        assert isinstance(halves, Cut)
        self.cut = halves
        converter = keras_hub.layers.VGGImageConverter(image_size=(16, 16), scale=1 / 255)
        preprocessor = keras_hub.models.VGGImageClassifierPreprocessor(converter)
        augmenter = Augmenter(augment, (16, 16)) if augment else None
        self.examples = Noise(count)
        self.dataset = Images(Subset(self.examples, np.arange(count)), preprocessor, augmenter)
        self.views = augment.views if augment else 0
        self.calls = 0
        predict = halves.frozen.predict_on_batch

        def counted(inputs: Any) -> Any:
            self.calls += 1
            return predict(inputs)

        monkeypatch.setattr(halves.frozen, "predict_on_batch", counted)

    def features(self, folder: Path) -> CachedFeatures:
        return CachedFeatures(
            self.dataset, self.cut, FeatureStore(folder, feature_store.list_columns(self.cut, "auto")), self.views
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with feature_cache.open_entry("entry", "a label") as place:
        return place


def go_on(done: int, total: int) -> bool:
    return True


def test_features_are_computed_once_and_are_those_of_the_frozen_half(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = Half(monkeypatch)
    made = half.features(folder)
    assert made.count_missing(np.arange(20), None) == 19  # two are alike
    assert made.prepare(np.arange(20), None, go_on)
    assert half.calls == 3  # batches of 8
    found = made.make_inputs(np.array([3, 0, 10]), None)["features_0"]
    expected = keras.ops.convert_to_numpy(
        half.cut.frozen(half.dataset.make_inputs(np.array([3, 0, 10]), None))["features_0"]
    )
    assert np.allclose(found, expected, atol=1e-6)
    assert made.get_targets(np.array([3, 0])).tolist() == [1, 0]
    # Another run, with other examples among the same.
    again = half.features(folder)
    assert again.prepare(np.array([1, 2]), None, go_on)
    assert half.calls == 3
    # The saved time counts once.
    assert made.seconds_saved == 0
    assert again.seconds_saved > 0
    seconds_saved = again.seconds_saved
    assert again.prepare(np.array([2, 1]), None, go_on)
    assert again.seconds_saved == seconds_saved


def test_features_do_not_depend_on_who_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch)
    found = []
    for key, orders in (("x", [range(20)]), ("y", [[19, 4], range(10), range(19, 9, -1)])):
        with feature_cache.open_entry(key, key) as place:
            made = half.features(place)
            for order in orders:
                assert made.prepare(np.array(order), None, go_on)
            found.append(made.make_inputs(np.arange(20), None)["features_0"])
    # Last digits differ on processors that sum by the place in a batch.
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_an_interrupted_computation_keeps_what_it_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch)
    assert not half.features(folder).prepare(np.arange(20), None, lambda done, total: done < 8)
    assert half.calls == 1
    assert half.features(folder).count_missing(np.arange(20), None) == 11
    assert half.features(folder).prepare(np.arange(20), None, go_on)
    assert half.calls == 3


def test_views_take_turns_and_follow_from_the_example_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch, augment=Augment(flip="both", rotation=90.0, views=2))
    made = half.features(folder)
    draws = [BatchKey(seed=7, phase=0, epoch=epoch, step=epoch) for epoch in range(4)]
    for draw in draws:
        assert made.prepare(np.arange(20), draw, go_on)
    assert half.calls == 2 * 3
    first, second, third, fourth = (made.make_inputs(np.arange(20), draw)["features_0"] for draw in draws)
    assert not np.allclose(first, second)
    assert (first == third).all()
    assert (second == fourth).all()
    alone = half.dataset.make_inputs(np.array([5]), AugmentedView(7, 0))
    assert np.allclose(alone[0], half.dataset.make_inputs(np.array([2, 5]), AugmentedView(7, 0))[1])
    assert made.count_missing(np.arange(20), None) == 19  # held-out metrics see no augmentation
    assert made.count_missing(np.arange(20), draws[0]._replace(seed=8)) == 19


def test_verification_finds_a_flipped_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch)
    made = half.features(folder)
    made.prepare(np.arange(20), None, go_on)
    assert made.verify(np.arange(0, 20, 4), None) < 1e-6
    # A wrong value that was written with its checksum, as by another program.
    store = FeatureStore(folder, feature_store.list_columns(half.cut, "auto"))
    store.append(
        half.dataset.hash_examples(np.array([4]), None),
        [0],
        {"features_0": made.make_inputs(np.array([4]), None)["features_0"] * 1.01},
        0,
    )
    with pytest.raises(RunError, match=r"cached features differ from recomputed ones: features_0 in .* by 0\.0"):
        half.features(folder).verify(np.arange(0, 20, 4), None)


def test_damaged_features_are_computed_anew_and_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = Half(monkeypatch)
    made = half.features(folder)
    made.prepare(np.arange(20), None, go_on)
    expected = made.make_inputs(np.arange(20), None)["features_0"]
    size = (folder / "features_0").stat().st_size
    os.truncate(folder / "features_0", size // 4)
    with (folder / "features_0").open("ab") as file:
        file.write(b"\1" * (size - size // 4))
    again = half.features(folder)
    assert again.prepare(np.arange(20), None, go_on)
    assert "cached features of 15 examples" in caplog.text
    assert half.calls == 3 + 2
    np.testing.assert_allclose(again.make_inputs(np.arange(20), None)["features_0"], expected, rtol=1e-5, atol=1e-6)
    caplog.clear()
    third = half.features(folder)
    assert third.prepare(np.arange(20), None, go_on)
    assert third.check_all() == 19
    assert (half.calls, caplog.text) == (5, "")


def test_features_that_change_while_they_are_used_are_computed_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = Half(monkeypatch)
    made = half.features(folder)
    made.prepare(np.arange(20), None, go_on)
    expected = made.make_inputs(np.arange(20), None)["features_0"]
    os.truncate(folder / "features_0", 0)
    np.testing.assert_allclose(made.make_inputs(np.arange(20), None)["features_0"], expected, rtol=1e-5, atol=1e-6)
    assert "changed while the run used them" in caplog.text
    assert made.prepare(np.arange(20), None, go_on)
    assert "cached features of 19 examples" in caplog.text
    calls = half.calls
    np.testing.assert_allclose(made.make_inputs(np.arange(20), None)["features_0"], expected, rtol=1e-5, atol=1e-6)
    assert half.calls == calls


def test_features_that_cannot_be_kept_are_computed_when_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = Half(monkeypatch)
    made, full = half.features(folder), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*arguments: Any) -> int:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        assert made.prepare(np.arange(20), None, go_on)
    assert "cannot be written: No space left on device" in caplog.text
    found = made.make_inputs(np.array([3, 0, 10, 0]), None)["features_0"]
    expected = keras.ops.convert_to_numpy(
        half.cut.frozen(half.dataset.make_inputs(np.array([3, 0, 10, 0]), None))["features_0"]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_lower_precision_on_disk_stays_within_its_rounding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch)
    columns = feature_store.list_columns(half.cut, "float16")
    made = CachedFeatures(half.dataset, half.cut, FeatureStore(folder, columns), 0)
    made.prepare(np.arange(20), None, go_on)
    assert (folder / "features_0").stat().st_size == 19 * 4 * 2
    assert made.make_inputs(np.arange(4), None)["features_0"].dtype == np.float32
    assert 0 < made.verify(np.arange(20), None) < 1e-3


def test_the_entry_follows_from_weights_graph_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    half, other = Half(monkeypatch), Half(monkeypatch)
    key = feature_store.make_key(half.cut, "auto")
    assert feature_store.make_key(other.cut, "auto") == key
    assert feature_store.make_key(half.cut, "float16") != key
    kernel = other.cut.frozen.get_layer("block2_conv1").kernel
    kernel.assign(kernel + 1e-6 * keras.ops.ones_like(kernel))
    assert feature_store.make_key(other.cut, "auto") != key


def test_keys_follow_from_the_picture_and_its_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    half = Half(monkeypatch)
    (key,) = half.dataset.hash_examples(np.array([3]), None)
    assert half.dataset.hash_examples(np.array([3, 4]), None)[0] == key
    assert half.dataset.hash_examples(np.array([4]), None) != [key]
    converter = keras_hub.layers.VGGImageConverter(image_size=(16, 16), scale=1 / 127)
    scaled = Images(
        Subset(half.examples, np.arange(20)), keras_hub.models.VGGImageClassifierPreprocessor(converter), None
    )
    assert scaled.hash_examples(np.array([3]), None) != [key]
