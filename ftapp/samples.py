"""Texts that a language model writes while it is trained."""

from __future__ import annotations

import time
from typing import Any

import keras_hub
import numpy as np

from ftapp import backend
from ftapp.events import EventLog, Sampled
from ftapp.models import Pretrained
from ftapp.recipe import Recipe


class Writer:
    """Lets a language model continue the recipe's prompts, with the same draws each time; others write nothing.

    It compiles the model's generation at its first use, for the layers that train then: a phase has its own.
    """

    def __init__(self, recipe: Recipe, pretrained: Pretrained, log: EventLog) -> None:
        self._recipe, self._spec, self._causal_lm, self._log = recipe, recipe.samples, pretrained.causal_lm, log
        self._sampler: Any = None
        self._seed: Any = None

    def write(self, step: int) -> None:
        """Write one event for each prompt."""
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
        longest = max(len(tokens) for tokens in causal_lm.preprocessor.tokenizer(spec.prompts))
        limit = min(longest + 1 + spec.tokens, causal_lm.backbone.max_sequence_length)
        for prompt, text in zip(spec.prompts, causal_lm.generate(spec.prompts, max_length=limit), strict=True):
            self._log.write(Sampled(time=time.time(), step=step, prompt=prompt, text=text))
