"""Texts and images as a preset's preprocessor encodes them: token ids and masks, and pixels in the preset's range."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
from numpy.typing import NDArray

from ftapp.data import kerashub
from ftapp.data.mapped_arrays import ArrayWriter
from ftapp.data.packing import find_packer
from ftapp.data.texts import prepare
from ftapp.data.word_piece import find_encoder

# Texts are padded to the longest of their batch, rounded up to this many tokens. JAX compiles once for each length;
# TensorFlow and torch take any.
_LENGTH_STEP = 64 if keras.backend.backend() == "jax" else 16
# Tokenizers to which what follows a word is of no matter; so many characters for each token nearly always suffice.
_BY_WORD = (keras_hub.tokenizers.WordPieceTokenizer, keras_hub.tokenizers.BytePairTokenizer)
_CHARACTERS = 8
_PIECE, _PIECES_AT_ONCE = 2000, 1024  # of documents: characters of a piece, and pieces that are tokenized together
_WORD_END = re.compile(r"(?<=\S)\s")


def encode_texts(texts: Sequence[str], preprocessor: Any) -> dict[str, NDArray[Any]]:
    """Encode texts with the preset's preprocessor.

    All texts of models come through here or `encode_stream`; both prepare them (`ftapp.data.texts.prepare`).

    Args:
        texts: The texts.
        preprocessor: The preset's preprocessor.

    Returns:
        Token ids, int32, and masks, bool, each (texts, sequence length), by name.
    """
    encoded = _encode(list(map(prepare, texts)) or [""], preprocessor)
    return {name: values[: len(texts)] for name, values in encoded.items()}


def compute_padded_width(lengths: NDArray[np.int64], limit: int) -> int:
    """Compute the number of tokens to which the texts of one batch are padded.

    Args:
        lengths: Tokens of each text, int64 (texts,).
        limit: The sequence length.

    Returns:
        The longest length, rounded up, at most `limit`.
    """
    return min(limit, -(-int(lengths.max(initial=1)) // _LENGTH_STEP) * _LENGTH_STEP)


def _encode(texts: list[str], preprocessor: Any) -> dict[str, NDArray[Any]]:
    """Encode texts; where tokens lie within words, the end of a long text is cut off before it is tokenized."""
    packer = find_packer(preprocessor)
    if packer is None:
        return kerashub.preprocess(texts, preprocessor)
    tokenizer = preprocessor.tokenizer
    if not isinstance(tokenizer, _BY_WORD):
        return packer.pack(tokenize(texts, tokenizer))
    beginnings = [_take_beginning(text, _CHARACTERS * preprocessor.sequence_length) for text in texts]
    tokens = tokenize(beginnings, tokenizer)
    short = [
        index
        for index, (part, text) in enumerate(zip(beginnings, texts, strict=True))
        if len(part) < len(text) and len(tokens[index]) < packer.room
    ]
    for index, whole in zip(short, tokenize([texts[index] for index in short], tokenizer), strict=True):
        tokens[index] = whole
    return packer.pack(tokens)


def tokenize(texts: Sequence[str], tokenizer: Any) -> list[Sequence[int]]:
    """Tokenize texts with the ids that KerasHub's tokenizer gives, on all cores where that is possible.

    KerasHub's byte-pair and SentencePiece tokenizers are compiled code; of WordPiece, see `ftapp.data.word_piece`.

    Args:
        texts: The texts, as `ftapp.data.texts.prepare` leaves them.
        tokenizer: The preset's tokenizer.

    Returns:
        The token ids of each text, without special tokens.
    """
    encoder = find_encoder(tokenizer)
    return encoder.encode(texts) if encoder else kerashub.tokenize(texts, tokenizer)


def _take_beginning(text: str, characters: int) -> str:
    """Return at least so many characters of a text, up to the end of a word, or all of it."""
    end = _WORD_END.search(text, characters)
    return text[: end.start()] if end else text


def count_tokens(texts: Sequence[str], preprocessor: Any) -> list[int]:
    """Count the tokens of each text, with the special tokens around it, before it is cut.

    Args:
        texts: The texts.
        preprocessor: The preset's preprocessor.

    Returns:
        The number of tokens of each text.
    """
    special = int(encode_texts([""], preprocessor)["padding_mask"].sum())
    return [len(tokens) + special for tokens in tokenize(list(map(prepare, texts)), preprocessor.tokenizer)]


def encode_stream(documents: Sequence[str], tokenizer: Any) -> NDArray[np.int32]:
    """Encode documents as one stream of tokens, with the tokenizer's end token after each.

    Args:
        documents: The texts.
        tokenizer: The preset's tokenizer.

    Returns:
        Token ids, int32 (tokens,), in a file if they are many.
    """
    stream = ArrayWriter(np.int32)
    for document in documents:
        pieces = _split_into_pieces(prepare(document))
        for start in range(0, len(pieces), _PIECES_AT_ONCE):
            tokens = tokenize(pieces[start : start + _PIECES_AT_ONCE], tokenizer)
            for ids in tokens:
                stream.append(np.array(ids, np.int32))
        if tokenizer.end_token_id is not None:
            stream.append(np.array([tokenizer.end_token_id], np.int32))
    return stream.finish()


def _split_into_pieces(text: str) -> list[str]:
    """Split a text into pieces of whole lines, which have about `_PIECE` characters each."""
    pieces, size = [[""]], 0
    for line in text.splitlines(keepends=True):
        if size + len(line) > _PIECE and size:
            pieces.append([])
            size = 0
        pieces[-1].append(line)
        size += len(line)
    return ["".join(piece) for piece in pieces]


def encode_images(images: Sequence[Any], preprocessor: Any) -> NDArray[np.float32]:
    """Resize and scale images as the preset needs them.

    Args:
        images: Images of any sizes, each (height, width, 3) in 0..255.
        preprocessor: The preset's preprocessor.

    Returns:
        Float32 (images, height, width, 3) in the range of the preset.
    """
    return scale_images(resize_images(images, preprocessor), preprocessor)


def get_longer_side(preprocessor: Any) -> int:
    """Return the pixels of the longer side of a preset's images, which decoded images keep at least."""
    return int(max(preprocessor.image_size))


