"""The random numbers of layers: a dropout mask is a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from ftapp.models.keras_internals import random_layers
from ftapp.models.layers import has_dropout


class LayerSeeds:
    """The states of a model's random layers, set before each step.

    A step that is repeated, or that a run begins with in the middle of a phase, then has the masks that it has in a
    whole run. The states are variables of the compiled step, so that new values compile nothing anew. It takes about
    50 us to set the state of one layer on TensorFlow, 25 us on JAX and 10 us on torch.

    On torch Keras draws the masks of layers without a seed from torch's own generator, which is seeded too.
    """

    def __init__(self, model: keras.Model) -> None:
        """Find the random layers of a model, except for those whose dropout is off."""
        found = random_layers(model)
        self._count = len(found)
        # By their places among all random layers, so that a mask does not depend on what is frozen.
        self._states = [
            (place, generator.state)
            for place, (layer, generator) in enumerate(found)
            if "Drop" not in type(layer).__name__ or has_dropout(layer)
        ]

    def assign(self, key: Sequence[int]) -> None:
        """Set the states for a step. key: (seed, phase, epoch, step)."""
        if self._states:
            words = np.random.SeedSequence(key).generate_state(2 * self._count).reshape(-1, 2)
            if keras.backend.backend() == "torch":
                import torch

                torch.manual_seed(int(words[0, 0]))
            words = words.astype(self._states[0][1].dtype)
            for place, state in self._states:
                state.assign(words[place])
