"""Texts that a language model writes while it is trained."""

from __future__ import annotations

import time
from typing import Any

import keras
import keras_hub
import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.token_share import find_common_tokens, measure_token_share
from ftapp.data.dataset import IGNORED, EncodedSplits
from ftapp.data.encoded_completions import EncodedCompletions
from ftapp.data.texts import prepare
from ftapp.models import backend
from ftapp.models.build import Pretrained
from ftapp.models.generation import get_longest
from ftapp.recipe import Recipe
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import Sampled, TokensShared
from ftapp.training.averages import Averages
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

_HELD_OUT = 3  # examples whose prompts are continued where the recipe has none


class SampleWriter(Callback):
    """Lets a language model continue the recipe's prompts, with the same draws each time; other models write nothing.

    It compiles the model's generation at its first use in a segment, for the layers that train then.
    """

    def __init__(
        self,
        recipe: Recipe,
        pretrained: Pretrained,
        splits: EncodedSplits,
        log: EventLog,
        control: Control,
        steps: StepLog,
    ) -> None:
        """Write to a log.

        Args:
            recipe: Says the prompts, their template, and whether the share of common tokens is measured.
            pretrained: Holds the language model.
            splits: The encoded data, whose training split says what tokens are common.
            log: The event log.
            control: Says whether the run is to end.
            steps: The log of steps, written up to date before samples.
        """
        self._spec, self._seed, self._causal_lm = recipe.samples, recipe.seed, pretrained.causal_lm
        self._log, self._control, self._steps = log, control, steps
        self._common: NDArray[np.int64] | None = None
        self._prompts = _list_prompts(recipe, splits)
        if recipe.samples and recipe.samples.common:
            tokens = splits.train.get_targets(np.arange(len(splits.train)))
            self._common = find_common_tokens(tokens[tokens != IGNORED], recipe.samples.common)
        self._sampler: Any = None
        self._sampler_state: Any = None
        self._averages = Averages()  # none before the first step

    def on_run_begin(self, state: TrainState) -> None:
        """Sample the model as it comes."""
        if state.position.run_step == 0:
            self._sample(state)

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Compile the generation anew on JAX, which knows a weight by its place among those that train."""
        self._averages = session.averages
        if keras.backend.backend() == "jax":
            self._sampler = None

    def on_train_begin(self, state: TrainState) -> None:
        """Where a run goes on, sample the model if the run was stopped before it could."""
        if state.position.step and self._is_due(state):
            self._sample(state)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Sample the model every so many steps of the run."""
        if self._is_due(state) and not self._control.should_stop():
            self._steps.flush()
            self._sample(state)

    def on_run_end(self, state: TrainState) -> None:
        """Sample the trained model, unless the run was interrupted."""
        if not self._control.should_stop():
            self._sample(state)

    def _is_due(self, state: TrainState) -> bool:
        every = self._spec.every if self._spec else None
        return bool(every) and state.position.run_step % (every or 1) == 0

    def _sample(self, state: TrainState) -> None:
        """Write samples, once for a step."""
        if state.sample_step != state.weights_step:
            state.sample_step = state.weights_step
            with self._averages.applied():
                self.write(state.weights_step)

    def write(self, step: int) -> None:
        """Write an event for each prompt, and one for the share of common tokens if it is measured."""
        spec, causal_lm = self._spec, self._causal_lm
        prompts = self._prompts
        if spec is None or causal_lm is None or not prompts:
            return
        if self._sampler is None:
            self._sampler = keras_hub.samplers.TopKSampler(k=spec.top_k, temperature=spec.temperature, seed=self._seed)
            self._sampler_state = np.array(self._sampler.seed_generator.state)
            causal_lm.compile(sampler=self._sampler, jit_compile=backend.jit_compile())
        self._sampler.seed_generator.state.assign(self._sampler_state)
        longest = max(len(tokens) for tokens in causal_lm.preprocessor.tokenizer(prompts))
        length = longest + 1 + spec.tokens
        limit = min(length, get_longest(causal_lm.backbone) or length)
        draws = 1 if self._common is None else spec.draws
        texts = causal_lm.generate(prompts * draws, max_length=limit)
        for prompt, text in zip(prompts, texts, strict=False):
            self._log.write(Sampled(time=time.time(), step=step, prompt=prompt, text=text))
        if self._common is not None:
            written = [text.removeprefix(prompt) for prompt, text in zip(prompts * draws, texts, strict=True)]
            tokens = [np.asarray(causal_lm.preprocessor.tokenizer(text), np.int64) for text in written]
            shares = [measure_token_share(each, self._common) for each in tokens]
            self._log.write(TokensShared(time=time.time(), step=step, common=len(self._common), shares=shares))


def _list_prompts(recipe: Recipe, splits: EncodedSplits) -> list[str]:
    """List the prompts of a recipe as the model takes them, else those of the first examples that it is watched on."""
    if recipe.samples is None:
        return []
    if recipe.samples.prompts is not None:
        return [recipe.render_prompt(prepare(prompt)) for prompt in recipe.samples.prompts]
    watched = getattr(splits, recipe.evaluate.split)
    return watched.list_prompts(_HELD_OUT) if isinstance(watched, EncodedCompletions) else []
