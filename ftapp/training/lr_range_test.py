"""The process behind `ftapp lr-find`: a learning rate range test of one phase.

(Smith 2015, Cyclical learning rates, arXiv:1506.01186, section 3.3.) The phase trains as in a run, on the same batches,
while its learning rate grows exponentially from step to step; the rates of its layers keep their ratios. What that does
to the weights is undone, and nothing is kept on disk but features of frozen layers, which a run finds there.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp import recipe as recipes
from ftapp.analysis.lr_suggestions import Curve, advise
from ftapp.common.downloads import Progress
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import Evaluate, Recipe
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Event, PhaseStarted, Progressed, Stepped

if TYPE_CHECKING:
    from ftapp.data.dataset import BatchKey


def main(file: Path, phase: int, rates: tuple[float, float], steps: int) -> int:
    """Test a phase, by its index, of the recipe in `file` between two rates, and return the exit code.

    Each line of stdout is a JSON object with one key: `progress`, a list of what is being done in words, how much of it
    is done, and of how much; `step`, a list of the rate and the loss of a step; at the end `result`, or `error` as in
    `ftapp.workers.planner`.
    """
    try:
        _print("result", test(recipes.load(file), phase, rates, steps, _print_progress, _print_step))
    except RecipeError as error:
        _print("error", str(error))
        return 2
    except RunError as error:
        _print("error", str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _print(key: str, value: Any) -> None:
    print(json.dumps({key: value}), flush=True)


def _print_progress(activity: str, done: int = 0, total: int | None = None) -> None:
    _print("progress", [activity, done, total])


def _print_step(rate: float, loss: float) -> None:
    _print("step", [rate, loss])


def test(
    recipe: Recipe,
    index: int,
    rates: tuple[float, float],
    steps: int,
    progress: Progress,
    on_step: Callable[[float, float], None],
) -> dict[str, Any]:
    """The curve of the test, what it suggests, and under what conditions it came about.

    The phases before are trained first, as a run would, since a learning rate is one for the weights that the phase
    starts from. progress: is told what is being done; on_step: is called with the rate and the loss of each step.

    Raises RecipeError when the recipe does not fit its model or data; RunError when these cannot be had,
    and when something is not as it was at the end.
    """
    from ftapp import data

    found = data.read_early(recipe, progress)
    import keras

    from ftapp.data.encoded import load_encoded
    from ftapp.freezing import freeze, proof
    from ftapp.models import backend, build
    from ftapp.models.keras_internals import own_weights
    from ftapp.training.job import build_model
    from ftapp.training.phases import compiled
    from ftapp.training.session import staged

    backend.device()
    precision, reason = backend.choose_precision(recipe.precision)
    pretrained = build.load_pretrained(recipe, progress)
    splits = load_encoded(recipe, pretrained.preprocessor, progress, found)
    model, plans = build_model(recipe, pretrained, splits)
    former = _trained(recipe, index, pretrained, model, plans, splits, progress)
    phase, plan = recipe.phase[index], plans[index]
    freeze.apply(model, plan)
    before, others = proof.digest_weights(plan), proof.hash_variables(_others(model, former))
    # Statistics stay out of these: a new head's are given their first values.
    weights = {id(each) for made in plan.decisions for each in own_weights(made.layer)}
    frozen = weights & {id(each) for made in plan.decisions for each in made.frozen}
    kept = [(each, np.array(keras.ops.convert_to_numpy(each))) for each in model.variables if id(each) not in frozen]
    begun = time.perf_counter()
    with staged(recipe, phase, model, plan, splits) as stage:
        compiled(recipe, phase, stage.model, plan, former)
        curve = _swept(recipe, index, stage, model, splits.train, rates, steps, progress, on_step)
    for variable, value in kept:
        variable.assign(value)
    after = proof.digest_weights(plan)
    if after != before or proof.hash_variables(_others(model, former)) != others:
        changed = [name for name in before if after[name] != before[name]] or ["random numbers or the optimizer"]
        raise RunError(f"a range test leaves everything as it was; {', '.join(changed)} changed")
    advice = advise(curve, phase.base_rate)
    return {
        "phase": phase.name,
        "trained_before": [each.name for each in recipe.phase[:index]],
        "optimizer": phase.optimizer,
        "batch_size": phase.batch_size,
        "backend": recipe.backend,
        "precision": precision,
        "reason": reason,
        "cache": msgspec.structs.asdict(stage.choice),
        "steps": steps,
        "ended": curve.ended,
        "seconds": time.perf_counter() - begun,
        "curve": {name: getattr(curve, name) for name in ("rates", "losses", "centers", "smoothed")},
        "own_rate": phase.base_rate,
        "suggestions": [vars(suggestion) for suggestion in advice.suggestions],
        "rate": advice.rate,
        "sentences": advice.sentences,
        "weights": {"count": len(before), "before": proof.combine(before), "after": proof.combine(after)},
    }


def _swept(
    recipe: Recipe,
    index: int,
    stage: Any,
    model: Any,
    train: Any,
    rates: tuple[float, float],
    steps: int,
    progress: Progress,
    on_step: Callable[[float, float], None],
) -> Curve:
    """Train a phase, whose stage is compiled, for so many steps between two rates, or until the loss diverges.

    model: whole, with the random layers of the stage's; train: the training examples, not as features.
    """
    from ftapp.data.dataset import BatchKey
    from ftapp.data.order import phase_order
    from ftapp.data.prefetch import prefetch
    from ftapp.models import build
    from ftapp.training.instrumented_model import values
    from ftapp.training.phases import seed_layers
    from ftapp.training.session import calibrate

    key, data = (recipe.seed, index), stage.data["train"]

    def prepare(indices: NDArray[np.int64], draw: BatchKey) -> bool:
        told = functools.partial(goes_on, "features of the train split")
        return not stage.features or stage.features["train"].prepare(indices, draw, told)

    def goes_on(activity: str, done: int, total: int) -> bool:
        progress(activity, done, total)
        return True

    def draws() -> Iterator[tuple[NDArray[np.int64], BatchKey]]:
        size, fills = recipe.phase[index].batch_size, bool(build.batch_normalized(model))
        for epoch, order in enumerate(phase_order(train, size, steps, key, fill=fills)):
            prepare(np.concatenate(order), BatchKey(*key, epoch, 0))
            yield from ((examples, BatchKey(*key, epoch, number)) for number, examples in enumerate(order))

    def batch(drawn: tuple[NDArray[np.int64], BatchKey]) -> tuple[Any, Any, BatchKey]:
        return data.inputs(*drawn), data.targets(drawn[0]), drawn[1]

    if index == 0:
        told = functools.partial(goes_on, "mean and variance of the features")
        calibrate(recipe, recipe.phase[0], stage, train, prepare, told)
    curve, growth = Curve(steps), (rates[1] / rates[0]) ** (1 / (steps - 1))
    for number, (x, y, draw) in enumerate(prefetch(batch, draws())):
        if draw.step == 0:
            seed_layers(model, (*key, draw.epoch))
        stage.model.optimizer.learning_rate = rate = rates[0] * growth**number
        metrics, _ = values(stage.model.train_on_batch(x, y, return_dict=True))
        progress("range test", number + 1, steps)
        continues = curve.add(rate, metrics["loss"])
        if len(curve.losses) == number + 1:
            on_step(rate, metrics["loss"])
        if not continues:
            break
    return curve


def _others(model: Any, former: Any) -> dict[str, Any]:
    """What else a run would go on from: the states of random layers, and the optimizer of the phase before."""
    from ftapp.models.keras_internals import seed_generators

    variables = [*(generator.state for generator in seed_generators(model)), *(former.variables if former else ())]
    return dict(zip(map(str, range(len(variables))), variables, strict=True))


class _Narrated(EventLog):
    """In the place of a run's events: tells its steps."""

    def __init__(self, progress: Progress) -> None:
        self._phase: PhaseStarted | None = None
        self._progress = progress

    def write(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._phase = event
            case Progressed():
                self._progress(event.activity, event.done, event.total)
            case Stepped() if self._phase:
                done = event.step - self._phase.first_step + 1
                self._progress(f"training phase {self._phase.phase}, which comes before", done, self._phase.steps)


def _trained(
    recipe: Recipe, index: int, pretrained: Any, model: Any, plans: Any, splits: Any, progress: Progress
) -> Any:
    """Train the phases before one as a run would, and return the optimizer of the last of them; None if it is first."""
    from ftapp.runs.commands import Control
    from ftapp.runs.run_folder import Run
    from ftapp.training.phases import Job

    if index == 0:
        return None
    # Measurements and samples change nothing.
    alone: dict[str, Any] = {
        "evaluate": Evaluate(every=10_000_000, split=recipe.evaluate.split, examples=1),
        "samples": None,
    }
    log = _Narrated(progress)
    run = Run(Path(os.devnull))  # nobody sends it commands, and it saves nothing
    with Job(recipe.model_copy(update=alone), pretrained, model, plans, splits, run, log, Control(run, log)) as job:
        for before in range(index):
            job.fit(before)
        return job.optimizer


if __name__ == "__main__":
    name, place, low, high, count = sys.argv[1:]
    sys.exit(main(Path(name), int(place), (float(low), float(high)), int(count)))
