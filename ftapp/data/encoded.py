"""The examples of a recipe's splits as its model takes them: images, labelled texts, sequences of tokens."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.data import augmentation
from ftapp.data.augmentation import Augmenter, TextAugmenter
from ftapp.data.dataset import AugmentedView, BatchKey, Targets
from ftapp.data.encoding import (
    compute_padded_width,
    encode_stream,
    encode_texts,
    get_longer_side,
    resize_image,
    scale_images,
)
from ftapp.data.examples import Subset
from ftapp.data.hashes import hash_content
from ftapp.data.mapped_arrays import make_zeros, split_rows
from ftapp.data.of_subset import OfSubset
from ftapp.data.order import split_into_batches
from ftapp.data.thumbnails import THUMBNAIL

_TEXTS_AT_ONCE = 1024


@functools.cache
def start_image_pool() -> ThreadPoolExecutor:
    """Start the threads that decode images; decoders and TensorFlow leave Python to the others while they work."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="images")


class Images(OfSubset):
    """Images, decoded at each use on all cores, resized and scaled as the preset needs them.

    Large JPEG files are decoded at a fraction of their size that has at least the pixels of the preset's images.

    Args:
        subset: The images.
        preprocessor: The preset's preprocessor.
        augmenter: The augmenter; None for no augmentation.
    """

    lengths = None

    def __init__(self, subset: Subset, preprocessor: Any, augmenter: Augmenter | None) -> None:
        self._subset, self._preprocessor, self._augmenter = subset, preprocessor, augmenter
        self._labels = subset.labels
        converter = preprocessor.image_converter
        resizing = {key: value for key, value in converter.resizing.get_config().items() if key != "name"}
        self._side = get_longer_side(preprocessor)
        self._recipe = repr((resizing, converter.scale, converter.offset)).encode()
        if subset.examples.decodes:
            self._recipe += f", at least {self._side} pixels".encode()
        self._digests: dict[int, bytes] = {}  # some sources read an image to hash it

    def __len__(self) -> int:
        return len(self._subset)

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> NDArray[np.float32]:
        """Return images (examples, height, width, 3), float32, in the range of the preset."""
        images = self._read(indices)
        if self._augmenter is not None and isinstance(key, AugmentedView):
            # Each image for itself, so that a view does not depend on what else is in its batch.
            ids = [int.from_bytes(self.digest(int(index)), "big") for index in indices]
            images = np.concatenate(
                [self._augmenter(image[None], (*key, id)) for image, id in zip(images, ids, strict=True)]
            )
        elif self._augmenter is not None and key is not None:
            images = self._augmenter(images, key)
        return scale_images(images, self._preprocessor)

    def get_targets(self, indices: NDArray[np.int64]) -> Targets:
        """Return the labels of the examples, as `Dataset` describes them."""
        return self._labels[indices]

    def make_grid(self, count: int, views: int, key: BatchKey) -> NDArray[np.uint8]:
        """Return the first images, unchanged and augmented, as `ftapp.data.augmentation.make_grid` does.

        Args:
            count: How many images.
            views: How many augmented forms of each.
            key: The step that decides the changes.

        Returns:
            Uint8 (1 + views, images, height, width, 3).
        """
        images = self._read(np.arange(min(count, len(self))))
        return augmentation.make_grid(images, self._augmenter, views, key)

    def read_example(self, index: int) -> NDArray[np.uint8]:
        """Return an image as it is, uint8 (height, width, 3), large JPEG files at a fraction of their size."""
        return self._subset.read_image(index, THUMBNAIL)

    def compute_width(self, indices: NDArray[np.int64]) -> int | None:
        """Return None: images have no tokens."""
        return None

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Hash all that decides the inputs of these examples, padding aside, to 16 bytes each."""
        changes = self._recipe + _describe_changes(view, self._augmenter)
        return [hash_content(self.digest(int(index)) + changes) for index in indices]

    def _read(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Decode and resize images: float32 (images, height, width, 3) in 0..255."""

        def read(index: int) -> NDArray[np.float32]:
            return resize_image(self._subset.read_image(index, self._side), self._preprocessor)

        return np.stack(list(start_image_pool().map(read, map(int, indices))))

    def digest(self, index: int) -> bytes:
        """Hash an image as it is in its source, such as the bytes of its file."""
        if index not in self._digests:
            self._digests[index] = super().digest(index)
        return self._digests[index]


