"""The training of a run: its phases, each with its own frozen layers, data and optimizer, and its measurements."""

from __future__ import annotations

import functools
import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp.analysis.metrics.token_share import find_common_tokens
from ftapp.common.errors import ProofError
from ftapp.common.formatting import list_names
from ftapp.common.safe_files import reason
from ftapp.data.dataset import BatchKey, EncodedSplits
from ftapp.data.order import evaluation_order, phase_order
from ftapp.data.prefetch import prefetch
from ftapp.freezing import freeze
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.freezing.proof import Proof
from ftapp.models import backend, build, heads, objectives, saved_model
from ftapp.models.build import Pretrained
from ftapp.models.keras_internals import flatten_layers, seed_generators
from ftapp.models.layers import has_dropout
from ftapp.recipe import TASKS, Phase, Recipe
from ftapp.recipe.schedule import rate_at
from ftapp.runs.commands import AnyCommand, Checkpoint, Control, Rate
from ftapp.runs.event_log import EventLog, ProgressLog
from ftapp.runs.events import (
    CacheVerified,
    Checkpointed,
    Confused,
    Drifted,
    Evaluated,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
)
from ftapp.runs.run_folder import Run
from ftapp.training import cost_estimate, layer_rates
from ftapp.training.drift import Drift
from ftapp.training.evaluate import measure
from ftapp.training.instrumented_model import Instrumented, beside_loss
from ftapp.training.last_good import LastGood
from ftapp.training.optimizers import make_optimizer
from ftapp.training.samples import Writer
from ftapp.training.session import Stage, calibrate, epochs, staged, views_of
from ftapp.training.step_log import StepLog, finite

VERIFIED = 64
"""Examples whose kept features `--verify-cache` computes anew in each phase, drawn from all that the phase uses."""

# A commanded learning rate is at most so many times the phase's own, and at most so high.
_MOST_TIMES, _MOST = 100, 10.0
# Steps after which the phase's duration is told.
_TIMED = 8


