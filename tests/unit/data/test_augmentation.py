"""Augmentation: what each key of the recipe does to an image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.data.augmentation import Augmenter, TextAugmenter, make_grid
from ftapp.recipe import Augment
from tests.support.backends import BACKENDS, quick_environment

# Left half 40, right half 200, and a bright top left corner.
IMAGE = np.full((24, 32, 3), 40, np.float32)
IMAGE[:, 16:] = 200
IMAGE[:6, :8] = 250


def augmented(key: tuple[int, ...] = (0,), copies: int = 16, **keys: Any) -> NDArray[np.float32]:
    return Augmenter(Augment(**keys), (24, 32))(np.stack([IMAGE] * copies), key)


def test_nothing_asked_is_nothing_done() -> None:
    assert np.array_equal(augmented(), np.stack([IMAGE] * 16))


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ({}, False),
        ({"flip": "none", "rotation": 0.0, "zoom": 0.0, "crop": 1.0, "translation": [0.0, 0.0]}, False),
        ({"fill_mode": "wrap", "fill_value": 9.0, "views": 8}, False),
        ({"flip": "vertical"}, True),
        ({"rotation": 0.1}, True),
        ({"zoom": 0.1}, True),
        ({"crop": 0.9}, True),
        ({"translation": [0.0, 0.1]}, True),
        ({"brightness": 0.1}, True),
        ({"contrast": 0.1}, True),
        ({"saturation": 0.1}, True),
        ({"hue": 0.1}, True),
        ({"blur": 0.1}, True),
        ({"erasing": 0.1}, True),
        ({"rand_augment": 0.1}, True),
        ({"mixup": 0.1}, True),
        ({"cutmix": 0.1}, True),
        ({"token_dropout": 0.1}, True),
        ({"word_swap": 0.1}, True),
    ],
)
def test_values_that_change_nothing_are_no_augmentation(keys: dict[str, Any], changes: bool) -> None:
    assert Augment(**keys).changes_anything is changes


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
        {"brightness": 0.2},
        {"contrast": 0.3},
        {"erasing": 0.5},
        {"blur": 0.5},
    ],
)
def test_equal_keys_draw_equally_and_images_differ(keys: dict[str, Any]) -> None:
    one, again, other = augmented((1, 2), **keys), augmented((1, 2), **keys), augmented((1, 3), **keys)
    assert one.shape == (16, 24, 32, 3)
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len({image.tobytes() for image in one}) > 1


def coloured(image: Any, **keys: Any) -> NDArray[np.float32]:
    """Sixteen augmented forms of a coloured image, (16, height, width, 3), all within 0 to 255."""
    found = Augmenter(Augment(**keys), image.shape[:2])(np.stack([image] * 16), (5,))
    assert found.min() >= 0
    assert found.max() <= 255.01
    return found


ORANGE = np.broadcast_to(np.array([200, 120, 40], np.float32), (8, 8, 3))


def test_brightness_is_moved_as_far_as_said() -> None:
    moved = coloured(ORANGE, brightness=0.1) - ORANGE
    assert np.ptp(moved, axis=(1, 2, 3)).max() < 1e-3
    assert 10 < np.abs(moved).max() <= 25.5
    assert moved.min() < 0 < moved.max()


def test_contrast_is_about_the_mean() -> None:
    images = augmented(contrast=0.5)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), IMAGE.mean(), atol=6)  # but for what is cut off at 255
    spread = images.std(axis=(1, 2, 3)) / IMAGE.std()
    assert 0.5 <= spread.min() < 1 < spread.max() <= 1.5


def test_saturation_keeps_the_hue_and_the_brightest_channel() -> None:
    images = coloured(ORANGE, saturation=0.2)
    np.testing.assert_allclose(images[..., 0], 200, rtol=1e-4)
    factors = (200 - images[:, 0, 0, 2]) / (200 - 40)
    assert 1 / 1.5 - 1e-3 <= factors.min() < 1 < factors.max() <= 200 / 160 + 1e-3  # a saturation of 1 is the most
    middle = (images[..., 1] - images[..., 2]) / (images[..., 0] - images[..., 2])
    np.testing.assert_allclose(middle, 0.5, rtol=1e-3)


def test_hue_turns_and_keeps_the_darkest_and_the_brightest_channel() -> None:
    images = coloured(ORANGE, hue=0.5)
    np.testing.assert_allclose(images.max(axis=-1), 200, rtol=1e-3)
    np.testing.assert_allclose(images.min(axis=-1), 40, rtol=1e-3, atol=0.1)
    assert len({int(image[0, 0].argmax()) for image in images}) > 1


def test_so_many_images_are_blurred_or_lose_a_rectangle() -> None:
    for name in ("blur", "erasing"):
        images = augmented((0,), 64, **{name: 0.5})
        changed = [not np.allclose(image, IMAGE, atol=1e-3) for image in images]
        assert 20 <= sum(changed) <= 44


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


class _Tokenizer:
    """WordPiece's signs: 0 [PAD], 1 [CLS], 2 [SEP]; 10 to 19 begin words, 20 and more go on with one."""

    special_token_ids = (0, 1, 2)
    pad_token_id = 0
    suffix_indicator = "##"

    def id_to_token(self, token: int) -> str:
        return f"##{token}" if token >= 20 else str(token)


