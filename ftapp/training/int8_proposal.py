"""The proposal of int8 features: the time that they would save in a phase, measured on this machine."""

from __future__ import annotations

import importlib.util

import numpy as np

from ftapp.training.session import PhaseSession

# Shorter savings are not worth a change of the recipe: in seconds, and as a share of the time of float features.
_LEAST_SECONDS, _LEAST_SHARE = 10.0, 0.1


def estimate_int8_saving(session: PhaseSession, missing: int, example: float) -> float | None:
    """Estimate the seconds that int8 features would save in a phase, with the time to quantize and check them.

    A quantization on one example, which is good for nothing else, shows how fast int8 is here.

    Args:
        session: The phase.
        missing: How many examples lack features.
        example: Seconds that the features of an example take now.

    Returns:
        The seconds; None where the recipe has int8 already, where it cannot be had, or where it is not worth it.
    """
    if not session.cached or session.halves is None or session.recipe.frozen.dtype == "int8":
        return None
    if any(importlib.util.find_spec(name) is None for name in ("openvino", "nncf")):
        return None
    if missing * example < _LEAST_SECONDS:
        return None
    from ftapp.freezing import quantize

    train = session.splits.train
    samples = quantize.draw_samples(train, session.recipe.seed)
    try:
        quick, preparing = quantize.time_example(session.halves, train, np.sort(samples.check))
    except Exception:  # of whatever kind a library makes: these layers stay in float
        return None
    # Measuring ranges costs a forward pass in float for each example; the check one in float, since its int8 features
    # are those of the phase. At the end the test split is measured in both, and only in float without int8.
    split, limit, test = session.recipe.evaluate.split, session.recipe.evaluate.examples, len(session.splits.test)
    known = min(limit or test, test) if split == "test" else 0  # those that are among the missing ones
    cost = (
        preparing + (len(samples.calibration) + len(samples.check)) * example + known * (example - quick) + test * quick
    )
    saved = missing * (example - quick) - cost
    return saved if saved >= max(_LEAST_SECONDS, _LEAST_SHARE * missing * example) else None
