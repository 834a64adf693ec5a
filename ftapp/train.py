"""The job of a run, read top to bottom: load the model, load the data, fit the phases, save."""

from __future__ import annotations

import functools
import math
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import keras_hub
import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from ftapp import backend, batches, freeze, heads, models, rates
from ftapp.batches import Dataset, Splits
from ftapp.errors import HubError, Problem, RecipeError, RunError
from ftapp.evaluate import measure
from ftapp.events import (
    DataLoaded,
    Evaluated,
    EventLog,
    ModelBuilt,
    ModelSaved,
    PhaseStarted,
    Progressed,
    ProgressLog,
    RunStarted,
    Sampled,
    Stepped,
)
from ftapp.models import Pretrained
from ftapp.optimizers import make_optimizer
from ftapp.recipe import Phase, Recipe
from ftapp.runs import Run
from ftapp.schedule import rate_at

if TYPE_CHECKING:
    from ftapp.worker import Control

# Batches whose features give a new head's normalization its first statistics.
_CALIBRATION = 4


def train(recipe: Recipe, run: Run, log: EventLog, control: Control) -> None:
    """Do the whole job. Everything worth knowing goes to `log`.

    Raises RecipeError when the recipe does not fit its model or data, RunError when the run cannot go on.
    """
    device = backend.device()
    precision, reason = backend.choose_precision(recipe.precision)
    facts = run.environment()
    log.write(
        RunStarted(
            time=time.time(),
            recipe=facts.get("recipe", run.folder.name),
            profile=facts.get("profile"),
            seed=recipe.seed,
            backend=recipe.backend,
            device=device,
            precision=precision,
            reason=reason,
        )
    )
    progress = ProgressLog(log)
    try:
        pretrained = models.load_pretrained(recipe, progress)
        splits = batches.load(recipe, pretrained.preprocessor, progress)
    except HubError as error:
        raise RunError(f"{error}; {_way_out(facts)}") from error
    log.write(
        DataLoaded(
            time=time.time(),
            train=len(splits.train),
            validation=len(splits.validation),
            test=len(splits.test),
            classes=list(splits.classes),
            duplicates=splits.duplicates,
        )
    )
    # Right before the new layers are drawn, so that nothing else of the recipe has a say in their first weights.
    keras.utils.set_random_seed(recipe.seed)
    model = models.build(recipe, pretrained, len(splits.classes))
    check_phases(recipe, model, pretrained.backbone)
    first = batches.epoch_order(len(splits.train), recipe.phase[0].batch_size, (recipe.seed, 0, 0))[:_CALIBRATION]
    heads.calibrate(model, (splits.train.batch(indices, None)[0] for indices in first))
    log.write(
        ModelBuilt(
            time=time.time(),
            parameters=model.count_params(),
            layers=len(freeze.units(model, pretrained.backbone)[0]),
        )
    )
    job = Job(recipe, pretrained, model, splits, log, control)
    control.can_wait = True
    job.sample()
    for index in range(len(recipe.phase)):
        job.fit(index)
    job.conclude()
    job.save(run)


def check_phases(recipe: Recipe, model: keras.Model, backbone: Any) -> None:
    """Raises RecipeError with all that stands against the phases' rules and learning rates on this model."""
    problems = [
        Problem("", f"phase.{phase.name}.layers", message)
        for phase in recipe.phase
        for message in freeze.problems(model, backbone, phase.layers)
    ]
    problems += [
        Problem("", f"phase.{phase.name}.learning_rate", message)
        for phase in recipe.phase
        for message in rates.problems(phase, freeze.decide(model, backbone, phase.layers))
    ]
    if problems:
        raise RecipeError(problems)


