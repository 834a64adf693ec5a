"""Texts that a language model writes while it is trained."""

from __future__ import annotations

import time
from typing import Any

import keras_hub
import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.token_share import measure_token_share
from ftapp.data.texts import prepare
from ftapp.models import backend
from ftapp.models.build import Pretrained
from ftapp.recipe import Recipe
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Sampled, TokensShared


class Writer:
    """Lets a language model continue the recipe's prompts, with the same draws each time; others write nothing.

    It compiles the model's generation at its first use, for the layers that train then: a phase has its own.
    """

    def __init__(
        self, recipe: Recipe, pretrained: Pretrained, log: EventLog, common: NDArray[np.int64] | None = None
    ) -> None:
        """common: ids of tokens whose share in the texts is measured, if any."""
        self._recipe, self._spec, self._causal_lm, self._log = recipe, recipe.samples, pretrained.causal_lm, log
        self._common = common
        self._sampler: Any = None
        self._seed: Any = None

    def write(self, step: int) -> None:
        """Write an event for each prompt, and one for the share of common tokens if it is measured."""
        spec, causal_lm = self._spec, self._causal_lm
        if spec is None or causal_lm is None:
            return
        if self._sampler is None:
            self._sampler = keras_hub.samplers.TopKSampler(
                k=spec.top_k, temperature=spec.temperature, seed=self._recipe.seed
            )
            self._seed = np.array(self._sampler.seed_generator.state)
            causal_lm.compile(sampler=self._sampler, jit_compile=backend.jit_compile())
        self._sampler.seed_generator.state.assign(self._seed)
        prompts = list(map(prepare, spec.prompts))
        longest = max(len(tokens) for tokens in causal_lm.preprocessor.tokenizer(prompts))
        limit = min(longest + 1 + spec.tokens, causal_lm.backbone.max_sequence_length)
        draws = 1 if self._common is None else spec.draws
        texts = causal_lm.generate(prompts * draws, max_length=limit)
        for prompt, text in zip(prompts, texts, strict=False):
            self._log.write(Sampled(time=time.time(), step=step, prompt=prompt, text=text))
        if self._common is not None:
            written = [text.removeprefix(prompt) for prompt, text in zip(prompts * draws, texts, strict=True)]
            tokens = [np.asarray(causal_lm.preprocessor.tokenizer(text), np.int64) for text in written]
            shares = [measure_token_share(each, self._common) for each in tokens]
            self._log.write(TokensShared(time=time.time(), step=step, common=len(self._common), shares=shares))
