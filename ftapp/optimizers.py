"""Optimizers by the names that recipes use."""

from __future__ import annotations

from typing import Any

import keras

from ftapp.recipe import Phase

_CLASSES = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "lion": keras.optimizers.Lion,
}
_SGD_MOMENTUM = 0.9


def make_optimizer(phase: Phase) -> keras.optimizers.Optimizer:
    """The phase's optimizer: decoupled weight decay, gradients clipped to a global norm if the recipe says so.

    Its learning rate is set anew at each step (`ftapp.schedule`).
    """
    options: dict[str, Any] = {"learning_rate": phase.learning_rate, "global_clipnorm": phase.clip_norm}
    # AdamW alone has a decay of its own, 0.004, when it is given none.
    if phase.weight_decay or phase.optimizer == "adamw":
        options["weight_decay"] = phase.weight_decay
    if phase.optimizer == "sgd":
        options["momentum"] = _SGD_MOMENTUM
    return _CLASSES[phase.optimizer](**options)
