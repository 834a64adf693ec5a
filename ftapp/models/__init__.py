"""Models: built from presets, saved and loaded."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftapp.models.saved_model import load as load


def __getattr__(name: str) -> Any:
    """`load`, as the documents show it. It is imported when it is used: other modules here need no Keras."""
    if name != "load":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from ftapp.models.saved_model import load

    return load
