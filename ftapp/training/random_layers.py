"""The random numbers of layers: dropout masks as a function of the seed and the position."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from ftapp.models.keras_internals import seed_generators


def seed_layers(model: keras.Model, key: Sequence[int]) -> None:
    """Start the random numbers of dropout anew from (seed, phase, epoch); within an epoch they count its steps."""
    for index, generator in enumerate(seed_generators(model)):
        state = np.random.SeedSequence([*key, index]).generate_state(1)[0]
        generator.state.assign(np.array([state, 0], np.uint32))
