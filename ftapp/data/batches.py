"""Batches of model inputs, in an order that is a pure function of seed, phase and epoch.

Nothing here keeps a position: any step's batch can be made at any time, which is what paired arms and resuming need.
"""

from __future__ import annotations

import functools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import keras
import keras_hub
import numpy as np
from numpy.typing import NDArray

from ftapp import data
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError
from ftapp.data import Subset, augmentation
from ftapp.data.augmentation import Augmenter, TextAugmenter
from ftapp.data.examples import content_hash
from ftapp.data.texts import prepare
from ftapp.recipe import Recipe

_Key = TypeVar("_Key")
_Made = TypeVar("_Made")

# Texts are padded to the longest of their batch, rounded up to this many tokens. JAX compiles once for each length;
# TensorFlow and torch take any.
_LENGTH_STEP = 64 if keras.backend.backend() == "jax" else 16
# Batches are made of texts of like length taken from this many batches' worth of shuffled texts, so little is padding
# and order stays random.
_BUCKETS = 32
_TEXTS_AT_ONCE = 1024
_PREFETCHED = 2
# Tokenizers to which what follows a word is of no matter; so many characters for each token nearly always suffice.
_BY_WORD = (keras_hub.tokenizers.WordPieceTokenizer, keras_hub.tokenizers.BytePairTokenizer)
_CHARACTERS = 8
_WORD_END = re.compile(r"(?<=\S)\s")


class Draw(NamedTuple):
    """A step of training, from whose numbers the augmentation of its batch follows."""

    seed: int
    phase: int
    epoch: int
    step: int


class View(NamedTuple):
    """One of the augmented views that are kept of each example; the augmentation follows from it and the example."""

    seed: int
    number: int