def resize_images(images: Sequence[Any], preprocessor: Any) -> NDArray[np.float32]:
    """Resize images as the preset's converter does.

    Args:
        images: Images of any sizes, each (height, width, 3) in 0..255.
        preprocessor: The preset's preprocessor.

    Returns:
        Float32 (images, height, width, 3) in 0..255.
    """
    return np.stack([resize_image(image, preprocessor) for image in images])


def resize_image(image: Any, preprocessor: Any, times: int = 1) -> NDArray[np.float32]:
    """Resize one image as `resize_images` does.

    Args:
        image: An image of any size, (height, width, 3) in 0..255.
        preprocessor: The preset's preprocessor.
        times: How many times larger than the model takes it, to be looked at; the same part of the image.

    Returns:
        Float32 (height, width, 3) in 0..255.
    """
    resize = _make_resizer(preprocessor.image_converter.resizing, times)
    return np.asarray(resize(np.asarray(image, np.float32)))


@functools.lru_cache(maxsize=2)
def _make_resizer(resizing: Any, times: int) -> Any:
    """Make one TensorFlow function of a Keras resizing layer, for images of any size, in float32.

    Inside such a function the layer computes with TensorFlow on every backend: JAX would compile it anew for each size.
    """
    import tensorflow

    size = {"height": resizing.height * times, "width": resizing.width * times}
    exact = type(resizing).from_config({**resizing.get_config(), **size, "dtype": "float32"})
    return tensorflow.function(exact, input_signature=[tensorflow.TensorSpec([None, None, 3], tensorflow.float32)])


def scale_images(images: NDArray[np.float32], preprocessor: Any) -> NDArray[np.float32]:
    """Bring pixel values from 0..255 into the range that the preset's weights were trained on.

    Args:
        images: Float32 (images, height, width, 3) in 0..255.
        preprocessor: The preset's preprocessor.

    Returns:
        The scaled images, of the same shape and type.
    """
    converter = preprocessor.image_converter
    if converter.scale is not None:
        images = images * np.asarray(converter.scale, np.float32)
    if converter.offset is not None:
        images = images + np.asarray(converter.offset, np.float32)
    return images
