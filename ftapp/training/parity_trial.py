"""The first steps of a recipe on one backend, from the weights and on the batches of another one.

The phases train as in a run, except for their length and for dropout: that is off, since each backend draws other masks
from the same seed. Each phase goes on from the weights that the one before left on the same backend.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ftapp import data
from ftapp.common.downloads import Progress
from ftapp.common.peak_memory import read_peak_memory
from ftapp.freezing.freeze import dropout_rates
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.freezing.proof import digest_weights
from ftapp.models.adapters import find_part
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.layers import copy_value, has_dropout, name_variables
from ftapp.recipe import TASKS, Recipe
from ftapp.runs.backend_trial import PhaseTrial, Trial, UpdateDifference
from ftapp.training.batch import StepResult
from ftapp.training.callbacks.callback import Callback
from ftapp.training.divergence import check_finite
from ftapp.training.instrumented_model import beside_loss
from ftapp.training.loop import train_phase
from ftapp.training.phase_features import report_to
from ftapp.training.session import PhaseSession
from ftapp.training.setup import choose_device, set_up
from ftapp.training.state import TrainState

# Held-out examples that are measured after the last step of a phase, at most.
_EVALUATED = 128


@dataclass(frozen=True)
class TrialFiles:
    """The files in which the reference leaves what the other backends begin with and are compared with.

    Attributes:
        folder: Their folder, which exists.
    """

    folder: Path

    @property
    def new_weights(self) -> Path:
        """The values of new weights before the first step, by name."""
        return self.folder / "new-weights.safetensors"

    @property
    def digests(self) -> Path:
        """A hash of each weight before the first step, by name."""
        return self.folder / "digests.safetensors"

    def updates(self, phase: int) -> Path:
        """The change of each trained weight in a phase, by name."""
        return self.folder / f"updates-{phase}.safetensors"


def run_trial(recipe: Recipe, steps: int, folder: Path, *, is_reference: bool, progress: Progress) -> Trial:
    """Train the first steps of each phase.

    Args:
        recipe: The recipe, of this process's backend.
        steps: How many steps of each phase, at most.
        folder: Where the reference leaves its files, and others find them.
        is_reference: Whether the other backends are compared with this one.
        progress: Is told what is being done.

    Returns:
        What the steps gave.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The model or the data could not be loaded, or a loss is not finite.
    """
    found = data.read_early(recipe, progress)
    setup = set_up(recipe, choose_device(recipe.precision, recipe.devices), found, progress)
    files = TrialFiles(folder)
    new = _list_new_weights(setup.plans[-1])
    if is_reference:
        save_file({name: copy_value(variable) for name, variable in new.items()}, files.new_weights)
    else:
        for name, value in load_file(files.new_weights).items():
            new[name].assign(value)
    digests = digest_weights(setup.plans[-1])
    unequal = _compare_digests(digests, files.digests, is_reference=is_reference)
    start_seconds = time.time() - psutil.Process().create_time()
    phases = []
    state, optimizer = TrainState(), None
    with dropout_rates((layer, 0.0) for layer in flatten_layers(setup.model) if has_dropout(layer)):
        for index, plan in enumerate(setup.plans):
            state.begin_phase(index)
            with PhaseSession(
                *(recipe, index, setup.model, plan, setup.splits), former=optimizer, report=report_to(progress)
            ) as session:
                phases.append(_train_first_steps(session, state, steps, files, progress, is_reference=is_reference))
                optimizer = session.optimizer
    return Trial(
        version=metadata.version(keras.backend.backend()),
        device=setup.device.name,
        precision=setup.device.precision,
        weights=len(digests),
        redrawn=len(new),
        unequal=unequal,
        start_seconds=start_seconds,
        peak_memory=read_peak_memory(),
        phases=tuple(phases),
    )


def _list_new_weights(plan: LayerPlan) -> dict[str, Any]:
    """List the weights that are drawn at random, by name: those of new layers, and the factors of adapters."""
    return name_variables(
        (
            each.path,
            [one for one in each.variables if "head" in each.description.groups or find_part(one) == "adapters"],
        )
        for each in plan.decisions
    )


def _compare_digests(digests: Mapping[str, bytes], file: Path, *, is_reference: bool) -> tuple[str, ...]:
    """Name the weights that are not those of the reference, which leaves the hashes of its own."""
    if is_reference:
        save_file({name: np.frombuffer(digest, np.uint8) for name, digest in digests.items()}, file)
        return ()
    theirs = {name: digest.tobytes() for name, digest in load_file(file).items()}
    return tuple(name for name in sorted(digests.keys() | theirs.keys()) if digests.get(name) != theirs.get(name))


class _Recorder(Callback):
    """Records the losses and the times of steps, and the weights before them."""

    def __init__(self, session: PhaseSession, steps: int, progress: Progress) -> None:
        self._session, self._steps, self._progress = session, steps, progress
        self._begun = self.rate = 0.0
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.before: dict[str, NDArray[Any]] = {}

    def on_train_begin(self, state: TrainState) -> None:
        """Copy the weights that train."""
        self.before = _copy_trained(self._session.plan)

    def on_step_begin(self, state: TrainState) -> None:
        """Time a step from now."""
        self._begun = time.perf_counter()

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Wait for the step and record it.

        Raises:
            NotFiniteError: Its loss is not finite.
        """
        loss = result.read()["loss"]
        self.seconds.append(time.perf_counter() - self._begun)
        self.rate = result.rate
        self.losses.append(check_finite(loss, state.position.run_step, self._session.phase, result.rate))
        self._progress(f"phase {self._session.phase.name}", len(self.losses), self._steps)