class Dataset(Protocol):
    """Examples as a model takes them.

    lengths: tokens of each example, where examples differ in length, else None.
    """

    @property
    def lengths(self) -> NDArray[np.int64] | None: ...

    def __len__(self) -> int: ...

    def inputs(self, indices: NDArray[np.int64], draw: Draw | None) -> Any:
        """What the model takes for these examples. draw: decides the augmentation; None for none."""
        ...

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Class numbers (examples,), or the next token at each position (examples, tokens)."""
        ...


class Encoded(Dataset, Protocol):
    """The encoded examples of one split of the data."""

    def inputs(self, indices: NDArray[np.int64], draw: Draw | View | None) -> Any: ...

    def width(self, indices: NDArray[np.int64]) -> int | None:
        """To how many tokens `inputs` pads these examples; None for images."""
        ...

    def keys(self, indices: NDArray[np.int64], view: View | None) -> list[bytes]:
        """A hash of 16 bytes for each example of all that decides its inputs, padding aside."""
        ...


class Images:
    """Images, decoded when asked for, resized and scaled as the preset wants."""

    lengths = None

    def __init__(self, subset: Subset, preprocessor: Any, augmenter: Augmenter | None) -> None:
        self._subset, self._preprocessor, self._augmenter = subset, preprocessor, augmenter
        converter = preprocessor.image_converter
        resizing = {key: value for key, value in converter.resizing.get_config().items() if key != "name"}
        self._recipe = repr((resizing, converter.scale, converter.offset)).encode()
        self._digests: dict[int, bytes] = {}  # some sources read an image to hash it

    def __len__(self) -> int:
        return len(self._subset)

    def inputs(self, indices: NDArray[np.int64], draw: Draw | View | None) -> NDArray[np.float32]:
        images = resize_images([self._subset[int(index)] for index in indices], self._preprocessor)
        if self._augmenter is not None and isinstance(draw, View):
            # Each image for itself, so that a view does not depend on what else is in its batch.
            ids = [int.from_bytes(self._digest(int(index)), "big") for index in indices]
            images = np.concatenate(
                [self._augmenter(image[None], (*draw, id)) for image, id in zip(images, ids, strict=True)]
            )
        elif self._augmenter is not None and draw is not None:
            images = self._augmenter(images, draw)
        return scale_images(images, self._preprocessor)

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        return self._subset.labels[indices]

    def grid(self, count: int, views: int, draw: Draw) -> NDArray[np.uint8]:
        """The first `count` images as they are and as they may look in training (`ftapp.data.augmentation.grid`)."""
        images = [self._subset[index] for index in range(min(count, len(self)))]
        return augmentation.grid(resize_images(images, self._preprocessor), self._augmenter, views, draw)

    def width(self, indices: NDArray[np.int64]) -> int | None:
        return None

    def keys(self, indices: NDArray[np.int64], view: View | None) -> list[bytes]:
        view = view if self._augmenter is not None else None
        made = self._recipe + (b"" if view is None else repr((view, self._augmenter)).encode())
        return [content_hash(self._digest(int(index)) + made) for index in indices]

    def _digest(self, index: int) -> bytes:
        if index not in self._digests:
            self._digests[index] = self._subset.examples.digest(int(self._subset.indices[index]))
        return self._digests[index]


class LabelledTexts:
    """Texts, tokenized once: 5 to 9 bytes a token, padded to the sequence length."""

    def __init__(
        self,
        subset: Subset,
        preprocessor: Any,
        progress: Callable[[int, int], None] | None = None,
        augmenter: TextAugmenter | None = None,
    ) -> None:
        self._labels, self._augmenter = subset.labels, augmenter
        self._inputs = encode_texts([str(subset[index]) for index in range(len(subset))], preprocessor, progress)
        self.lengths: NDArray[np.int64] = self._inputs["padding_mask"].sum(axis=1).astype(np.int64)

    def __len__(self) -> int:
        return len(self._labels)

    def inputs(self, indices: NDArray[np.int64], draw: Draw | View | None) -> dict[str, NDArray[Any]]:
        width = self.width(indices)
        inputs = {name: values[indices, :width] for name, values in self._inputs.items()}
        if self._augmenter is None or draw is None:
            return inputs
        numbers = list(range(len(indices)))
        if isinstance(draw, View):  # which does not depend on what else is in its batch
            numbers = [int.from_bytes(key, "big") for key in self.keys(indices, None)]
        return self._augmenter(inputs, [(*draw, number) for number in numbers])

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        return self._labels[indices]

    def width(self, indices: NDArray[np.int64]) -> int:
        return padded_width(self.lengths[indices], int(self._inputs["padding_mask"].shape[1]))

    def keys(self, indices: NDArray[np.int64], view: View | None) -> list[bytes]:
        changes = b"" if view is None or self._augmenter is None else repr((view, self._augmenter)).encode()
        # The width too, since long texts are cut at it and attention sums over it.
        parts = [
            [self.width(np.array([index])), *(values[index, : self.lengths[index]] for values in self._inputs.values())]
            for index in indices
        ]
        return [content_hash(b"".join(np.asarray(part).tobytes() for part in each) + changes) for each in parts]


class Sequences:
    """Documents joined into one stream of tokens and cut into sequences, in which each token predicts its next."""

    lengths = None

    def __init__(self, documents: Sequence[str], preprocessor: Any) -> None:
        length = preprocessor.sequence_length
        stream = encode_stream(documents, preprocessor.tokenizer)
        starts = np.arange(max(0, (len(stream) - 1) // length))[:, None] * length
        self._windows: NDArray[np.int32] = stream[starts + np.arange(length + 1)]

    def __len__(self) -> int:
        return len(self._windows)

    def inputs(self, indices: NDArray[np.int64], draw: Draw | View | None) -> dict[str, NDArray[Any]]:
        tokens = self._windows[indices, :-1]
        return {"token_ids": tokens, "padding_mask": np.ones(tokens.shape, bool)}

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        targets: NDArray[np.int32] = self._windows[indices, 1:]
        return targets

    def width(self, indices: NDArray[np.int64]) -> int:
        return int(self._windows.shape[1]) - 1

    def keys(self, indices: NDArray[np.int64], view: View | None) -> list[bytes]:
        return [content_hash(self._windows[index, :-1].tobytes()) for index in indices]


@dataclass(frozen=True)
class Splits:
    """The encoded examples of a run, the names of their classes, and how many duplicates were dropped.

    counts: examples of each class, in the order of `classes`, by the name of the split; empty for language models;
    notes: what was decided when the source was read, in sentences.
    """

    train: Encoded
    validation: Encoded
    test: Encoded
    classes: tuple[str, ...]
    duplicates: int
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load(
    recipe: Recipe,
    preprocessor: Any,
    progress: Progress,
    found: data.Splits | data.DocumentSplits | None = None,
) -> Splits:
    """Encode the recipe's data, which are read and split unless that is done. Raises RecipeError when a split that is
    needed is empty.
    """
    return encode(recipe, found or data.read(recipe, progress), preprocessor, progress)


def encode(recipe: Recipe, found: data.Splits | data.DocumentSplits, preprocessor: Any, progress: Progress) -> Splits:
    """The recipe's data as its model takes it. Raises RecipeError when a split that is needed is empty."""
    encoded: dict[str, Encoded] = {}
    for name in ("train", "validation", "test"):
        part = getattr(found, name)
        if recipe.task == "causal-lm":
            progress(f"tokenizing the {name} split", 0, None)
            encoded[name] = Sequences(part, preprocessor)
        elif recipe.task == "text-classification":
            told = functools.partial(progress, f"tokenizing the {name} split")
            noise = TextAugmenter(recipe.augmentation, preprocessor.tokenizer) if recipe.augmentation else None
            encoded[name] = LabelledTexts(part, preprocessor, told, noise)
        else:
            encoded[name] = Images(part, preprocessor, _augmenter(recipe))
    for name in dict.fromkeys(("train", "test", recipe.evaluate.split)):
        if not len(encoded[name]):
            message = f"the {name} split is empty; give it a larger share, or more data"
            if recipe.task == "causal-lm":
                given, length = sum(map(len, getattr(found, name))), preprocessor.sequence_length
                message = (
                    f"the {name} split has {given:,} characters, too few for one sequence of {length} tokens; give it "
                    "more text, or set a smaller model.sequence_length"
                )
            raise RecipeError([Problem("", f"data.{name}" if name != "train" else "data.source", message)])
    parts = encoded["train"], encoded["validation"], encoded["test"]
    if isinstance(found, data.Splits):
        return Splits(*parts, found.classes, found.duplicates, found.counts, found.notes)
    return Splits(*parts, (), found.duplicates, notes=found.notes)


