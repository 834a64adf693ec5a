"""The colours of maps: from blue to yellow, in equal steps for the eye, also for those who do not tell red from green.

The colours lie on a straight line of Oklab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), whose distances
are those that people see. Blue and yellow differ in lightness too, so the map can be read in grey.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_DARK, _BRIGHT = (0.30, -0.02, -0.16), (0.95, -0.03, 0.18)  # lightness, green to red, blue to yellow
_STEPS = 256
# Oklab to the cube roots of the eye's three receptors, and these receptors to linear sRGB.
_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@functools.cache
def make_color_map() -> NDArray[np.uint8]:
    """Make the colours of values from 0 to 1: RGB, uint8 (256, 3)."""
    line = np.linspace(_DARK, _BRIGHT, _STEPS)
    linear = np.clip((line @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colors: NDArray[np.uint8] = np.round(encoded * 255).astype(np.uint8)
    return colors


def color(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the colours of values from 0 to 1: RGB, uint8 (..., 3)."""
    return make_color_map()[np.round(np.clip(values, 0, 1) * (_STEPS - 1)).astype(np.int64)]
