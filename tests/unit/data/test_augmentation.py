"""Augmentation: what each key of the recipe does to an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp.data.augmentation import Augmenter, TextAugmenter
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
