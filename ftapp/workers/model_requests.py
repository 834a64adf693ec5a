"""Requests about a recipe's model: the structure of its layers, and the costs of a phase."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ftapp import recipe as recipes
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.recipe import Phase, Recipe
from ftapp.recipe.layer_rules import Rule
from ftapp.recipe.schedule import count_steps
from ftapp.recipe.structure import Structure
from ftapp.rpc import structure_cache
from ftapp.rpc.messages import Costs, Timing
from ftapp.rpc.server import Request
from ftapp.workers.recipe_cache import HeldModel, RecipeCache, load_keras

if TYPE_CHECKING:
    from ftapp.freezing.layer_plan import LayerPlan


class ModelRequests:
    """The handlers of requests about a model. Their recipe is TOML text."""

    def __init__(self, cache: RecipeCache) -> None:
        self._cache = cache

    def describe_structure(self, request: Request, recipe: str) -> Structure:
        """Describe the layers of the model, and keep the description.

        Args:
            request: Receives the progress.
            recipe: TOML text.
        """
        parsed = recipes.parse(recipe)
        # The classes first, so that previews of the data need not wait for Keras.
        classes = self._cache.count_classes(parsed, request)
        load_keras(parsed, request)
        from ftapp.models import structure

        held = self._cache.load_model(parsed, request, classes)
        made = structure.describe_structure(held.layers, classes, held.calls)
        structure_cache.keep(parsed, made)
        return made

    def estimate_costs(self, request: Request, recipe: str, phase: int, layers: Sequence[str] | None) -> Costs:
        """Estimate the costs of a phase.

        Args:
            request: The request.
            recipe: The recipe as TOML text.
            phase: The index of the phase.
            layers: Rules in place of those that the recipe gives the phase; None for those.

        Returns:
            The costs.
        """
        parsed = recipes.parse(recipe)
        spec = choose_phase(parsed, phase, layers)
        classes = self._cache.count_classes(parsed, request)
        precision = load_keras(parsed, request)
        held = self._cache.load_model(parsed, request, classes)
        from ftapp.freezing import cut, feature_cache
        from ftapp.freezing.layer_plan import plan_phase
        from ftapp.training import cost_estimate
        from ftapp.training.feature_choice import choose_features

        plan = plan_phase(parsed, phase, held.layers, spec.layers)
        _check(spec, plan.problems)
        found = cut.find_boundary(held.model, plan, dropout=parsed.frozen.dropout)
        below = [] if isinstance(found, str) else held.list_calls_below(found)
        choice, examples, steps, epochs, error = None, None, None, None, None
        try:
            splits = self._cache.encode(parsed, request, held.pretrained.preprocessor)
            choice = choose_features(parsed, spec, found, below, splits)
            if choice.cached and (refused := feature_cache.check_quota(choice.size)):
                choice = msgspec.structs.replace(choice, cached=False, reason=refused)
            examples = len(splits.train)
            steps, per_epoch = count_steps(spec, examples)
            epochs = steps / per_epoch
        except (RecipeError, RunError) as raised:
            error = str(raised)
        cached = choice is not None and choice.cached
        estimate = cost_estimate.estimate_cost(parsed, spec, held.calls, plan, below, cached=cached)
        timed = _make_timing_key(spec, plan, precision, cached=cached)
        step = held.timed.get(timed)
        derived = _derive_seconds(held, estimate.flops) if estimate else None
        return Costs(
            parameters=plan.parameters,
            trainable=plan.trainable_parameters,
            estimate=estimate,
            is_most=parsed.parallel == "model",
            choice=choice,
            data_error=error,
            examples=examples,
            steps=steps,
            epochs=epochs,
            step=step.step if step else derived,
            basis="measured" if step else "derived" if derived else None,
            int8_saves=step.int8_saves if step else None,
        )

    def time_phase(self, request: Request, recipe: str, phase: int) -> Timing:
        """Time a few steps of a phase. The weights are put back.

        Args:
            request: Receives the progress.
            recipe: TOML text.
            phase: The index of the phase, from 0.

        Raises:
            RecipeError: The rules of the phase do not fit the model.
            RunError: There is no such phase.
        """
        parsed = recipes.parse(recipe)
        spec = choose_phase(parsed, phase, None)
        classes = self._cache.count_classes(parsed, request)
        precision = load_keras(parsed, request)
        held = self._cache.load_model(parsed, request, classes)
        import numpy as np

        from ftapp.freezing.layer_plan import list_adapters, plan_phase
        from ftapp.models import backend
        from ftapp.models.adapters import adapters_added
        from ftapp.training import cost_estimate
        from ftapp.training.int8_proposal import estimate_int8_saving
        from ftapp.training.probe import median_seconds, pick_typical_batch, time_step
        from ftapp.training.session import PhaseSession

        plan = plan_phase(parsed, phase, held.layers, spec.layers)
        _check(spec, plan.problems)
        splits = self._cache.encode(parsed, request, held.pretrained.preprocessor)
        batch = pick_typical_batch(splits.train, spec.batch_size, parsed.seed)
        with held.lock, adapters_added(list_adapters(plan), parsed.seed):
            plan = plan_phase(parsed, phase, held.layers, spec.layers)  # with the factors, which are there now
            request.report_progress("timing a few steps")
            held.model.compile(jit_compile=backend.jit_compile())
            inputs = splits.train.make_inputs(batch, None)
            forward = median_seconds(lambda: held.model.predict_on_batch(inputs), warm_up=1, timed=1)
            weights = [(each, each.numpy()) for each in plan.changing]
            try:
                with PhaseSession(parsed, phase, held.model, plan, splits, calls=held.calls) as session:
                    cached = session.choice.cached
                    step = time_step(session, batch, warm_up=1, timed=2)
                    estimate = session.estimate()
                    int8_saves = None
                    if session.cached:
                        missing = session.cached["train"].count_missing(np.arange(len(splits.train)), None)
                        int8_saves = estimate_int8_saving(session, missing, forward / len(batch))
            finally:
                # Later cuts find cached features by the weights below them.
                for variable, value in weights:
                    variable.assign(value)
        timing = Timing(
            step=step,
            step_flops=estimate.flops if estimate else None,
            forward=forward,
            forward_flops=spec.batch_size * cost_estimate.forward_flops(held.calls) if held.calls else None,
            int8_saves=int8_saves,
        )
        held.timed[_make_timing_key(spec, plan, precision, cached=cached)] = timing
        return timing


def choose_phase(recipe: Recipe, index: int, layers: Sequence[str] | None) -> Phase:
    """Return a phase of a recipe, with other rules if there are some.

    Args:
        recipe: The recipe.
        index: Which of its phases.
        layers: Rules in place of those that the recipe gives it.

    Raises:
        RecipeError: A rule cannot be read.
        RunError: There is no such phase.
    """
    if not 0 <= index < len(recipe.phase):
        raise RunError(
            f"there is no phase {index}; this recipe's phases are numbered from 0 to {len(recipe.phase) - 1}"
        )
    phase = recipe.phase[index]
    if layers is None:
        return phase
    rules, problems = [], []
    for text in layers:
        try:
            rules.append(Rule(text))
        except ValueError as error:
            problems.append(str(error))
    _check(phase, problems)
    return phase.model_copy(update={"layers": rules})


def _check(phase: Phase, messages: Sequence[str]) -> None:
    if messages:
        raise RecipeError([Problem("", f"phase.{phase.name}.layers", message) for message in messages])


def _make_timing_key(phase: Phase, plan: LayerPlan, precision: str, *, cached: bool) -> Hashable:
    """Make a key of all that decides the time of a step, beside the model and its data."""
    treatments = tuple(decision.treatment for decision in plan.decisions)
    return treatments, phase.batch_size, phase.optimizer, precision, cached


def _derive_seconds(held: HeldModel, flops: int) -> float | None:
    """Derive the seconds of so many FLOPs, on the line through the cheapest and the dearest step that were timed.

    The line's slope is the machine's speed, and where it begins is what a step costs beside its operations.
    """
    points = [(timing.step_flops, timing.step) for timing in held.timed.values() if timing.step_flops]
    points += [(timing.forward_flops, timing.forward) for timing in held.timed.values() if timing.forward_flops]
    if len(points) < 2:
        return None
    (few, quick), (many, slow) = min(points), max(points)
    if many == few or slow <= quick:
        return slow * flops / many
    return max(quick * min(1.0, flops / few), quick + (flops - few) * (slow - quick) / (many - few))
