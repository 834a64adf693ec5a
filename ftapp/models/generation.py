"""Text of a causal language model, reported token by token while KerasHub's own generation writes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import keras_hub
import numpy as np

from ftapp.common.errors import RunError
from ftapp.data.texts import prepare

_REPLACEMENT = "\ufffd"  # stands for a character of which some bytes are still to come
_STEP = 64  # tokens; lengths are rounded up to it, so that few are traced anew


@dataclass(frozen=True)
class GeneratedText:
    """A continuation of a prompt.

    Attributes:
        text: The continuation, without the prompt.
        tokens: How many tokens were written.
        seconds: How long they took, with the reading of the prompt.
        ended: Whether the model wrote its end token.
        limit: How many tokens the model reads in all; None for any number.
        stopped: Whether the model wrote a stop word, before which the text ends.
    """

    text: str
    tokens: int
    seconds: float
    ended: bool
    limit: int | None
    stopped: bool = False


class StreamingSampler(keras_hub.samplers.TopKSampler):
    """Top-k and top-p sampling whose loop runs in Python, one token after another, and tells of each.

    Args:
        report: Gets each token's id; it returns whether to stop, and may raise.
        tokens: The largest number of tokens.
        k: Among how many of the likeliest tokens one is chosen.
        p: The probability that the likeliest of these have together, among which one is chosen; 1 for all.
        temperature: How freely one is chosen.
        seed: Decides the choices.
    """

    def __init__(
        self, report: Callable[[int], bool], tokens: int, *, k: int, p: float, temperature: float, seed: int
    ) -> None:
        super().__init__(k=k, temperature=temperature, seed=seed)
        self._report, self._tokens = report, tokens
        self._nucleus = keras_hub.samplers.TopPSampler(p=p, k=k, seed=seed) if p < 1 else None

    def get_next_token(self, probabilities: Any) -> Any:
        """Choose a token by probabilities (1, vocabulary)."""
        return self._nucleus.get_next_token(probabilities) if self._nucleus else super().get_next_token(probabilities)

    def run_loop(
        self, cond: Any, body: Any, model: Any = None, loop_vars: Any = None, maximum_iterations: Any = None
    ) -> Any:
        """As KerasHub's, which asks `cond` whether to go on with (prompt, cache, index, mask) and lets `body` do it."""
        for _ in range(min(self._tokens, int(maximum_iterations))):
            index = int(loop_vars[2])
            loop_vars = body(*loop_vars)
            token = int(loop_vars[0][0, index])
            if not bool(cond(*loop_vars)) or self._report(token):
                break
        return loop_vars


