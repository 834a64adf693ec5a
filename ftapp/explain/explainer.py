"""Explains answers of a trained model: by Grad-CAM for convolution nets, by integrated gradients for transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.data.encoding import compute_padded_width, encode_texts, scale_images
from ftapp.data.texts import prepare
from ftapp.explain.grad_cam import GradCam, find_feature_maps
from ftapp.explain.integrated_gradients import Attributions, go_on, integrate
from ftapp.explain.targets import choose_score, make_score_model, split
from ftapp.explain.words import Word, find_words
from ftapp.models.gradients import make_gradient
from ftapp.models.graph import make_rest
from ftapp.models.keras_internals import graph_nodes
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.runs.explanations import Method

_PIXELS, _EMBEDDINGS = "pixels", "token_embeddings"
_TOKENS = "token_ids"
_CELLS = 14  # of a map of pixels to a side: the patches of 16 pixels of an image of 224
_IMAGES_AT_ONCE, _TEXTS_AT_ONCE = 8, 16
_WHITE = 255.0


class Map(NamedTuple):
    """Where in an image the evidence for an output is.

    Attributes:
        cells: The evidence in each cell, float32 (rows, columns), 0 or more. Its unit is that of the score.
        attributions: What the cells sum up, from each baseline; empty for Grad-CAM.
    """

    cells: NDArray[np.float32]
    attributions: tuple[Attributions, ...]


class WordShares(NamedTuple):
    """By how much each word of a text moves the score of an output.

    Attributes:
        words: The words in order.
        values: By how much each raises the score, float32 (words,); 0 for words that the model does not read.
        attributions: What the values sum up.
    """

    words: list[Word]
    values: NDArray[np.float32]
    attributions: Attributions


class Explainer:
    """Explains the answers of a trained model.

    Attributes:
        method: How.
        model: The model of scores that is explained. Its layers are those of the trained model, but for the last one.

    Args:
        trained: A model that classifies or measures.
    """

    method: Method
    model: keras.Model

    def __init__(self, trained: TrainedModel) -> None:
        self._preprocessor = trained.preprocessor
        self._outputs = max(1, len(trained.classes))
        self.model, score = make_score_model(trained), choose_score(trained)
        self._grad_cam: GradCam | None = None
        self.method = "integrated gradients"
        if TASKS[trained.task].inputs == "texts":
            self._embed, rest = split(self.model, find_embeddings(self.model), _EMBEDDINGS)
            self._gradient = make_gradient(rest, _EMBEDDINGS, score)
            self._passed = tuple(name for name in rest.input if name != _EMBEDDINGS)
        elif (maps := find_feature_maps(self.model)) is not None:
            self.method = "Grad-CAM"
            self._grad_cam = GradCam(self.model, maps, score)
        else:
            self._gradient = make_gradient(make_rest(self.model, {_PIXELS: self.model.inputs[0]}), _PIXELS, score)

    def explain_image(self, pixels: NDArray[np.float32], output: int, check: Callable[[], None] = go_on) -> Map:
        """Explain the answer to an image.

        Integrated gradients are the mean of those from a black and from a white image: from a black one alone, no black
        part of an image could be evidence. They are summed over the channels and over the pixels of each cell, and the
        cells that speak against the output are 0, as in Grad-CAM.

        Args:
            pixels: The image as `ftapp.data.encoding.resize_image` gives it, float32 (height, width, 3) in 0..255.
            output: The place of the class; 0 for a number.
            check: Called from time to time; it may raise, to stop.
        """
        chosen = self._choose(output)
        if self._grad_cam is not None:
            return Map(self._grad_cam.compute_map(scale_images(pixels[None], self._preprocessor)[0], chosen), ())
        image, black, white = scale_images(
            np.stack([pixels, np.zeros_like(pixels), np.full_like(pixels, _WHITE)]), self._preprocessor
        )
        found = tuple(
            integrate(self._gradient, _PIXELS, image, baseline, {}, chosen, batch_size=_IMAGES_AT_ONCE, check=check)
            for baseline in (black, white)
        )
        parts = np.mean([each.parts for each in found], axis=0)
        return Map(np.maximum(_sum_cells(parts), 0), found)

    def explain_text(self, text: str, output: int, check: Callable[[], None] = go_on) -> WordShares:
        """Explain the answer to a text.

        The baseline has a blank in the place of each token of the text, and the same special tokens: a text of the same
        length without words. The path leads through the embeddings of the tokens.

        Args:
            text: The text.
            output: The place of the class; 0 for a number.
            check: Called from time to time; it may raise, to stop.
        """
        inputs = encode_texts([text], self._preprocessor)
        mask = inputs["padding_mask"]
        words = find_words(prepare(text), inputs[_TOKENS][0], self._preprocessor.tokenizer)
        width = compute_padded_width(mask.sum(axis=1), mask.shape[1])
        inputs = {name: values[:, :width] for name, values in inputs.items()}
        ids = inputs[_TOKENS][0]
        without = ids.copy()
        for word in words:
            if word.tokens is not None:
                without[word.tokens.start : word.tokens.stop] = self._blank
        both = {name: np.repeat(values, 2, axis=0) for name, values in inputs.items()}
        both[_TOKENS] = np.stack([ids, without])
        embedded = keras.ops.convert_to_numpy(keras.ops.cast(self._embed.predict_on_batch(both), "float32"))
        found = integrate(
            self._gradient,
            _EMBEDDINGS,
            embedded[0],
            embedded[1],
            {name: inputs[name][0] for name in self._passed},
            self._choose(output),
            batch_size=_TEXTS_AT_ONCE,
            check=check,
        )
        tokens = found.parts
        values = [0.0 if word.tokens is None else tokens[word.tokens.start : word.tokens.stop].sum() for word in words]
        return WordShares(words, np.array(values, np.float32), found)

    def _choose(self, output: int) -> NDArray[np.float32]:
        chosen = np.zeros(self._outputs, np.float32)
        chosen[output] = 1
        return chosen

    @functools.cached_property
    def _blank(self) -> int:
        """The id of the token that stands for no word: the padding token.

        Some models, as DeBERTa, have an embedding of zeros there, and a normalization above it takes no notice of the
        size of vectors, so a path from zeros would end in its first step. For these it is the mask token, which stands
        for an unknown word.
        """
        padded = {name: values[:, -1:] for name, values in encode_texts([""], self._preprocessor).items()}
        mask = getattr(self._preprocessor.tokenizer, "mask_token_id", None)
        is_zero = not keras.ops.any(self._embed.predict_on_batch(padded))
        return int(mask if is_zero and mask is not None else padded[_TOKENS][0, 0])


def find_embeddings(model: keras.Model) -> Any:
    """Find the embeddings of a text model's tokens, by its graph: the first vectors of tokens that follow from ids."""
    (ids,) = (tensor for tensor in model.inputs if tensor.name == _TOKENS)
    for node in graph_nodes(model):
        if not node.is_input and any(tensor is ids for tensor in node.input_tensors):
            for tensor in node.outputs:
                if len(tensor.shape) == 3 and keras.backend.is_float_dtype(tensor.dtype):
                    return tensor
    raise ValueError(f"the graph of '{model.name}' has no embeddings of its tokens")


def _sum_cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum values (height, width) over cells, of which there are at most `_CELLS` to a side."""
    rows, columns = (np.unique(np.arange(min(_CELLS, size)) * size // min(_CELLS, size)) for size in values.shape)
    sums: NDArray[np.float32] = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    return sums
