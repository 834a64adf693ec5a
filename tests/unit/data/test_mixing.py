"""Mixed batches: images and labels are mixed by the same shares, which follow from keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.data.mixing import BatchMixer
from ftapp.recipe import Augment

CLASSES = 16
# The image of each class has one value of its own, so that a pixel says of which images it is.
IMAGES = np.broadcast_to(np.arange(CLASSES, dtype=np.float32)[:, None, None, None] * 10, (CLASSES, 20, 30, 3))
NUMBERS = np.arange(CLASSES, dtype=np.int32)


def mix(key: tuple[int, ...] = (0,), **keys: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    images, labels = BatchMixer(Augment(**keys), CLASSES).mix(IMAGES, NUMBERS, key)
    assert images.shape == IMAGES.shape
    assert images.dtype == labels.dtype == np.float32
    assert labels.shape == (CLASSES, CLASSES)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    assert ((labels > 0).sum(axis=1) <= 2).all()
    return images, labels


@pytest.mark.parametrize("keys", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_equal_keys_mix_equally(keys: dict[str, float]) -> None:
    one, again, other = mix((1, 2), **keys), mix((1, 2), **keys), mix((1, 3), **keys)
    for first, second in zip(one, again, strict=True):
        assert np.array_equal(first, second)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1])


def test_mixup_blends_images_as_their_labels() -> None:
    images, labels = mix(mixup=1.0)
    expected = labels @ (np.arange(CLASSES) * 10)
    np.testing.assert_allclose(images, np.broadcast_to(expected[:, None, None, None], images.shape), rtol=1e-4)
    assert len(np.unique(labels.max(axis=1).round(4))) > CLASSES // 2, "each pair has a share of its own"


def test_cutmix_pastes_a_rectangle_as_large_as_the_share_of_its_label() -> None:
    images, labels = mix(cutmix=1.0)
    pasted = 0
    for own, (image, label) in enumerate(zip(images, labels, strict=True)):
        values, counts = np.unique(image[..., 0], return_counts=True)
        assert set(values / 10) <= set(np.flatnonzero(label)) | {own}
        shares = dict(zip((values / 10).astype(int).tolist(), (counts / counts.sum()).tolist(), strict=True))
        assert shares.get(own, 0.0) == pytest.approx(label[own], abs=0.1)  # but for parts of pixels at the edges
        rows, columns = np.nonzero(image[..., 0] != own * 10)
        if len(rows):
            pasted += 1
            assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert pasted > CLASSES // 4


def test_with_both_each_step_takes_one_of_the_two() -> None:
    is_pasted = []
    for step in range(12):
        images, _ = mix((0, step), mixup=1.0, cutmix=1.0)
        is_pasted.append(bool(np.isin(images, IMAGES).all()))
    assert {True, False} == set(is_pasted)


def test_without_mixing_batches_stay_as_they_are() -> None:
    for spec in (None, Augment(flip="horizontal")):
        mixer = BatchMixer(spec, CLASSES)
        images, labels = mixer.mix(IMAGES, NUMBERS, (0,))
        assert images is IMAGES
        assert labels is NUMBERS is mixer.soften(NUMBERS)


def test_the_only_example_of_a_batch_stays() -> None:
    images, labels = BatchMixer(Augment(mixup=1.0), 3).mix(IMAGES[2:3], NUMBERS[2:3], (0,))
    np.testing.assert_allclose(images, IMAGES[2:3], rtol=1e-5)
    np.testing.assert_allclose(labels, [[0, 0, 1]], atol=1e-6)
