"""The configs of KerasHub's backbones, of which some leave arguments out.

Without these, a saved backbone is loaded as another model: KerasHub 0.32 leaves out whether Llama 3 ties its logits to
its embedding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_BESIDE = ("self", "name", "dtype", "data_format", "kwargs")  # arguments that a config has under other names, or not


@contextmanager
def config_completed(backbone: Any) -> Iterator[None]:
    """While the context lasts, the config of a backbone has the arguments that it leaves out and the backbone keeps."""
    whole = backbone.get_config()
    whole |= {name: getattr(backbone, name) for name in _list_left_out(backbone) if hasattr(backbone, name)}
    backbone.get_config = lambda: whole
    try:
        yield
    finally:
        del backbone.get_config


def is_complete(backbone: Any) -> bool:
    """Tell whether `config_completed` knows all arguments of a backbone. It lacks the width of EfficientNet's top."""
    return all(hasattr(backbone, name) for name in _list_left_out(backbone))


def _list_left_out(backbone: Any) -> list[str]:
    """List the arguments that the config of a backbone leaves out, and that are not at their default for sure."""
    stored, arguments = backbone.get_config(), inspect.signature(type(backbone).__init__).parameters
    return [
        name
        for name, argument in arguments.items()
        if name not in (*stored, *_BESIDE) and getattr(backbone, name, _BESIDE) != argument.default
    ]
