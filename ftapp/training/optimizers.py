"""Optimizers by the names that recipes use, with learning rates by group and moments that outlast a phase."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from numpy.typing import NDArray

from ftapp.models.keras_internals import moments, optimizer_variables, variable_index, with_hooks
from ftapp.models.layers import copy_value
from ftapp.recipe import Phase
from ftapp.training import embedding_gradients, gradient_norm
from ftapp.training.averages import average_equally

_CLASSES = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "lion": keras.optimizers.Lion,
}
_SGD_MOMENTUM = 0.9


@dataclass(frozen=True)
class Group:
    """How an optimizer treats some of its weights.

    Attributes:
        multiplier: Their learning rate as a multiple of the optimizer's.
        lead: The steps that their moments have behind them from former phases.
    """

    multiplier: float = 1.0
    lead: int = 0


def make_optimizer(
    phase: Phase,
    variables: Sequence[Any] = (),
    multipliers: Sequence[tuple[Any, float]] = (),
    former: Any = None,
    exempt: Sequence[Any] = (),
    *,
    steps: int = 0,
) -> keras.optimizers.Optimizer:
    """Make the optimizer of a phase: decoupled weight decay, gradients clipped to a global norm if the recipe says so.

    Weights that trained in the phase before and go on training keep their moments, and the count of steps that Adam
    corrects their bias by (Kingma & Ba 2015, section 3), if both phases have the same kind of optimizer: a second
    phase with the same weights and rates then continues the first as if there were no boundary. All other weights
    start from zero, as with a new optimizer; so do those that paused for a phase, since their moments describe a loss
    that has moved on. The momentum of SGD is a distance, gathered at the rates of the phase before; it dies away
    within some ten steps.

    Args:
        phase: The phase.
        variables: Those that train, in the model's order.
        multipliers: Some of them, or all, with their learning rate as a multiple of the optimizer's, which is set anew
            at each step (`ftapp.recipe.schedule`).
        former: The optimizer of the phase before; None at the start.
        exempt: Those that weight decay does not shrink.
        steps: The steps of the phase, a share of which are averaged (`phase.swa`).
    """
    leads = _leads(former, phase.optimizer)
    optimizer = _make(phase, variables, multipliers, leads, exempt, steps)
    for variable in variables:
        if id(variable) in leads:
            _copy_moments(former, optimizer, variable)
    return optimizer


@dataclass(frozen=True)
class OptimizerState:
    """All that an optimizer remembers.

    Attributes:
        values: Its own variables, in its order.
        leads: The lead (`Group`) of each weight that trains, in the model's order.
    """

    values: Sequence[NDArray[Any]]
    leads: Sequence[int]


def save_optimizer(optimizer: Any) -> OptimizerState:
    """Copy all that an optimizer remembers. Waits for the device.

    Args:
        optimizer: The optimizer, which has made a step.
    """
    values = list(map(copy_value, optimizer.variables))
    return OptimizerState(values, [group.lead for group in groups_of(optimizer)])


def restore_optimizer(
    phase: Phase,
    variables: Sequence[Any],
    multipliers: Sequence[tuple[Any, float]],
    state: OptimizerState,
    exempt: Sequence[Any] = (),
    *,
    steps: int = 0,
) -> keras.optimizers.Optimizer:
    """Make the optimizer of a phase as it was when its state was saved.

    Args:
        phase: The phase.
        variables: Those that train, in the model's order.
        multipliers: As for `make_optimizer`.
        state: Of an optimizer of the same phase for the same variables.
        exempt: As for `make_optimizer`.
        steps: As for `make_optimizer`.

    Raises:
        ValueError: The state does not fit the phase.
    """
    leads = {id(variable): lead for variable, lead in zip(variables, state.leads, strict=True)}
    optimizer = _make(phase, variables, multipliers, leads, exempt, steps)
    if not optimizer.built:
        optimizer.build(list(variables))
    for variable, value in zip(optimizer.variables, state.values, strict=True):
        variable.assign(value)
    return optimizer


def _make(
    phase: Phase,
    variables: Sequence[Any],
    multipliers: Sequence[tuple[Any, float]],
    leads: Mapping[int, int],
    exempt: Sequence[Any],
    steps: int,
) -> Any:
    """Make the optimizer of a phase. leads: by the ids of variables; it is built if there is a group of any."""
    by_id = {id(variable): multiplier for variable, multiplier in multipliers}
    groups = [Group(by_id.get(id(variable), 1.0), leads.get(id(variable), 0)) for variable in variables]
    options: dict[str, Any] = {
        "name": phase.optimizer,
        "learning_rate": phase.base_rate,
        "global_clipnorm": phase.clip_norm,
    }
    # AdamW alone has a decay of its own, 0.004, when it is given none.
    if phase.weight_decay or phase.optimizer == "adamw":
        options["weight_decay"] = phase.weight_decay
    if phase.accumulate > 1:
        options["gradient_accumulation_steps"] = phase.accumulate
    if phase.ema is not None:
        options |= {"use_ema": True, "ema_momentum": phase.ema}
    if phase.swa is not None:
        options["use_ema"] = True
    if phase.optimizer == "sgd":
        options["momentum"] = _SGD_MOMENTUM
    # On torch Keras puts a class of its own, which updates many weights at once, in the place of the one asked for.
    kind = type(_CLASSES[phase.optimizer](**options))
    if keras.backend.backend() == "tensorflow":
        kind = embedding_gradients.sum_rows(kind)
    is_grouped = any(group != Group() for group in groups)
    if phase.gradient_norm or is_grouped or exempt:
        kind = with_hooks(kind)
    if exempt:
        kind = _without_decay(kind, exempt)
    if phase.gradient_norm:
        kind = gradient_norm.watch_norm(kind)
    if phase.swa is not None:
        kind = average_equally(kind, math.floor(phase.swa * steps))
    if not is_grouped:
        return kind(**options)
    optimizer = _grouped(kind)(**options)
    optimizer.build(list(variables))
    optimizer.groups = tuple(groups)
    return optimizer


def _without_decay(base: Any, exempt: Sequence[Any]) -> Any:
    """Make a class of an optimizer class with hooks whose weight decay leaves some weights as they are."""
    ids = frozenset(map(id, exempt))

    class WithoutDecay(base):
        def apply_weight_decay(self, variables: Sequence[Any]) -> None:
            # None of them is an empty list, which torch refuses.
            if chosen := [variable for variable in variables if id(variable) not in ids]:
                super().apply_weight_decay(chosen)

    return WithoutDecay


def _leads(former: Any, kind: str) -> dict[int, int]:
    """How many steps the moments of each weight of a former optimizer have behind them, by the weight's id."""
    if former is None or former.name != kind or not former.built:
        return {}
    steps = int(keras.ops.convert_to_numpy(former.iterations))
    return {
        id(variable): steps + group.lead
        for variable, group in zip(optimizer_variables(former), groups_of(former), strict=True)
        if steps + group.lead
    }


