"""What a phase works on: one code for the run, the plan's probe, the range test and Configure's timing."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import Any, Self

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp.data.class_balance import compute_weights
from ftapp.data.dataset import BatchKey, Dataset, EncodedSplits, Targets
from ftapp.data.mixing import BatchMixer
from ftapp.data.order import order_evaluation, order_phase
from ftapp.data.prefetch import prefetch
from ftapp.freezing import freeze
from ftapp.freezing.cut import Cut, cut
from ftapp.freezing.feature_store import CachedFeatures
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models import build
from ftapp.models.flops import Call
from ftapp.models.heads import NORMALIZATION
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.layers import get_dropout_rate
from ftapp.recipe import TASKS, Recipe, schedule
from ftapp.recipe.schedule import count_steps
from ftapp.runs.phase_events import CacheChoice, Estimate
from ftapp.training import cost_estimate, tensorflow_steps
from ftapp.training.answers import make_answer_kind
from ftapp.training.averages import Averages
from ftapp.training.batch import Batch, StepResult
from ftapp.training.compile_phase import compile_phase
from ftapp.training.evaluate import Evaluation, evaluate
from ftapp.training.feature_choice import choose_features, count_views
from ftapp.training.instrumented_model import InstrumentedModel, instrument
from ftapp.training.optimizers import OptimizerState
from ftapp.training.phase_features import Report, open_features
from ftapp.training.random_layers import LayerSeeds
from ftapp.training.state import SpentSeconds, chain_examples


class PhaseSession:
    """A phase or a segment of it, ready to train: frozen, cut above the frozen layers, its features open, compiled.

    It is a context. Nobody removes the features while it lasts, and dropout in frozen layers is off unless the recipe
    says otherwise.

    Attributes:
        recipe: The recipe of the run.
        index: The index of the phase, from 0.
        phase: The phase.
        plan: What trains in it.
        splits: The encoded data, not as features.
        whole: The whole model.
        model: The model that trains: the whole one, or the half above the cut.
        data: What `model` takes, by the name of the split.
        cached: The same where the phase caches features, else empty.
        exact: The same in float where `cached` is in int8, else empty.
        choice: Whether it caches features, and why.
        halves: The cut model; None where it stays whole.
        below: What the frozen layers at the bottom compute for one example; empty where there are none, None where
            shapes alone do not say.
        is_known: Whether all layers below a new head's normalization are frozen, so that it gets the same of an example
            at each step.
        steps: The steps of the phase.
        per_epoch: The steps of an epoch.
        labels: The class of each training example where each class fills an equal share of an epoch, int (examples,);
            None elsewhere.
        answers: What measures the answers of the model; None where they are tokens.
        mixer: Mixes the examples of a batch.
        spent: Where the time that features take is added.
        averages: The averages of the weights, where the phase keeps some.
        report: Receives the progress; the session gives up where it returns False.
    """

    model: InstrumentedModel
    data: dict[str, Dataset]
    cached: dict[str, CachedFeatures]
    exact: dict[str, CachedFeatures]
    choice: CacheChoice
    halves: Cut | None
    below: list[Call] | None
    is_known: bool

    def __init__(
        self,
        recipe: Recipe,
        index: int,
        model: keras.Model,
        plan: LayerPlan,
        splits: EncodedSplits,
        *,
        calls: list[Call] | None = None,
        begin: int = 0,
        former: Any = None,
        saved: OptimizerState | None = None,
        report: Report = lambda activity, done, total: True,
        clock: Callable[[], float] = time.perf_counter,
        spent: SpentSeconds | None = None,
    ) -> None:
        """Prepare to enter the session.

        Args:
            recipe: The recipe of the run.
            index: The index of the phase, from 0.
            model: The whole model.
            plan: What trains.
            splits: The encoded data.
            calls: What the whole model computes for one example; measured where they are needed and not given.
            begin: The steps of the phase before the segment.
            former: The optimizer of the segment before, from which moments are carried over; None at the start.
            saved: The state of its own optimizer at the step from which the segment goes on; None at its beginning.
            report: Receives the progress; returns False to give up.
            clock: Seconds on a clock.
            spent: Where the time that features take is added; an own one by default.
        """
        self.recipe, self.index, self.phase, self.plan = recipe, index, recipe.phase[index], plan
        self.whole, self._calls, self.splits, self.report = model, calls, splits, report
        self.steps, self.per_epoch = count_steps(self.phase, len(splits.train))
        self.spent = spent or SpentSeconds()
        self._begin, self._former, self._saved, self._clock = begin, former, saved, clock
        self._built_rates = [(layer, rate) for layer in flatten_layers(model) if (rate := get_dropout_rate(layer))]
        self._fill = bool(build.find_batch_normalization(model))  # the last batch of an epoch
        counts = splits.counts.get("train", ())
        examples = len(splits.train) if TASKS[recipe.task].labels == "sets" else None
        self._class_weights = compute_weights(recipe.balance, splits.classes, counts, examples)
        is_balanced = recipe.balance.sampling == "balanced"
        self.labels = splits.train.get_targets(np.arange(len(splits.train))) if is_balanced else None
        self.answers = make_answer_kind(recipe, splits)
        self.mixer = BatchMixer(recipe.augmentation, len(splits.classes))
        self._held, self.averages = ExitStack(), Averages()
        self._rate: float | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open(stack)
            self.compile(self._former, self._saved)
            self.averages.follow(self.optimizer)
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def _open(self, stack: ExitStack) -> None:
        """Freeze, cut, and open the features."""
        freeze.apply(self.whole, self.plan)
        found = cut(self.whole, self.plan, dropout=self.recipe.frozen.dropout)
        halves: Cut | None = None if isinstance(found, str) else found
        self.below = self._list_calls_below(halves) if halves else []
        self.is_known = halves is not None and halves.above == NORMALIZATION
        self.choice = choose_features(self.recipe, self.phase, found, self.below, self.splits, self._begin)
        if not self.recipe.frozen.dropout:
            stack.enter_context(freeze.dropout_disabled(self.whole, halves.plain if halves else ()))
        self._seeds = LayerSeeds(self.whole)
        self.cached, self.exact = {}, {}
        if halves and self.choice.cached:
            opened = open_features(stack, self.recipe, self.phase, halves, self.splits, self.choice.size, self.report)
            self.cached, self.exact = opened.data, opened.exact
            self.choice = msgspec.structs.replace(
                self.choice,
                cached=not opened.refusal,
                reason=opened.refusal or self.choice.reason,
                engine=opened.engine,
                engine_reason=opened.engine_reason,
                quantization=opened.quantization,
            )
        self.halves = halves
        self._choose_model(halves)

    def _choose_model(self, halves: Cut | None) -> None:
        """Choose the half above the cut and the features where there are any, else the whole model and the examples."""
        examples = {name: getattr(self.splits, name) for name in ("train", "validation", "test")}
        self.data = dict(self.cached) or examples
        half = halves.rest if halves and self.cached else self.whole
        self.model = instrument(half, gives_scores=self.answers is not None)

    def drop_features(self) -> None:
        """Compute the whole model from now on, since weights below the cut are no longer those of the features."""
        if self.cached:
            self.cached = {}
            self._choose_model(None)
            self.compile()

    def compile(self, former: Any = None, saved: OptimizerState | None = None) -> None:
        """Compile the model.

        Args:
            former: The optimizer from which moments are carried over.
            saved: The state of the phase's own optimizer, in the place of that.
        """
        compile_phase(
            *(self.recipe, self.phase, self.model, self.plan, former, saved),
            steps=self.steps,
            class_weights=self._class_weights,
            scale=self.splits.scale,
        )
        self._rate = None

    @property
    def optimizer(self) -> Any:
        """The optimizer of the phase."""
        return self.model.optimizer

    def build_optimizer(self) -> None:
        """Make the optimizer's variables. TensorFlow traces a step a second time where the first step makes them."""
        if not self.optimizer.built:
            self.optimizer.build(self.model.trainable_variables)

    @functools.cached_property
    def calls(self) -> list[Call] | None:
        """What the whole model computes for one example; None where shapes alone do not say."""
        return self._calls or cost_estimate.list_calls(self.recipe, self.whole)

    def _list_calls_below(self, halves: Cut) -> list[Call] | None:
        if self.calls is not None:
            return cost_estimate.list_calls_below(self.whole, self.calls, halves.features.values())
        return cost_estimate.list_calls(self.recipe, halves.frozen)

    def estimate(self) -> Estimate | None:
        """Estimate the cost of a step; None where shapes alone do not say."""
        return cost_estimate.estimate_cost(
            *(self.recipe, self.phase, self.calls, self.plan, self.below), cached=self.choice.cached
        )

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Make the batches of the phase in order, ahead of their use, on another thread.

        Args:
            start: The first step, counted from 0 in the phase.
            stop: The step that ends it; the phase's own end by default. More epochs follow where it is later.

        Yields:
            A batch for each step. Ends early where `report` gives up while features are computed.
        """
        stop = self.steps if stop is None else stop
        return prefetch(lambda step: self.make_batch(*step), self._steps(start, stop) if start < stop else iter(()))

    def make_batch(self, indices: NDArray[np.int64], key: BatchKey) -> Batch:
        """Make the batch of a step.

        Args:
            indices: Its training examples.
            key: The step.
        """
        data = self.data["train"]
        examples = b"".join(self.splits.train.hash_examples(indices, None))
        inputs, targets = self.mixer.mix(data.make_inputs(indices, key), data.get_targets(indices), key)
        weights = None if self.splits.weights is None else self.splits.weights[indices]
        return Batch(key, inputs, targets, examples, weights)

    def _steps(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], BatchKey]]:
        """For each step its examples, and its key. Their features are kept by then."""
        views = max(1, count_views(self.recipe, self.phase, self.splits))
        for epoch in range(math.ceil(stop / self.per_epoch)):
            begin, end = epoch * self.per_epoch, min(stop, (epoch + 1) * self.per_epoch)
            # Where a phase goes on, the features of its first epochs are computed first, as they were: the last digit
            # of a feature may depend on the examples that it is computed with.
            if end <= start and epoch >= views:
                continue
            if self.cached:
                examples = np.concatenate([indices for indices, _ in self.order_steps(begin, end)])
                if not self.prepare("train", examples, BatchKey(self.recipe.seed, self.index, epoch, 0)):
                    return
            yield from self.order_steps(max(start, begin), end)

    def order_steps(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], BatchKey]]:
        """Give the examples and the keys of the steps of the phase from `start` to `stop`, as `order_phase` does."""
        size, key = self.phase.batch_size, (self.recipe.seed, self.index)
        return order_phase(self.splits.train, size, key, start, stop, labels=self.labels, fill=self._fill)

    def hash_examples(self, stop: int) -> bytes:
        """Hash the examples of the first steps of the phase, as `TrainState.seen` does. Reads each of them.

        Args:
            stop: The number of steps.
        """
        seen = b""
        for indices, _ in self.order_steps(0, stop):
            seen = chain_examples(seen, b"".join(self.splits.train.hash_examples(indices, None)))
        return seen

    def prepare(self, split: str, indices: NDArray[np.int64], key: BatchKey | None) -> bool:
        """Have the features of these examples, if the phase keeps any. Returns False where `report` gave up."""
        if not self.cached:
            return True
        start = self._clock()
        is_ready = self.cached[split].prepare(
            indices, key, functools.partial(self.report, f"features of the {split} split")
        )
        self.spent.preparing += self._clock() - start
        return is_ready

    def step(self, batch: Batch, learning_rate: float) -> StepResult:
        """Train on a batch. Where the device computes ahead, the result is there before it is computed.

        Args:
            batch: The batch, as `batches` makes it.
            learning_rate: The base learning rate; those of layers are in proportion.
        """
        self._seeds.assign(batch.key)
        self.build_optimizer()
        if learning_rate != self._rate:
            self.optimizer.learning_rate = self._rate = learning_rate
        values = self.model.train_on_batch(batch.inputs, batch.targets, batch.weights, return_dict=True)
        return StepResult(learning_rate, values)

    def evaluate(self, split: str, limit: int | None = None) -> Evaluation | None:
        """Measure the model on a split.

        Args:
            split: The name of the split.
            limit: Of so many examples, which the seed draws; of all by default.

        Returns:
            The metrics; None where `report` gave up.
        """
        order = self.evaluation_order(split, limit)
        if not self.prepare(split, np.concatenate(order), None):
            return None
        report = functools.partial(self.report, f"evaluating the {split} split")
        with self.averages.applied():
            return evaluate(self.model, self.data[split], order, self.answers, report)

    def tracing_ahead(self) -> AbstractContextManager[None]:
        """While the context lasts, TensorFlow traces a training step beside evaluations. Other backends do nothing."""
        if keras.backend.backend() != "tensorflow":
            return nullcontext()
        self.build_optimizer()
        x, y = self.make_blank("train", np.arange(1))
        weights = None if self.splits.weights is None else self.splits.weights[:1]
        return tensorflow_steps.trace_ahead(self.model, x, y, self.mixer.soften(y), weights)

    def make_blank(self, split: str, indices: NDArray[np.int64]) -> tuple[Any, Targets]:
        """Make the inputs and targets of examples, with zeros in the place of cached features."""
        data = self.data[split]
        if self.cached:
            return self.cached[split].zeros(indices), data.get_targets(indices)
        return data.make_inputs(indices, None), data.get_targets(indices)

    def is_evaluated(self, step: int, run_step: int) -> bool:
        """Say whether an evaluation follows a step (`ftapp.recipe.schedule.is_evaluated`).

        Args:
            step: The steps of the phase that are done after it.
            run_step: The steps of the run that are done after it.
        """
        return schedule.is_evaluated(self.recipe, step, run_step - step, (self.steps, self.per_epoch))

    def count_evaluations(self, begin: int, done: int = 0) -> int:
        """Count the evaluations that follow the steps of the phase.

        Args:
            begin: The steps of the run before the phase.
            done: Steps of the phase that do not count.
        """
        return schedule.count_evaluations(self.recipe, done, begin, (self.steps, self.per_epoch))

    @property
    def is_quantized(self) -> bool:
        """Whether the session's features are computed in int8."""
        return bool(self.cached) and self.choice.is_quantized

    def evaluate_in_float(self, split: str) -> Evaluation | None:
        """Measure the model on a split on float features, where its own are computed in int8.

        Args:
            split: The name of the split.

        Returns:
            The metrics; None where `report` gave up.
        """
        quantized, self.cached, self.data = (self.cached, self.data), self.exact, dict(self.exact)
        try:
            return self.evaluate(split)
        finally:
            self.cached, self.data = quantized

    def evaluation_order(self, split: str, limit: int | None) -> list[NDArray[np.int64]]:
        """Give the batches of an evaluation, as indices of examples."""
        data, spec = self.data[split], self.recipe.evaluate
        return order_evaluation(len(data), spec.batch_size, limit, self.recipe.seed, data.lengths)

    def as_built(self) -> AbstractContextManager[None]:
        """While the context lasts, layers drop at the rates that the model was built with, as it is saved."""
        return freeze.dropout_rates(self._built_rates)