def stream(
    causal_lm: Any,
    prompt: str,
    report: Callable[[str], None],
    *,
    tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
    top_p: float = 1.0,
    stop: Sequence[str] = (),
) -> GeneratedText:
    """Continue a prompt. `report` gets each piece of text, in whole characters, and may raise to stop.

    The tokens are those that the model's `generate` draws with a TopKSampler of the same `top_k`, `temperature` and
    `seed`, or with a TopPSampler if `top_p` is below 1; a temperature of 0 takes the most probable each time. The text
    ends before the first of the `stop` words that the model writes. Raises RunError for values that cannot be.
    """
    preprocessor, backbone = causal_lm.preprocessor, causal_lm.backbone
    prompt = prepare(prompt)
    limit = get_longest(backbone)
    _check_values(tokens, temperature, top_k, top_p, stop)
    given = _prompt(causal_lm, prompt, limit)
    length = -(-(len(given) + tokens) // _STEP) * _STEP
    inputs = preprocessor.generate_preprocess([prompt], sequence_length=min(length, limit or length))
    written: list[int] = []
    begun, before = time.perf_counter(), _text(preprocessor, given)
    known, end = before, None

    def tell(token: int) -> bool:
        nonlocal known, end
        written.append(token)
        whole = _text(preprocessor, [*given, *written]).rstrip(_REPLACEMENT)
        end = _find_stop(whole, len(before), stop)
        sure = whole[: len(whole) - _count_open(whole[len(before) :], stop) if end is None else end]
        piece, known = sure[len(known) :], max(sure, known, key=len)
        report(piece)
        return end is not None

    causal_lm.sampler = StreamingSampler(
        tell,
        tokens,
        k=min(top_k, backbone.vocabulary_size) if temperature else 1,
        p=top_p,
        temperature=temperature or 1.0,
        seed=seed,
    )
    tokenizer = preprocessor.tokenizer
    ends = [end for end in (tokenizer.end_token_id, getattr(tokenizer, "end_token2_id", None)) if end is not None]
    with _without_gradients():
        tensors = {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}
        causal_lm.generate_step(tensors, tuple(ends) or None)
    text = _text(preprocessor, [*given, *written])[:end]
    if len(text) > len(known):
        report(text[len(known) :])  # the last character stays incomplete, and no stop word has come
    return GeneratedText(
        text=text[len(before) :],
        tokens=len(written),
        seconds=time.perf_counter() - begun,
        ended=end is None and len(written) < min(tokens, (limit or length) - len(given)),
        limit=limit,
        stopped=end is not None,
    )


def get_longest(backbone: Any) -> int | None:
    """Return how many tokens a backbone reads in all; None for any number, as with rotary positions."""
    longest: int | None = getattr(backbone, "max_sequence_length", None)
    return longest


def quicken(causal_lm: Any) -> None:
    """Let a language model's steps run as a graph, on TensorFlow, where a step is else mostly Python's time.

    The first text takes longer, since the graph is traced; so does the first of another length.
    """
    if keras.backend.backend() == "tensorflow" and hasattr(causal_lm, "call_with_cache"):
        import tensorflow

        causal_lm.call_with_cache = tensorflow.function(causal_lm.call_with_cache)


def _check_values(tokens: int, temperature: float, top_k: int, top_p: float, stop: Sequence[str]) -> None:
    if tokens < 1 or top_k < 1 or temperature < 0:
        raise RunError(
            "a text has at least 1 token, drawn from the top 1 or more, at a temperature of 0 or above; "
            f"got {tokens} tokens, top {top_k}, temperature {temperature:g}"
        )
    if not 0 < top_p <= 1:
        raise RunError(f"top-p is a probability above 0, and 1 for all tokens; got {top_p:g}")
    if not all(stop):
        raise RunError("a stop word has characters; got an empty one")


def _find_stop(text: str, start: int, stop: Sequence[str]) -> int | None:
    """Find the place of the first stop word in a text from some place on; None where there is none."""
    return min((place for word in stop if (place := text.find(word, start)) >= 0), default=None)


def _count_open(text: str, stop: Sequence[str]) -> int:
    """Count the characters at the end of a text that may be the beginning of a stop word."""
    lengths = (length for word in stop for length in range(1, len(word)) if text.endswith(word[:length]))
    return max(lengths, default=0)


def _prompt(causal_lm: Any, prompt: str, limit: int | None) -> list[int]:
    """The tokens of the prompt as the model gets them, with a start token where it has one."""
    longest = limit or len(causal_lm.preprocessor.tokenizer(prompt)) + _STEP
    encoded = causal_lm.preprocessor.generate_preprocess([prompt], sequence_length=longest + 1)
    mask = np.asarray(keras.ops.convert_to_numpy(encoded["padding_mask"]))[0].astype(bool)
    given = np.asarray(keras.ops.convert_to_numpy(encoded["token_ids"]))[0][mask]
    if len(given) >= longest:
        raise RunError(f"this model reads {longest} tokens in all; the prompt leaves no room: it has {len(given)}")
    return [int(token) for token in given]


def _text(preprocessor: Any, tokens: Sequence[int]) -> str:
    """The text of some tokens, special ones left out."""
    ids = np.array([tokens], np.int32)
    texts = preprocessor.generate_postprocess({"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)})
    return str(texts[0])


def _without_gradients() -> AbstractContextManager[Any]:
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    context: AbstractContextManager[Any] = torch.no_grad()
    return context