def groups_of(optimizer: Any) -> Sequence[Group]:
    """Return the group of each weight of a built optimizer, in its order."""
    return getattr(optimizer, "groups", None) or [Group()] * len(optimizer_variables(optimizer))


def _copy_moments(former: Any, optimizer: Any, variable: Any) -> None:
    for old, new in zip(moments(former, variable), moments(optimizer, variable), strict=True):
        new.assign(keras.ops.copy(old))


def _grouped(base: Any) -> Any:
    """`base`, an optimizer class with hooks, with a group for each of its weights, in their order."""

    class Grouped(base):
        groups: tuple[Group, ...] = ()
        _active = Group()

        @property
        def iterations(self) -> Any:
            return super().iterations + self._active.lead if self._active.lead else super().iterations

        def current_learning_rate(self) -> Any:
            rate = super().current_learning_rate()
            return rate * self._active.multiplier if self._active.multiplier != 1.0 else rate

        # The clipping before these sees all groups together.

        def apply_weight_decay(self, variables: Sequence[Any]) -> None:
            for members in self._each_group(variables):
                super().apply_weight_decay([variables[index] for index in members])

        def update_weights(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
            for members in self._each_group(variables):
                chosen = [variables[index] for index in members]
                super().update_weights([gradients[index] for index in members], chosen)

        def _each_group(self, variables: Sequence[Any]) -> Iterator[list[int]]:
            """Where the members of each group stand in `variables`, with that group in force meanwhile."""
            members: dict[Group, list[int]] = {}
            for index, variable in enumerate(variables):
                members.setdefault(self.groups[variable_index(self, variable)], []).append(index)
            try:
                for self._active, indices in members.items():
                    yield indices
            finally:
                self._active = Group()

    return Grouped
