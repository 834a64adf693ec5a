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
    """

    text: str
    tokens: int
    seconds: float
    ended: bool
    limit: int | None


class StreamingSampler(keras_hub.samplers.TopKSampler):
    """Top-k sampling whose loop runs in Python, one token after another, and tells of each."""

    def __init__(self, report: Callable[[int], None], tokens: int, **options: Any) -> None:
        """`report` gets each token's id and may raise to stop; `tokens` is the largest number of them."""
        super().__init__(**options)
        self._report, self._tokens = report, tokens

    def run_loop(
        self, cond: Any, body: Any, model: Any = None, loop_vars: Any = None, maximum_iterations: Any = None
    ) -> Any:
        """As KerasHub's, which asks `cond` whether to go on with (prompt, cache, index, mask) and lets `body` do it."""
        for _ in range(min(self._tokens, int(maximum_iterations))):
            index = int(loop_vars[2])
            loop_vars = body(*loop_vars)
            token = int(loop_vars[0][0, index])
            if not bool(cond(*loop_vars)):
                break
            self._report(token)
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
) -> GeneratedText:
    """Continue a prompt. `report` gets each piece of text, in whole characters, and may raise to stop.

    The tokens are those that the model's `generate` draws with a TopKSampler of the same `top_k`, `temperature` and
    `seed`; a temperature of 0 takes the most probable each time. Raises RunError for values that cannot be.
    """
    preprocessor, backbone = causal_lm.preprocessor, causal_lm.backbone
    prompt = prepare(prompt)
    limit = get_longest(backbone)
    given = _prompt(causal_lm, prompt, limit, tokens, temperature, top_k)
    length = -(-(len(given) + tokens) // _STEP) * _STEP
    inputs = preprocessor.generate_preprocess([prompt], sequence_length=min(length, limit or length))
    written: list[int] = []
    begun, before = time.perf_counter(), _text(preprocessor, given)
    known = before

    def tell(token: int) -> None:
        nonlocal known
        written.append(token)
        text = _text(preprocessor, [*given, *written])
        whole = text.rstrip(_REPLACEMENT)
        if len(whole) > len(known):
            piece, known = whole[len(known) :], whole
            report(piece)
        else:
            report("")

    causal_lm.sampler = StreamingSampler(
        tell,
        tokens,
        k=min(top_k, backbone.vocabulary_size) if temperature else 1,
        temperature=temperature or 1.0,
        seed=seed,
    )
    tokenizer = preprocessor.tokenizer
    ends = [end for end in (tokenizer.end_token_id, getattr(tokenizer, "end_token2_id", None)) if end is not None]
    with _without_gradients():
        tensors = {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}
        causal_lm.generate_step(tensors, tuple(ends) or None)
    text = _text(preprocessor, [*given, *written])
    if len(text) > len(known):
        report(text[len(known) :])  # the last character stays incomplete
    return GeneratedText(
        text=text[len(before) :],
        tokens=len(written),
        seconds=time.perf_counter() - begun,
        ended=len(written) < min(tokens, (limit or length) - len(given)),
        limit=limit,
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


def _prompt(causal_lm: Any, prompt: str, limit: int | None, tokens: int, temperature: float, top_k: int) -> list[int]:
    """The tokens of the prompt as the model gets them, with a start token where it has one."""
    if tokens < 1 or top_k < 1 or temperature < 0:
        raise RunError(
            "a text has at least 1 token, drawn from the top 1 or more, at a temperature of 0 or above; "
            f"got {tokens} tokens, top {top_k}, temperature {temperature:g}"
        )
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