def _augmenter(recipe: Recipe) -> Augmenter | None:
    if recipe.augmentation is None or recipe.model.image_size is None:
        return None
    return Augmenter(recipe.augmentation, recipe.model.image_size)


def epoch_order(
    size: int, batch_size: int, key: Sequence[int], lengths: NDArray[np.int64] | None = None, *, fill: bool = False
) -> list[NDArray[np.int64]]:
    """The batches of one epoch: each example once, the last batch perhaps smaller. key: (seed, phase, epoch).

    With lengths, examples of like length share a batch (bucketing), and the batches come in random order. fill: the
    last batch is filled up with the epoch's first examples, which are then in it twice.
    """
    random = np.random.default_rng(list(key))
    order = random.permutation(size)
    if fill and size > batch_size:
        order = np.concatenate([order, order[: -size % batch_size]])
    if lengths is None:
        return cut(order, batch_size)
    buckets = [bucket[np.argsort(lengths[bucket], kind="stable")] for bucket in cut(order, batch_size * _BUCKETS)]
    batches = cut(np.concatenate(buckets), batch_size)
    return [batches[index] for index in random.permutation(len(batches))]


def orders(
    dataset: Dataset, batch_size: int, steps: int, key: Sequence[int], *, fill: bool
) -> Iterator[list[NDArray[np.int64]]]:
    """The batches of a phase of so many steps, epoch by epoch; the last epoch may end early. key: (seed, phase).

    fill: as in `epoch_order`, for models that take statistics from batches, for which a rest may be too small.
    """
    per_epoch = math.ceil(len(dataset) / batch_size)
    for epoch in range(math.ceil(steps / per_epoch)):
        order = epoch_order(len(dataset), batch_size, (*key, epoch), dataset.lengths, fill=fill)
        yield order[: steps - epoch * per_epoch]


def evaluation_order(
    size: int, batch_size: int, limit: int | None, seed: int, lengths: NDArray[np.int64] | None = None
) -> list[NDArray[np.int64]]:
    """Batches of all examples, or of `limit` that the seed draws, the same each time; sorted by length if given."""
    chosen = np.arange(size)
    if limit is not None and limit < size:
        chosen = np.sort(np.random.default_rng(seed).permutation(size)[:limit])
    if lengths is not None:
        chosen = chosen[np.argsort(lengths[chosen], kind="stable")]
    return cut(chosen, batch_size)