class LabelledTexts(OfSubset):
    """Texts, tokenized once, when they are first asked for: 5 to 9 bytes a token, padded to the sequence length.

    The encoded texts are in a file where they are large (`ftapp.data.mapped_arrays`).

    Args:
        subset: The texts.
        preprocessor: The preset's preprocessor.
        augmenter: The augmenter; None for no augmentation.
    """

    def __init__(self, subset: Subset, preprocessor: Any, augmenter: TextAugmenter | None = None) -> None:
        self._subset, self._preprocessor, self._augmenter = subset, preprocessor, augmenter
        self._labels, self._limit = subset.labels, int(preprocessor.sequence_length)
        self._inputs: dict[str, NDArray[Any]] = {}  # rows of texts that have not been asked for are not set
        self._is_known = np.zeros(len(subset), bool)
        self._encoding = threading.Lock()  # batches are made on another thread than evaluations

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def lengths(self) -> TextLengths:
        """The number of tokens of each text."""
        return TextLengths(self)

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> dict[str, NDArray[Any]]:
        """Return token_ids, padding_mask and the preset's other arrays, each (examples, tokens)."""
        width = self.compute_width(indices)
        inputs = {name: values[indices, :width] for name, values in self.encode(indices).items()}
        if self._augmenter is None or key is None:
            return inputs
        numbers = list(range(len(indices)))
        if isinstance(key, AugmentedView):  # which does not depend on what else is in its batch
            numbers = [int.from_bytes(digest, "big") for digest in self.hash_examples(indices, None)]
        return self._augmenter(inputs, [(*key, number) for number in numbers])

    def read_example(self, index: int) -> str:
        """Return a text."""
        return str(self._subset[index])

    def encode(self, indices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Encode these texts if they are not yet encoded.

        Args:
            indices: The texts, int64 (texts,).

        Returns:
            The arrays of all texts, each (texts, sequence length), by name; the rows of these texts are set.
        """
        with self._encoding:
            missing = np.unique(indices[~self._is_known[indices]])
            for some in split_into_batches(missing, _TEXTS_AT_ONCE):
                encoded = encode_texts([str(self._subset[int(index)]) for index in some], self._preprocessor)
                for name, values in encoded.items():
                    if name not in self._inputs:
                        self._inputs[name] = make_zeros((len(self), *values.shape[1:]), values.dtype)
                    self._inputs[name][some] = values
                self._is_known[some] = True
        return self._inputs

    def get_targets(self, indices: NDArray[np.int64]) -> Targets:
        """Return the labels of the examples, as `Dataset` describes them."""
        return self._labels[indices]

    def compute_width(self, indices: NDArray[np.int64]) -> int:
        """Return the number of tokens to which these examples are padded."""
        return compute_padded_width(self.lengths[indices], self._limit)

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Hash all that decides the inputs of these examples, padding aside, to 16 bytes each."""
        changes = _describe_changes(view, self._augmenter)
        # The width too, since long texts are cut at it and attention sums over it.
        inputs, lengths = self.encode(indices), self.lengths[indices]
        parts = [
            [
                compute_padded_width(lengths[place : place + 1], self._limit),
                *(values[index, : lengths[place]] for values in inputs.values()),
            ]
            for place, index in enumerate(indices)
        ]
        return [hash_content(b"".join(np.asarray(part).tobytes() for part in each) + changes) for each in parts]


class TextLengths:
    """The numbers of tokens of labelled texts, which are encoded when their length is looked up.

    Args:
        texts: The texts.
    """

    def __init__(self, texts: LabelledTexts) -> None:
        self._texts = texts

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.int64]:
        """Look up the numbers of tokens of some texts, special tokens among them: int64 (texts,)."""
        mask = self._texts.encode(indices)["padding_mask"][indices]
        lengths: NDArray[np.int64] = mask.sum(axis=1, dtype=np.int64)
        return lengths


class Sequences:
    """Documents joined into one stream of tokens and cut into sequences; each token predicts the next one.

    Args:
        documents: The texts.
        preprocessor: The preset's preprocessor.
    """

    lengths = None

    def __init__(self, documents: Sequence[str], preprocessor: Any) -> None:
        length = preprocessor.sequence_length
        stream = encode_stream(documents, preprocessor.tokenizer)
        self._windows: NDArray[np.int32] = split_rows(stream, length + 1, length)
        self._tokenizer = preprocessor.tokenizer

    def __len__(self) -> int:
        return len(self._windows)

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> dict[str, NDArray[Any]]:
        """Return token_ids, padding_mask and the preset's other arrays, each (examples, tokens)."""
        tokens = self._windows[indices, :-1]
        return {"token_ids": tokens, "padding_mask": np.ones(tokens.shape, bool)}

    def get_targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the next token at each position, int32 (examples, tokens)."""
        targets: NDArray[np.int32] = self._windows[indices, 1:]
        return targets

    def locate(self, index: int) -> str:
        """Name the place of a sequence in the stream of the split's documents."""
        return f"sequence {index + 1}"

    def find_file(self, index: int) -> None:
        """Return None: sequences are parts of files, or of several."""

    def digest(self, index: int) -> bytes:
        """Hash the tokens of a sequence."""
        return hash_content(self._windows[index].tobytes())

    def read_example(self, index: int) -> str:
        """Return the text of the tokens of a sequence."""
        return str(self._tokenizer.detokenize(self._windows[index, :-1].tolist()))

    def compute_width(self, indices: NDArray[np.int64]) -> int:
        """Return the number of tokens to which these examples are padded."""
        return int(self._windows.shape[1]) - 1

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Hash all that decides the inputs of these examples, padding aside, to 16 bytes each."""
        return [hash_content(self._windows[index, :-1].tobytes()) for index in indices]


def _describe_changes(view: AugmentedView | None, augmenter: Augmenter | TextAugmenter | None) -> bytes:
    """Describe what augmentation does to an example; features are cached under a hash of it, so the words stay."""
    if view is None or augmenter is None:
        return b""
    return f"(View(seed={view.seed}, number={view.number}), {augmenter!r})".encode()
