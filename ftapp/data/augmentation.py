"""Augmentation: a recipe's `[augment]` table as changes to batches of images or texts that follow from given keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.data.mixing import Mixer
from ftapp.data.tensorflow_layers import on_tensorflow
from ftapp.recipe import Augment


class Augmenter:
    """Applies random changes to batches of images; equal keys give equal changes.

    Args:
        spec: The recipe's `[augment]`.
        image_size: (height, width) of the images, which the result keeps.
    """

    def __init__(self, spec: Augment, image_size: Sequence[int]) -> None:
        self._spec = spec
        self._layers = _make_layers(spec, image_size)
        self._resize = keras.layers.Resizing(*image_size, data_format="channels_last", dtype="float32")
        self._mixer = Mixer(spec) if spec.mixes_labels else None

    def __call__(self, images: NDArray[np.float32], key: Sequence[int]) -> NDArray[np.float32]:
        """Change a batch of images.

        Args:
            images: Float32 (batch, height, width, 3) in 0..255.
            key: Whole numbers that decide the changes.

        Returns:
            The changed images, of the same shape and type.
        """
        x: Any = images
        for index, layer in enumerate(self._layers):
            with on_tensorflow(layer, (*key, index)):
                if isinstance(layer, keras.layers.RandomCrop):
                    # Keras draws one window for a whole batch of crops, so images go through it one at a time.
                    x = np.stack([np.asarray(self._resize(layer(image, training=True))) for image in x])
                else:
                    x = np.asarray(layer(x, training=True))
        return np.asarray(x, np.float32)

    def mix(self, images: NDArray[np.float32], key: Sequence[int]) -> NDArray[np.float32]:
        """Mix the images of a batch as training does (`ftapp.data.mixing`), if the recipe says so.

        Args:
            images: Float32 (batch, height, width, 3) in 0..255.
            key: Whole numbers that decide pairs and shares.

        Returns:
            The images, of the same shape and type.
        """
        if self._mixer is None:
            return images
        return self._mixer(images, np.zeros((len(images), 1), np.float32), key)[0]

    def __repr__(self) -> str:
        """The changes it makes: the same text in every process, whatever keys recipes get later."""
        return f"Augmenter on TensorFlow({self._spec.model_dump(exclude_defaults=True)})"


def make_grid(
    images: NDArray[np.float32], augmenter: Augmenter | None, views: int, key: Sequence[int]
) -> NDArray[np.uint8]:
    """Return images unchanged and, with an augmenter, `views` forms of each as a training step may see them.

    Args:
        images: Float32 (images, height, width, 3) in 0..255.
        augmenter: The augmenter; None for none.
        views: The number of forms.
        key: Whole numbers that decide the changes.

    Returns:
        Uint8 (1 + views, images, height, width, 3).
    """
    columns = [images]
    if augmenter:
        # In one batch: a call takes some 50 ms, whatever its size.
        seen = np.split(augmenter(np.concatenate([images] * views), key), views)
        columns += [augmenter.mix(each, (*key, view)) for view, each in enumerate(seen)]
    return np.stack(columns).round().clip(0, 255).astype(np.uint8)


class TextAugmenter:
    """Leaves tokens out of encoded texts and exchanges words; equal keys give equal changes.

    Random deletion and random swap of EDA (Wei & Zou 2019). A text keeps the special tokens around it and at least one
    of its own; the part cut off at the sequence length does not come back.

    Args:
        spec: The recipe's `[augment]`.
        tokenizer: The preset's tokenizer.
    """

    def __init__(self, spec: Augment, tokenizer: Any) -> None:
        self._spec, self._tokenizer = spec, tokenizer
        self._special = np.array(tokenizer.special_token_ids, np.int64)
        self._begins: dict[int, bool] = {}  # whether a token begins a word

    def __call__(self, inputs: dict[str, NDArray[Any]], keys: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
        """Change a batch of encoded texts; the arrays keep their shapes.

        Args:
            inputs: Arrays (texts, tokens) by name, with token_ids and padding_mask, padded on the right.
            keys: For each text the whole numbers that decide its changes.

        Returns:
            The changed arrays, by name.
        """
        changed = {name: np.zeros_like(values) for name, values in inputs.items()}
        changed["token_ids"][:] = self._tokenizer.pad_token_id
        for row, key in enumerate(keys):
            length = int(inputs["padding_mask"][row].sum())
            order, _ = self.draw(inputs["token_ids"][row, :length], key)
            for name, values in inputs.items():
                changed[name][row, : len(order)] = values[row, order]
        return changed

    def __repr__(self) -> str:
        """The changes it makes: the same text in every process, whatever keys recipes get later."""
        return f"TextAugmenter({self._spec.model_dump(exclude_defaults=True)})"

    def draw(self, tokens: NDArray[Any], key: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Draw the changes of a text.

        Args:
            tokens: Its token ids, int (tokens,).
            key: Whole numbers that decide the changes.

        Returns:
            The places of the tokens that stay, in their new order; and for each token of the text, bool (tokens,),
            whether it lies in a word that takes another's place.
        """
        random = np.random.default_rng(list(key))
        places, moved = np.arange(len(tokens)), np.zeros(len(tokens), bool)
        before, text, after = np.split(places, self._find_text(tokens))
        if not len(text):
            return places, moved
        words = np.split(text, [place for place in range(1, len(text)) if self._begins_word(int(tokens[text[place]]))])
        order = np.arange(len(words))
        for one, other in random.integers(len(words), size=(round(self._spec.word_swap * len(words)), 2)):
            order[one], order[other] = order[other], order[one]
        for place in np.flatnonzero(order != np.arange(len(words))):
            moved[words[place]] = True
        text = np.concatenate([words[place] for place in order])
        stays = random.random(len(text)) >= self._spec.token_dropout
        stays[random.integers(len(text))] = True
        return np.concatenate([before, text[stays], after]), moved

    def split_text(self, tokens: NDArray[Any]) -> list[str]:
        """Return each token as a piece of text.

        Args:
            tokens: Token ids, int (tokens,).

        Returns:
            The pieces, with a space before each token that begins a word; "" for special tokens.
        """
        inside = getattr(self._tokenizer, "suffix_indicator", None) or ""
        start, end = self._find_text(tokens)
        read = [""] * len(tokens)
        for place in range(start, end):
            token = int(tokens[place])
            text = str(self._tokenizer.detokenize([token])).strip().removeprefix(inside)
            read[place] = f"{' ' * self._begins_word(token)}{text}"
        return read

    def _find_text(self, tokens: NDArray[Any]) -> tuple[int, int]:
        """Return where a text's own tokens begin and end, between the special tokens around them."""
        own = np.flatnonzero(~np.isin(tokens, self._special))
        return (int(own[0]), int(own[-1]) + 1) if len(own) else (0, 0)

    def _begins_word(self, token: int) -> bool:
        if token not in self._begins:
            written = str(self._tokenizer.id_to_token(token))
            inside = getattr(self._tokenizer, "suffix_indicator", None)  # WordPiece marks what goes on with a word
            self._begins[token] = not written.startswith(inside) if inside else written[:1] in _SPACES
        return self._begins[token]