def _train_first_steps(
    session: PhaseSession, state: TrainState, steps: int, files: TrialFiles, progress: Progress, *, is_reference: bool
) -> PhaseTrial:
    steps = min(steps, session.steps)
    batches = _hash_batches(session, steps)
    recorder = _Recorder(session, steps, progress)
    train_phase(lambda: session, state, [recorder], stop=steps)
    after = _copy_trained(session.plan)
    updates = {name: value - recorder.before[name] for name, value in after.items()}
    file, difference = files.updates(session.index), None
    if is_reference:
        save_file(updates, file)
    else:
        difference = compare_updates(updates, load_file(file))
    split, limit = session.recipe.evaluate.split, session.recipe.evaluate.examples
    evaluation = session.evaluate(split, min(limit or _EVALUATED, _EVALUATED))
    assert evaluation is not None  # the report never gives up
    loss = check_finite(evaluation.metrics["loss"], state.position.run_step, session.phase, recorder.rate)
    return PhaseTrial(
        name=session.phase.name,
        planned=session.steps,
        cached=bool(session.cached),
        batches=batches,
        losses=tuple(recorder.losses),
        seconds=tuple(recorder.seconds),
        evaluated=len(evaluation.order),
        metrics={"loss": loss} | beside_loss(evaluation.metrics),
        update=difference,
    )


def _copy_trained(plan: LayerPlan) -> dict[str, NDArray[Any]]:
    named = name_variables((decision.path, decision.trained) for decision in plan.decisions)
    return {name: copy_value(variable) for name, variable in named.items()}


def _hash_batches(session: PhaseSession, steps: int) -> str:
    """Hash what the model takes in the first steps.

    Of features, which are rounded, the numbers of the examples are hashed, and of texts the tokens: JAX pads them more.
    """
    whole = hashlib.blake2b(digest_size=16)
    for indices, key in session.order_steps(0, steps):
        whole.update(indices.tobytes())
        if session.cached:
            continue
        batch = session.make_batch(indices, key)
        if TASKS[session.recipe.task].inputs == "texts":
            mask = np.asarray(batch.inputs["padding_mask"], bool)
            whole.update(np.asarray(batch.inputs["token_ids"], np.int64)[mask].tobytes())
            continue
        for array in (batch.inputs, batch.targets, batch.weights):
            if array is not None:
                whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


def compare_updates(updates: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]) -> UpdateDifference:
    """Compare the changes of weights with those of a reference.

    Args:
        updates: The change of each weight, by name.
        reference: The same of the reference, by the same names.

    Returns:
        The difference, from 0 for equal changes to 2 for opposite ones.
    """
    squares = {name: _sum_squares(update - reference[name]) for name, update in updates.items()}
    norm = max(sum(map(_sum_squares, each.values())) for each in (updates, reference))
    share = math.sqrt(sum(squares.values()) / norm) if norm else 0.0
    return UpdateDifference(share=share, weight=max(squares, key=lambda name: squares[name]))


def _sum_squares(values: NDArray[Any]) -> float:
    return float(np.sum(np.square(values, dtype=np.float64)))
