"""Models of a run in lower precision, in float32: as their weights are stored."""

from __future__ import annotations

from typing import Any

NARROW = frozenset({"bfloat16", "float16", "mixed_bfloat16", "mixed_float16"})
"""Types and policies that a layer has when the run's precision is not float32."""


def name_float32(config: Any) -> Any:
    """Name float32 wherever a configuration of Keras names a narrower type.

    Args:
        config: The configuration, as JSON holds it.

    Returns:
        The changed copy.
    """
    if isinstance(config, dict):
        return {key: name_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [name_float32(value) for value in config]
    return "float32" if isinstance(config, str) and config in NARROW else config