class Job:
    """The state of a run's training. A context: the features that it keeps on disk are held until its end."""

    def __init__(
        self,
        recipe: Recipe,
        pretrained: Pretrained,
        model: keras.Model,
        plans: Sequence[LayerPlan],
        splits: EncodedSplits,
        run: Run,
        log: EventLog,
        control: Control,
    ) -> None:
        self._recipe, self._pretrained, self._model, self._splits = recipe, pretrained, model, splits
        self._plans = plans
        self._run, self._log, self._control = run, log, control
        self._dropout = [(layer, layer.rate) for layer in flatten_layers(model) if has_dropout(layer)]
        self._fills = bool(build.batch_normalized(model))  # the last batch of an epoch
        self._progress = ProgressLog(log)
        self._good = LastGood()
        self._steps = StepLog(log, control, self._good, is_late=backend.computes_ahead())
        self._measured: Evaluated | None = None
        self._confused: Confused | None = None
        self._drift = Drift()
        self._drifted = 0  # the step that the drift was last measured after
        self._common: NDArray[np.int64] | None = None
        if recipe.samples and recipe.samples.common:
            tokens = splits.train.targets(np.arange(len(splits.train)))
            self._common = find_common_tokens(tokens, recipe.samples.common)
        self._writer = Writer(recipe, pretrained, log, self._common)
        self._sampled = -1  # the step that samples were last written after
        self._held = ExitStack()
        self._stage: Stage | None = None
        self._optimizer: Any = None  # the last phase's
        self._spent = {"preparing": 0.0, "evaluating": 0.0}
        self._begun = 0.0
        self._phase: Phase = recipe.phase[0]
        self._left = 0  # steps of the phase
        self._rate = math.nan  # of the last step
        self._factor = 1.0  # of the phase's learning rate, as commanded
        self._moved = 0.0  # learning rates of the phase's steps, summed
        self._seen = blake2b(digest_size=16)  # the examples of the phase's steps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def optimizer(self) -> Any:
        """That of the phase trained last; None before the first."""
        return self._optimizer

    def fit(self, index: int) -> None:
        """Train one phase, and prove what it did to the weights.

        Raises NotFiniteError when the loss is not finite, ProofError when a frozen weight changed or a trained one did
        not.
        """
        if self._control.wanted():
            return
        self._begun, first = self._control.clock(), self._control.steps
        phase = self._phase = self._recipe.phase[index]
        self._left, _ = epochs(phase, len(self._splits.train))
        self._factor, self._moved, self._seen = 1.0, 0.0, blake2b(digest_size=16)
        self._spent = dict.fromkeys(self._spent, 0.0)
        self._steps.begin_phase(phase)
        plan = self._plans[index]
        stage = self._start(phase, plan)
        if index == 0:
            told = functools.partial(self._goes_on, "mean and variance of the features")
            prepare = functools.partial(self._prepare, "train")
            calibrate(self._recipe, phase, stage, self._splits.train, prepare, told)
        proof = Proof(plan)
        self._good.begin_phase(plan, self._control.steps)
        if self._measured and self._measured.step == self._control.steps:
            self._good.confirm(self._control.steps)
        self._train(index, phase, stage)
        self._steps.flush()
        self._conclude(phase, stage, plan, proof, self._control.steps - first)

    def begin(self) -> None:
        """Write the samples of the model as it comes."""
        self._sample()

    def conclude(self) -> None:
        """Measure the whole test split and write the last samples, unless the run was interrupted."""
        if not self._control.wanted():
            self._measure("test", None, final=True)
        if not self._control.wanted():
            self._sample()

    def restore(self) -> int:
        """After a loss that was not finite: put the last weights back with which it was. Returns their steps, or 0."""
        return self._good.restore() or 0

    def _start(self, phase: Phase, plan: LayerPlan) -> Stage:
        """Freeze what the phase freezes, cut the model, and compile what trains."""
        freeze.apply(self._model, plan)
        self._held.close()
        stage = self._held.enter_context(staged(self._recipe, phase, self._model, plan, self._splits))
        self._stage = stage
        compiled(self._recipe, phase, stage.model, plan, self._optimizer)
        self._optimizer = stage.model.optimizer
        self._drift.begin_phase(plan)
        self._writer = Writer(self._recipe, self._pretrained, self._log, self._common)
        steps, per_epoch = epochs(phase, len(self._splits.train))
        self._log.write(
            PhaseStarted(
                time=time.time(),
                phase=phase.name,
                first_step=self._control.steps + 1,
                steps=steps,
                epochs=steps / per_epoch,
                trainable=plan.trainable_parameters,
                parameters=plan.parameters,
                trainable_layers=[decision.path for decision in plan.trained_layers],
                cache=stage.choice,
                estimate=cost_estimate.estimate(
                    phase,
                    cost_estimate.calls_of(self._recipe, self._model),
                    plan,
                    stage.below,
                    cached=stage.choice.cached,
                ),
            )
        )
        return stage

    def _train(self, index: int, phase: Phase, stage: Stage) -> None:
        steps, per_epoch = epochs(phase, len(self._splits.train))
        data = stage.data["train"]
        if os.environ.get("FTAPP_VERIFY_CACHE") == "1":
            self._verify(index, phase, stage)
        if self._control.steps == 0:
            self._evaluate()

        def batch(key: tuple[NDArray[np.int64], BatchKey]) -> tuple[Any, Any, bytes]:
            return data.inputs(*key), data.targets(key[0]), b"".join(self._splits.train.digests(key[0], None))

        rate, is_timed = math.nan, steps <= _TIMED
        every = self._recipe.samples.every if self._recipe.samples else None
        if not self._heed():
            return
        self._steps.begin_step()
        for number, (x, y, examples) in enumerate(prefetch(batch, self._draws(index, phase, stage))):
            if number % per_epoch == 0:
                seed_layers(self._model, (self._recipe.seed, index, number // per_epoch))
            if rate != (wanted := self._factor * rate_at(phase, number, steps)):
                stage.model.optimizer.learning_rate = rate = self._rate = wanted
            is_measured = self._is_measured(number + 1, steps, per_epoch)
            if is_measured:
                self._steps.flush()
                begun = self._control.clock()
                self._drift.begin_step()
                self._steps.leave_out(self._control.clock() - begun)
            self._good.offer(self._control.steps)
            results = stage.model.train_on_batch(x, y, return_dict=True)
            self._seen.update(examples)
            self._left -= 1
            self._moved += rate
            self._steps.given(results, number // per_epoch + 1, rate)
            if not is_timed and len(self._steps.seconds) >= _TIMED:
                is_timed = True
                self._foretell(phase, stage)
            if self._control.wanted():
                return
            if is_measured:
                self._steps.flush()
                self._evaluate()
                self._tell_drift()
            if every and self._control.steps % every == 0:
                self._steps.flush()
                self._sample()
            if not self._heed():
                return
            self._steps.begin_step()

    def _is_measured(self, done: int, steps: int, per_epoch: int) -> bool:
        """Whether an evaluation follows the next step, after which `done` steps of the phase are done."""
        if every := self._recipe.evaluate.every:
            return (self._control.steps + 1) % every == 0
        return done % per_epoch == 0 or done == steps

    def _draws(self, index: int, phase: Phase, stage: Stage) -> Iterator[tuple[NDArray[np.int64], BatchKey]]:
        """For each step of a phase its examples, and the key of their augmentation. Their features are kept by then."""
        dataset, seed = self._splits.train, self._recipe.seed
        steps, _ = epochs(phase, len(dataset))
        for epoch, order in enumerate(phase_order(dataset, phase.batch_size, steps, (seed, index), fill=self._fills)):
            if not self._prepare("train", np.concatenate(order), BatchKey(seed, index, epoch, 0)):
                return
            for number, examples in enumerate(order):
                yield examples, BatchKey(seed, index, epoch, number)

    def _prepare(self, split: str, indices: NDArray[np.int64], draw: BatchKey | None) -> bool:
        """Have the features of these examples, if the phase keeps any. False when the run is to end."""
        assert self._stage is not None
        if not self._stage.features:
            return True
        begun = self._control.clock()
        told = functools.partial(self._goes_on, f"features of the {split} split")
        ready = self._stage.features[split].prepare(indices, draw, told)
        seconds = self._control.clock() - begun
        self._spent["preparing"] += seconds
        self._steps.leave_out(seconds)
        return ready

    def _verify(self, index: int, phase: Phase, stage: Stage) -> None:
        """Compare all kept features with their checksums, and a sample of the phase's own with recomputed ones."""
        if not stage.features:
            return
        seed, evaluate = self._recipe.seed, self._recipe.evaluate
        views = max(1, views_of(self._recipe, phase, self._splits))
        train, test = np.arange(len(stage.data["train"])), np.arange(len(stage.data["test"]))
        parts: list[tuple[str, BatchKey | None, NDArray[np.int64]]] = [
            *(("train", BatchKey(seed, index, view, 0), train) for view in range(views)),
            ("test", None, test),
        ]
        if evaluate.split == "validation":
            size = len(stage.data["validation"])
            order = evaluation_order(size, evaluate.batch_size, evaluate.examples, seed)
            parts.append(("validation", None, np.concatenate(order)))
        if not all(self._prepare(split, indices, draw) for split, draw, indices in parts):
            return
        checked = stage.features["train"].check_all()
        starts = np.cumsum([0, *(len(indices) for *_, indices in parts)])
        chosen = np.random.default_rng([seed, index]).permutation(starts[-1])[:VERIFIED]
        difference = 0.0
        for (split, draw, indices), start in zip(parts, starts[:-1], strict=True):
            places = chosen[(chosen >= start) & (chosen < start + len(indices))] - start
            difference = max(difference, stage.features[split].verify(indices[places], draw))
        self._log.write(
            CacheVerified(
                time=time.time(), phase=phase.name, examples=len(chosen), difference=difference, checked=checked
            )
        )

    def _foretell(self, phase: Phase, stage: Stage) -> None:
        """Tell how long the phase will take, by the median of its first steps and what else has been done so far."""
        steps, per_epoch = epochs(phase, len(self._splits.train))
        evaluations = steps // (self._recipe.evaluate.every or per_epoch)
        evaluated = self._measured.seconds if self._measured else 0.0
        views = len(stage.features) and views_of(self._recipe, phase, self._splits)
        seconds = (
            self._control.clock()
            - self._begun
            + (steps - _TIMED) * statistics.median(self._steps.seconds)
            + evaluations * evaluated
            + max(0, views - 1) * self._spent["preparing"]
        )
        self._log.write(PhaseTimed(time=time.time(), phase=phase.name, seconds=seconds))

    def _evaluate(self) -> None:
        """Measure the held-out split that the recipe names."""
        spec = self._recipe.evaluate
        self._measure(spec.split, spec.examples, final=False)

    def _measure(self, split: str, limit: int | None, *, final: bool) -> None:
        assert self._stage is not None
        begun = self._control.clock()
        dataset = self._stage.data[split]
        size = min(limit or len(dataset), len(dataset))
        last = self._measured
        if last and (last.step, last.split, last.examples) == (self._control.steps, split, size):
            # The same weights on the same examples: known already.
            self._log.write(msgspec.structs.replace(last, time=time.time(), seconds=0.0, final=final))
            if self._confused:
                self._log.write(msgspec.structs.replace(self._confused, time=time.time(), final=final))
            return
        batch_size, seed = self._recipe.evaluate.batch_size, self._recipe.seed
        order = evaluation_order(len(dataset), batch_size, limit, seed, dataset.lengths)
        if not self._prepare(split, np.concatenate(order), None):
            return
        preparing = self._control.clock() - begun
        told = functools.partial(self._goes_on, f"evaluating the {split} split")
        found = measure(self._stage.model, dataset, order, len(self._splits.classes), told)
        if found is None:
            return
        metrics = found.metrics
        finite(metrics["loss"], self._control.steps, self._phase, self._rate)
        self._good.confirm(self._control.steps)
        seconds = self._control.clock() - begun - preparing
        self._spent["evaluating"] += seconds
        self._measured = Evaluated(
            time=time.time(),
            step=self._control.steps,
            split=split,
            examples=size,
            loss=metrics["loss"],
            metrics=beside_loss(metrics),
            seconds=seconds,
            final=final,
        )
        self._log.write(self._measured)
        if found.confusion is not None:
            is_probable = self._recipe.model.head != "linear-svm"
            bins = found.calibration if is_probable else None
            self._confused = Confused(
                time=time.time(),
                step=self._control.steps,
                split=split,
                counts=found.confusion.tolist(),
                calibration=[] if bins is None else bins.tolist(),
                final=final,
            )
            self._log.write(self._confused)

    def _tell_drift(self) -> None:
        """Write how far the weights have gone, once for a step."""
        if self._drifted == self._control.steps:
            return
        self._drifted = self._control.steps
        self._log.write(
            Drifted(
                time=time.time(),
                step=self._control.steps,
                phase=self._phase.name,
                since_start=self._drift.since_start(),
                last_step=self._drift.step(),
            )
        )

    def _sample(self) -> None:
        """Write the samples, once for a step."""
        if self._sampled != self._control.steps:
            self._sampled = self._control.steps
            self._writer.write(self._control.steps)

    def _conclude(self, phase: Phase, stage: Stage, plan: LayerPlan, proof: Proof, steps: int) -> None:
        """Write what the phase took and what it did to the weights, and stand up for it."""
        self._tell_drift()
        found = proof.compare()
        stuck: list[str] = []
        if found.still and steps:
            indices, draw = next(self._draws(self._recipe.phase.index(phase), phase, stage))
            data = stage.data["train"]
            stuck = proof.find_stuck(
                found.still, stage.model, data.inputs(indices, draw), data.targets(indices), self._moved
            )
            compiled(self._recipe, phase, stage.model, plan)
        self._log.write(
            PhaseEnded(
                time=time.time(),
                phase=phase.name,
                steps=steps,
                seconds=self._control.clock() - self._begun,
                **self._spent,
                training=sum(self._steps.seconds),
                spared=stage.features["train"].seconds_saved if stage.features else 0.0,
                memory=self._steps.peak,
                others=self._steps.others(),
                frozen=found.frozen,
                digest=found.digest,
                changed=list(found.changed),
                moved=found.moved,
                still=list(found.still),
                stuck=stuck,
                batches=self._seen.hexdigest(),
            )
        )
        if found.changed:
            raise ProofError(f"frozen weights changed in phase '{phase.name}': {list_names(found.changed)}")
        if stuck:
            raise ProofError(
                f"trainable weights did not change in phase '{phase.name}' although their gradient is not zero: "
                f"{list_names(stuck)}"
            )

    def _goes_on(self, activity: str, done: int, total: int) -> bool:
        self._progress(activity, done, total)
        return self._heed()

    def _heed(self) -> bool:
        """Have the commands that have come carried out, between steps. False when the run is to end."""
        if self._control.called():
            self._steps.flush()
        return self._control.heed(self._obey)

    def _obey(self, command: AnyCommand) -> str | None:
        """Carry out a command between steps, and return None, or why not."""
        match command:
            case Rate():
                if not self._left:
                    return f"phase '{self._phase.name}' has no step left"
                if refused := rate_problem(command.base, self._phase):
                    return refused
                self._factor = command.base / self._phase.base_rate
            case Checkpoint():
                return self._checkpoint()
        return None

    def _checkpoint(self) -> str | None:
        folder = self._run.checkpoint_folder(self._control.steps)
        if folder.exists():
            return f"the model of step {self._control.steps} is saved already"
        try:
            with freeze.dropout_rates(self._dropout):
                marks = {"status": "running", "step": self._control.steps}
                saved_model.save(folder, self._recipe, self._pretrained, self._model, self._splits.classes, marks)
        except OSError as error:
            return f"{folder} cannot be written: {reason(error)}"
        self._log.write(
            Checkpointed(time=time.time(), step=self._control.steps, folder=str(folder.relative_to(self._run.folder)))
        )
        return None


def rate_problem(rate: float, phase: Phase) -> str | None:
    """Why a commanded base learning rate is refused in a phase; None when it is not."""
    most = min(_MOST_TIMES * phase.base_rate, max(_MOST, phase.base_rate))
    if rate <= most:
        return None
    return (
        f"a rate of {rate:g} is {rate / phase.base_rate:,.3g} times the phase's own, {phase.base_rate:g}; a run takes "
        f"at most {most:g}, since weights diverge at such rates"
    )


def compiled(recipe: Recipe, phase: Phase, model: Instrumented, plan: LayerPlan, former: Any = None) -> None:
    """Compile a phase's model with its optimizer, and the loss and metrics of the recipe's task.

    former: the optimizer of the phase before, of which moments are carried over.
    """
    task = TASKS[recipe.task]
    multipliers = layer_rates.multipliers(phase, plan)
    if smoothing := recipe.model.label_smoothing:
        model.training_loss = heads.training_loss_for(recipe.model.head, smoothing)
    model.compile(
        optimizer=make_optimizer(phase, model.trainable_variables, multipliers, former),
        loss=objectives.loss_for(task, recipe.model.head),
        metrics=objectives.metrics_for(task),
        jit_compile=backend.jit_compile(),
    )


def seed_layers(model: keras.Model, key: Sequence[int]) -> None:
    """Start the random numbers of dropout anew from (seed, phase, epoch); within an epoch they count its steps."""
    for index, generator in enumerate(seed_generators(model)):
        state = np.random.SeedSequence([*key, index]).generate_state(1)[0]
        generator.state.assign(np.array([state, 0], np.uint32))