TEXT = [1, 10, 20, 11, 12, 21, 22, 13, 2]


def noisy(copies: int = 64, **keys: Any) -> list[list[int]]:
    """The tokens that are left of copies of the text, each with its own key."""
    tokens = np.zeros((copies, 12), np.int32)
    tokens[:, : len(TEXT)] = TEXT
    inputs = {"token_ids": tokens, "padding_mask": tokens != 0, "segment_ids": np.zeros_like(tokens)}
    changed = TextAugmenter(Augment(**keys), _Tokenizer())(inputs, [(3, row) for row in range(copies)])
    assert {name: (values.shape, values.dtype) for name, values in changed.items()} == {
        name: (values.shape, values.dtype) for name, values in inputs.items()
    }
    assert np.array_equal(changed["padding_mask"], changed["token_ids"] != 0)
    return [row[row != 0].tolist() for row in changed["token_ids"]]


def test_a_text_without_changes_is_the_same() -> None:
    assert noisy() == [TEXT] * 64


def test_words_are_exchanged_whole() -> None:
    texts = noisy(word_swap=0.5)
    words = {(10, 20), (11,), (12, 21, 22), (13,)}
    for text in texts:
        assert (text[0], text[-1]) == (1, 2)
        starts = [place for place in range(1, len(text) - 1) if text[place] < 20]
        assert {tuple(text[a:b]) for a, b in zip(starts, [*starts[1:], len(text) - 1], strict=True)} == words
    assert len({tuple(text) for text in texts}) > 6


def test_tokens_are_left_out_at_their_rate_and_their_order_stays() -> None:
    texts = noisy(copies=400, token_dropout=0.25)
    for text in texts:
        assert (text[0], text[-1]) == (1, 2)
        assert text == [token for token in TEXT if token in text]
    left = np.mean([len(text) - 2 for text in texts]) / (len(TEXT) - 2)
    assert abs(left - 0.75) < 0.04


def test_something_of_a_text_is_always_left() -> None:
    assert all(len(text) >= 3 for text in noisy(token_dropout=0.99))


def test_equal_keys_change_texts_equally() -> None:
    assert noisy(token_dropout=0.3, word_swap=0.3) == noisy(token_dropout=0.3, word_swap=0.3)


def test_two_random_operations_follow_from_the_key() -> None:
    batches = [augmented((0, step), 4, rand_augment=0.5) for step in range(8)]
    again = [augmented((0, step), 4, rand_augment=0.5) for step in range(8)]
    for one, other in zip(batches, again, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == (4, 24, 32, 3)
        assert one.min() >= -0.01
        assert one.max() <= 255.01
    assert len({batch.tobytes() for batch in batches}) > 4


def test_a_grid_shows_mixed_images() -> None:
    dark, bright = np.zeros((8, 8, 3), np.float32), np.full((8, 8, 3), 200, np.float32)
    augmenter = Augmenter(Augment(mixup=1.0), (8, 8))
    grid = make_grid(np.stack([dark, bright] * 4), augmenter, 3, (0,))
    assert grid.shape == (4, 8, 8, 8, 3)
    assert set(np.unique(grid[0])) == {0, 200}
    assert len(np.unique(grid[1:])) > 6
    assert not np.array_equal(grid[1], grid[2])


_EVERYTHING = """
import sys
import numpy as np
from ftapp.data.augmentation import Augmenter
from ftapp.data.mixing import Mixer
from ftapp.recipe import Augment
keys = dict(flip="both", rotation=10, zoom=0.2, translation=[0.1, 0.1], crop=0.9, rand_augment=0.3, brightness=0.2)
keys |= dict(contrast=0.2, saturation=0.2, hue=0.1, blur=0.5, erasing=0.5, mixup=0.2)
spec = Augment(**keys)
random = np.random.default_rng(0)
changed = Augmenter(spec, (16, 20))(random.uniform(0, 255, (4, 16, 20, 3)).astype(np.float32), (1, 2, 3))
mixed, labels = Mixer(spec)(changed, np.eye(4, dtype=np.float32), (1, 2, 3))
np.savez(sys.argv[1], changed=changed, mixed=mixed, labels=labels)
"""


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_images_change_bitwise_alike_on_all_backends(backend: str, tmp_path: Path) -> None:
    found = []
    for name in ("tensorflow", backend):
        file = tmp_path / f"{name}.npz"
        environment = quick_environment(name)
        subprocess.run([sys.executable, "-c", _EVERYTHING, str(file)], env=environment, check=True, timeout=300)
        found.append(np.load(file))
    expected, other = found
    for name in ("changed", "mixed", "labels"):
        assert np.array_equal(expected[name], other[name]), name
    assert not np.array_equal(expected["changed"], expected["mixed"])
