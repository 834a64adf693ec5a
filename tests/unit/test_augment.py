"""Augmentation: what each key of the recipe does to an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.augment import Augmenter
from ftapp.recipe import Augment

# Left half 40, right half 200, and a bright top left corner.
IMAGE = np.full((24, 32, 3), 40, np.float32)
IMAGE[:, 16:] = 200
IMAGE[:6, :8] = 250


def augmented(key: tuple[int, ...] = (0,), copies: int = 16, **keys: Any) -> NDArray[np.float32]:
    return Augmenter(Augment(**keys), (24, 32))(np.stack([IMAGE] * copies), key)


def test_nothing_asked_is_nothing_done() -> None:
    assert np.array_equal(augmented(), np.stack([IMAGE] * 16))


@pytest.mark.parametrize(
    ("flip", "forms"),
    [
        ("horizontal", [IMAGE, IMAGE[:, ::-1]]),
        ("vertical", [IMAGE, IMAGE[::-1]]),
        ("both", [IMAGE, IMAGE[:, ::-1], IMAGE[::-1], IMAGE[::-1, ::-1]]),
    ],
)
def test_flips(flip: str, forms: list[NDArray[np.float32]]) -> None:
    images = augmented(copies=32, flip=flip)
    seen = [next(index for index, form in enumerate(forms) if np.array_equal(image, form)) for image in images]
    assert set(seen) == set(range(len(forms)))


@pytest.mark.parametrize(
    "keys",
    [
        {"flip": "both"},
        {"rotation": 30.0},
        {"zoom": 0.3},
        {"crop": 0.7},
        {"translation": [0.2, 0.0]},
    ],
)
def test_equal_keys_draw_equally_and_images_differ(keys: dict[str, Any]) -> None:
    one, again, other = augmented((1, 2), **keys), augmented((1, 2), **keys), augmented((1, 3), **keys)
    assert one.shape == (16, 24, 32, 3)
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len({image.tobytes() for image in one}) > 1


def test_fill_modes_differ_in_what_they_put_into_empty_corners() -> None:
    black = augmented(rotation=45.0, fill_mode="constant")
    nearest = augmented(rotation=45.0, fill_mode="nearest")
    reflect = augmented(rotation=45.0, fill_mode="reflect")
    wrap = augmented(rotation=45.0, fill_mode="wrap")
    white = augmented(rotation=45.0, fill_mode="constant", fill_value=255.0)
    assert black.min() == 0
    assert min(nearest.min(), reflect.min(), wrap.min()) >= 39.9
    assert white.max() == 255
    assert len({images.tobytes() for images in (black, nearest, reflect, wrap, white)}) == 5


def test_translation_goes_across_and_down_as_said() -> None:
    across = augmented(translation=[0.25, 0.0], fill_mode="constant")
    assert any((image[:, 0] == 0).all() or (image[:, -1] == 0).all() for image in across)
    assert not any((image[0] == 0).all() for image in across)
    down = augmented(translation=[0.0, 0.25], fill_mode="constant")
    assert any((image[0] == 0).all() or (image[-1] == 0).all() for image in down)
    assert not any((image[:, 0] == 0).all() for image in down)