class Job:
    """The state of a run's training: the model, and how many steps it has behind it."""

    def __init__(
        self,
        recipe: Recipe,
        pretrained: Pretrained,
        model: keras.Model,
        splits: Splits,
        log: EventLog,
        control: Control,
    ) -> None:
        self._recipe, self._pretrained, self._model, self._splits = recipe, pretrained, model, splits
        self._log, self._control = log, control
        self._memory = psutil.Process()
        self._progress = ProgressLog(log)
        self._measured: Evaluated | None = None
        self._optimizer: Any = None  # the last phase's

    def fit(self, index: int) -> None:
        """Train one phase, with its own frozen layers and optimizer."""
        if self._control.wanted():
            return
        phase = self._recipe.phase[index]
        per_epoch = math.ceil(len(self._splits.train) / phase.batch_size)
        steps = phase.steps or (phase.epochs or 0) * per_epoch
        self._start(phase, steps, steps / per_epoch)
        if self._control.steps == 0:
            self.evaluate()
        keys = self._batch_keys(index, phase, steps, per_epoch)
        rate = math.nan
        begun = time.perf_counter()
        for number, (x, y) in enumerate(batches.prefetched(lambda key: self._splits.train.batch(*key), keys)):
            if number % per_epoch == 0:
                self._seed_layers(index, number // per_epoch)
            if rate != (wanted := rate_at(phase, number, steps)):
                self._model.optimizer.learning_rate = rate = wanted
            metrics = self._model.train_on_batch(x, y, return_dict=True)
            self._report(metrics, number // per_epoch + 1, rate, time.perf_counter() - begun)
            if self._control.wanted():
                return
            every = self._recipe.evaluate.every
            ends_epoch = (number + 1) % per_epoch == 0 or number + 1 == steps
            if self._control.steps % every == 0 if every else ends_epoch:
                self.evaluate()
            begun = time.perf_counter()

    def evaluate(self) -> None:
        """Measure the held-out split that the recipe names."""
        spec = self._recipe.evaluate
        self._measure(spec.split, spec.examples, final=False)

    def conclude(self) -> None:
        """Measure the whole test split and write samples, unless the run was interrupted."""
        if not self._control.wanted():
            self._measure("test", None, final=True)
        if not self._control.wanted():
            self.sample()

    def sample(self) -> None:
        """Let a language model continue the recipe's prompts, with the same draws each time."""
        spec, causal_lm = self._recipe.samples, self._pretrained.causal_lm
        if spec is None or causal_lm is None:
            return
        sampler = keras_hub.samplers.TopKSampler(k=spec.top_k, temperature=spec.temperature, seed=self._recipe.seed)
        causal_lm.compile(sampler=sampler, jit_compile=backend.jit_compile())
        longest = max(len(tokens) for tokens in causal_lm.preprocessor.tokenizer(spec.prompts))
        limit = min(longest + 1 + spec.tokens, causal_lm.backbone.max_sequence_length)
        for prompt, text in zip(spec.prompts, causal_lm.generate(spec.prompts, max_length=limit), strict=True):
            self._log.write(Sampled(time=time.time(), step=self._control.steps, prompt=prompt, text=text))

    def save(self, run: Run) -> None:
        """Write the model into the run's folder, whole or not at all."""
        self._log.write(Progressed(time=time.time(), activity="saving the model"))
        scratch = run.folder / "model.tmp"
        try:
            models.save(scratch, self._recipe, self._pretrained, self._model, self._splits.classes)
            scratch.rename(run.model_folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._log.write(ModelSaved(time=time.time(), folder=run.model_folder.name))

    def _start(self, phase: Phase, steps: int, epochs: float) -> None:
        decisions = freeze.decide(self._model, self._pretrained.backbone, phase.layers)
        freeze.apply(self._model, decisions)
        multipliers = rates.multipliers(phase, decisions)
        self._optimizer = make_optimizer(phase, self._model.trainable_variables, multipliers, self._optimizer)
        classifies = self._recipe.task != "causal-lm"
        self._model.compile(
            optimizer=self._optimizer,
            loss=heads.loss_for(self._recipe.model.head)
            if classifies
            else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")] if classifies else None,
            jit_compile=backend.jit_compile(),
        )
        self._log.write(
            PhaseStarted(
                time=time.time(),
                phase=phase.name,
                first_step=self._control.steps + 1,
                steps=steps,
                epochs=epochs,
                trainable=sum(decision.trainable_parameters for decision in decisions),
                parameters=sum(decision.parameters for decision in decisions),
                trainable_layers=[decision.unit.path for decision in decisions if decision.trainable],
            )
        )

    def _batch_keys(
        self, index: int, phase: Phase, steps: int, per_epoch: int
    ) -> Iterator[tuple[NDArray[np.int64], tuple[int, ...]]]:
        """For each step of a phase: its examples, and the key of their augmentation."""
        dataset, seed = self._splits.train, self._recipe.seed
        for epoch in range(math.ceil(steps / per_epoch)):
            order = batches.epoch_order(len(dataset), phase.batch_size, (seed, index, epoch), dataset.lengths)
            for number, examples in enumerate(order[: steps - epoch * per_epoch]):
                yield examples, (seed, index, epoch, number)

    def _seed_layers(self, phase: int, epoch: int) -> None:
        """Start the random numbers of dropout anew from (seed, phase, epoch); within an epoch they count its steps."""
        generators = [
            generator for layer in self._model._flatten_layers() for generator in getattr(layer, "_seed_generators", ())
        ]
        for index, generator in enumerate(generators):
            key = [self._recipe.seed, phase, epoch, index]
            generator.state.assign(np.array([np.random.SeedSequence(key).generate_state(1)[0], 0], np.uint32))

    def _report(self, metrics: dict[str, Any], epoch: int, rate: float, seconds: float) -> None:
        self._control.steps += 1
        loss = self._finite(float(metrics["loss"]))
        accuracy = float(metrics["accuracy"]) if "accuracy" in metrics else None
        self._log.write(
            Stepped(
                time=time.time(),
                step=self._control.steps,
                epoch=epoch,
                loss=loss,
                accuracy=accuracy,
                rate=rate,
                seconds=seconds,
                memory=self._memory.memory_info().rss,
            )
        )

    def _measure(self, split: str, limit: int | None, *, final: bool) -> None:
        begun = time.perf_counter()
        dataset: Dataset = getattr(self._splits, split)
        size = min(limit or len(dataset), len(dataset))
        last = self._measured
        if last and (last.step, last.split, last.examples) == (self._control.steps, split, size):
            # The same weights on the same examples: known already.
            self._log.write(msgspec.structs.replace(last, time=time.time(), seconds=0.0, final=final))
            return
        batch_size, seed = self._recipe.evaluate.batch_size, self._recipe.seed
        order = batches.evaluation_order(len(dataset), batch_size, limit, seed, dataset.lengths)
        metrics = measure(self._model, dataset, order, functools.partial(self._goes_on, split))
        if metrics is None:
            return
        self._finite(metrics["loss"])
        self._measured = Evaluated(
            time=time.time(),
            step=self._control.steps,
            split=split,
            examples=size,
            loss=metrics["loss"],
            accuracy=metrics.get("accuracy"),
            seconds=time.perf_counter() - begun,
            final=final,
        )
        self._log.write(self._measured)

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise RunError(
                f"the loss has to stay finite; it was {loss} at step {self._control.steps}; try a learning rate ten "
                "times smaller, clip_norm = 1.0, warmup = 0.1, or precision = 'float32'"
            )
        return loss

    def _goes_on(self, split: str, done: int, total: int) -> bool:
        self._progress(f"evaluating the {split} split", done, total)
        return not self._control.wanted()


def _way_out(facts: dict[str, Any]) -> str:
    profiles = [name for name in facts.get("hubless_profiles", []) if name != facts.get("profile")]
    return f"'--profile {profiles[0]}' works without it" if profiles else "local folders and files work without it"
