"""A learning rate range test of one phase.

(Smith 2015, Cyclical learning rates, arXiv:1506.01186, section 3.3.) The phase trains as in a run, on the same batches,
while its learning rate grows exponentially from step to step; the rates of its layers keep their ratios. What that does
to the weights is undone, and nothing is kept on disk but features of frozen layers, which a run finds there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp.analysis.lr_suggestions import LossCurve, advise
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.data.dataset import EncodedSplits
from ftapp.recipe import Recipe

if TYPE_CHECKING:
    from ftapp.freezing.layer_plan import LayerPlan
    from ftapp.training.batch import StepResult
    from ftapp.training.session import PhaseSession


def test(
    recipe: Recipe,
    index: int,
    rates: tuple[float, float],
    steps: int,
    progress: Progress,
    on_step: Callable[[float, float], None],
) -> dict[str, Any]:
    """Test learning rates of a phase.

    The phases before it are trained first, as in a run, since a learning rate is one for the weights that the phase
    starts from.

    Args:
        recipe: The recipe.
        index: The index of the phase, from 0.
        rates: The lowest and the highest rate.
        steps: The number of steps between them.
        progress: Called with what is being done.
        on_step: Called with the rate and the loss of each step.

    Returns:
        The curve of the test, what it suggests, and the conditions under which it came about.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The model or the data could not be loaded, or something is not as it was at the end.
    """
    from ftapp import data

    found = data.read_early(recipe, progress)

    from ftapp.freezing import proof
    from ftapp.models.keras_internals import own_weights
    from ftapp.models.layers import restore_values_after
    from ftapp.training.phase_features import report_to
    from ftapp.training.session import PhaseSession
    from ftapp.training.setup import choose_device, set_up

    device = choose_device(recipe.precision, recipe.devices)
    setup = set_up(recipe, device, found, progress)
    model, plans, splits = setup.model, setup.plans, setup.splits
    former = _train_phases_before(recipe, index, model, plans, splits, progress)
    # Each batch is an update, so that each rate is tried.
    phase, plan = recipe.phase[index].model_copy(update={"accumulate": 1, "ema": None, "swa": None}), plans[index]
    recipe = recipe.model_copy(update={"phase": [*recipe.phase[:index], phase, *recipe.phase[index + 1 :]]})
    before, others = proof.digest_weights(plan), proof.hash_variables(_others(model, former))
    # Statistics stay out of these: a new head's are given their first values.
    weights = {id(each) for made in plan.decisions for each in own_weights(made.layer)}
    frozen = weights & {id(each) for made in plan.decisions for each in made.frozen}
    start = time.perf_counter()
    with (
        restore_values_after(each for each in model.variables if id(each) not in frozen),
        PhaseSession(recipe, index, model, plan, splits, former=former, report=report_to(progress)) as session,
    ):
        curve = _sweep(session, rates, steps, progress, on_step)
    after = proof.digest_weights(plan)
    if after != before or proof.hash_variables(_others(model, former)) != others:
        changed = [name for name in before if after[name] != before[name]] or ["random numbers or the optimizer"]
        raise RunError(f"the range test changed {', '.join(changed)}; a range test leaves everything as it was")
    advice = advise(curve, phase.base_rate)
    return {
        "phase": phase.name,
        "trained_before": [each.name for each in recipe.phase[:index]],
        "optimizer": phase.optimizer,
        "batch_size": phase.batch_size,
        "backend": recipe.backend,
        "precision": device.precision,
        "reason": device.reason,
        "cache": msgspec.to_builtins(session.choice),
        "steps": steps,
        "ended": curve.ended,
        "seconds": time.perf_counter() - start,
        "curve": {name: getattr(curve, name) for name in ("rates", "losses", "centers", "smoothed")},
        "own_rate": phase.base_rate,
        "suggestions": [vars(suggestion) for suggestion in advice.suggestions],
        "rate": advice.rate,
        "sentences": advice.sentences,
        "weights": {"count": len(before), "before": proof.combine(before), "after": proof.combine(after)},
    }


def _sweep(
    session: PhaseSession,
    rates: tuple[float, float],
    steps: int,
    progress: Progress,
    on_step: Callable[[float, float], None],
) -> LossCurve:
    """Train a phase for so many steps between two rates, or until the loss diverges."""
    from ftapp.training.head_statistics import calibrate_head

    if session.index == 0:
        calibrate_head(session)
    curve, growth = LossCurve(steps), (rates[1] / rates[0]) ** (1 / (steps - 1))
    for number, batch in enumerate(session.batches(stop=steps)):
        rate = rates[0] * growth**number
        loss = session.step(batch, rate).read()["loss"]
        progress("range test", number + 1, steps)
        continues = curve.add(rate, loss)
        if len(curve.losses) == number + 1:
            on_step(rate, loss)
        if not continues:
            break
    return curve


def _others(model: Any, former: Any) -> dict[str, Any]:
    """What else a run would go on from: the states of random layers, and the optimizer of the phase before."""
    from ftapp.models.keras_internals import seed_generators

    variables = [*(generator.state for generator in seed_generators(model)), *(former.variables if former else ())]
    return dict(zip(map(str, range(len(variables))), variables, strict=True))


def _train_phases_before(
    recipe: Recipe, index: int, model: Any, plans: Sequence[LayerPlan], splits: EncodedSplits, progress: Progress
) -> Any:
    """Train the phases before one as a run would, and return the optimizer of the last of them; None if it is first."""
    from ftapp.training.callbacks.callback import Callback
    from ftapp.training.divergence import check_finite
    from ftapp.training.loop import train_phase
    from ftapp.training.phase_features import report_to
    from ftapp.training.session import PhaseSession
    from ftapp.training.state import TrainState

    class StepProgress(Callback):
        """Reports steps, and ends the test where a loss is not finite."""

        def on_step_end(self, state: TrainState, result: StepResult) -> None:
            check_finite(result.read()["loss"], state.position.run_step, session.phase, result.rate)
            activity = f"training phase {session.phase.name}, which comes before"
            progress(activity, state.position.step, session.steps)

    state, optimizer = TrainState(), None
    for before in range(index):
        state.begin_phase(before)
        with PhaseSession(
            recipe, before, model, plans[before], splits, former=optimizer, report=report_to(progress)
        ) as session:
            train_phase(lambda: session, state, [StepProgress()])
            optimizer = session.optimizer
    return optimizer