def prefetched(make: Callable[[_Key], _Made], keys: Iterator[_Key]) -> Iterator[_Made]:
    """`make` of each key in turn, worked out ahead on another thread while the caller computes."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        waiting: deque[Future[_Made]] = deque()
        try:
            for key in keys:
                waiting.append(pool.submit(make, key))
                if len(waiting) > _PREFETCHED:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def encode_texts(
    texts: Sequence[str], preprocessor: Any, progress: Callable[[int, int], None] | None = None
) -> dict[str, NDArray[Any]]:
    """Token ids and masks, each (texts, sequence length): what the preset's preprocessor makes, as int32 and bool.

    All texts come through here or `encode_stream`, and both prepare them (`ftapp.data.texts.prepare`).
    """
    chunks = []
    for start in range(0, max(1, len(texts)), _TEXTS_AT_ONCE):
        if progress:
            progress(start, len(texts))
        chunks.append(_encoded(list(map(prepare, texts[start : start + _TEXTS_AT_ONCE])) or [""], preprocessor))
    return {name: np.concatenate([chunk[name] for chunk in chunks])[: len(texts)] for name in chunks[0]}


def padded_width(lengths: NDArray[np.int64], limit: int) -> int:
    """To how many tokens texts of so many tokens are padded in one batch."""
    return min(limit, -(-int(lengths.max(initial=1)) // _LENGTH_STEP) * _LENGTH_STEP)


def _encoded(texts: list[str], preprocessor: Any) -> dict[str, NDArray[Any]]:
    """What `encode_texts` makes, where tokens lie within words without splitting what is cut off anyway."""

    def made(some: list[str]) -> dict[str, NDArray[Any]]:
        return {name: _to_numpy(values) for name, values in preprocessor(some).items()}

    if not isinstance(preprocessor.tokenizer, _BY_WORD):
        return made(texts)
    beginnings = [_beginning(text, _CHARACTERS * preprocessor.sequence_length) for text in texts]
    encoded = made(beginnings)
    is_cut = np.array([len(part) < len(text) for part, text in zip(beginnings, texts, strict=True)])
    short = np.flatnonzero(is_cut & ~encoded["padding_mask"].all(axis=1))
    for name, values in made([texts[index] for index in short]).items() if len(short) else ():
        encoded[name][short] = values
    return encoded


def _beginning(text: str, characters: int) -> str:
    """At least so many characters of a text, or all of it, up to the end of a word."""
    end = _WORD_END.search(text, characters)
    return text[: end.start()] if end else text


def count_tokens(texts: Sequence[str], preprocessor: Any) -> list[int]:
    """How many tokens each text has, the special ones around it included, before it is cut."""
    special = int(encode_texts([""], preprocessor)["padding_mask"].sum())
    return [len(tokens) + special for tokens in preprocessor.tokenizer(list(map(prepare, texts)))]


def encode_stream(documents: Sequence[str], tokenizer: Any) -> NDArray[np.int32]:
    """The tokens of all documents in a row, (tokens,) int32, with the tokenizer's end token after each."""
    parts = []
    for document in documents:
        # Whole lines of about 2,000 characters at a time: KerasHub's byte-pair encoder slows down on long strings.
        pieces, size = [[""]], 0
        for line in prepare(document).splitlines(keepends=True):
            if size + len(line) > 2000 and size:
                pieces.append([])
                size = 0
            pieces[-1].append(line)
            size += len(line)
        parts += [_to_numpy(tokens) for tokens in tokenizer(["".join(piece) for piece in pieces])]
        if tokenizer.end_token_id is not None:
            parts.append(np.array([tokenizer.end_token_id], np.int32))
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def encode_images(images: Sequence[Any], preprocessor: Any) -> NDArray[np.float32]:
    """Images of any sizes, (height, width, 3) in 0..255, as the model takes them: (n, height, width, 3), float32."""
    return scale_images(resize_images(images, preprocessor), preprocessor)


def resize_images(images: Sequence[Any], preprocessor: Any) -> NDArray[np.float32]:
    """Images of any sizes, resized as the preset's converter does it, still in 0..255."""
    resize = _resizer(preprocessor.image_converter.resizing)
    return np.stack([np.asarray(resize(np.asarray(image, np.float32))) for image in images])


@functools.lru_cache(maxsize=1)
def _resizer(resizing: Any) -> Any:
    """A Keras resizing layer as one TensorFlow function for images of any size, in float32.

    Inside such a function the layer computes with TensorFlow on every backend: JAX would compile it anew for each size.
    """
    import tensorflow

    exact = type(resizing).from_config({**resizing.get_config(), "dtype": "float32"})
    return tensorflow.function(exact, input_signature=[tensorflow.TensorSpec([None, None, 3], tensorflow.float32)])


def scale_images(images: NDArray[np.float32], preprocessor: Any) -> NDArray[np.float32]:
    """Pixel values brought from 0..255 into the range that the preset's weights were trained on."""
    converter = preprocessor.image_converter
    if converter.scale is not None:
        images = images * np.asarray(converter.scale, np.float32)
    if converter.offset is not None:
        images = images + np.asarray(converter.offset, np.float32)
    return images


def cut(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Examples in their order, so many at a time; the last part may be smaller."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def _to_numpy(values: Any) -> NDArray[Any]:
    array = np.asarray(keras.ops.convert_to_numpy(values))
    return array.astype(np.int32) if array.dtype == np.int64 else array