# What byte-pair encoding and SentencePiece write for the space before a word.
_SPACES = ("Ġ", "▁")


def _make_layers(spec: Augment, image_size: Sequence[int]) -> list[keras.layers.Layer]:
    height, width = image_size
    options: dict[str, Any] = {"data_format": "channels_last", "dtype": "float32"}
    filling = {**options, "fill_mode": spec.fill_mode, "fill_value": spec.fill_value}
    layers: list[keras.layers.Layer] = []
    # Two layers for both directions: Keras's "horizontal_and_vertical" turns an image both ways at once or not at all.
    directions = [direction for direction in ("horizontal", "vertical") if spec.flip in (direction, "both")]
    layers += [keras.layers.RandomFlip(direction, **options) for direction in directions]
    if spec.rotation:
        layers.append(keras.layers.RandomRotation(spec.rotation / 360, **filling))  # Keras counts in whole turns
    if spec.zoom:
        layers.append(keras.layers.RandomZoom(spec.zoom, **filling))
    if any(spec.translation):
        across, down = spec.translation
        layers.append(keras.layers.RandomTranslation(down, across, **filling))
    if spec.crop < 1:
        cropped = (max(1, round(height * spec.crop)), max(1, round(width * spec.crop)))
        layers.append(keras.layers.RandomCrop(*cropped, **options))
    if spec.rand_augment:
        layers.append(keras.layers.RandAugment((0, 255), factor=spec.rand_augment, **options))
    return layers + _make_colour_layers(spec, options)


def _make_colour_layers(spec: Augment, options: dict[str, Any]) -> list[keras.layers.Layer]:
    """Make what changes pixels and leaves them in their places."""
    layers: list[keras.layers.Layer] = []
    if spec.brightness:
        layers.append(keras.layers.RandomBrightness(spec.brightness, **options))
    if spec.contrast:
        both_ways = (spec.contrast, spec.contrast)  # one number would only raise the contrast
        layers.append(keras.layers.RandomContrast(both_ways, **options))
    if spec.saturation:
        # Keras multiplies by f / (1 - f). Its range is that of the saturation itself, which ends at 1 for any pixels.
        factors = (0.5 - spec.saturation / 2, 0.5 + spec.saturation / 2)
        layers.append(keras.layers.RandomSaturation(factors, value_range=(0, 1), **options))
    if spec.hue:
        layers.append(keras.layers.RandomHue(spec.hue, **options))
    if spec.blur:
        layers.append(keras.layers.RandomGaussianBlur((spec.blur, spec.blur), kernel_size=5, sigma=(0, 1), **options))
    if spec.erasing:
        layers.append(keras.layers.RandomErasing((spec.erasing, spec.erasing), **options))
    return layers
