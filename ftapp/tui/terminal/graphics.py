"""The choice how pictures are shown: as pixels where the terminal can, else as two coloured halves of each cell."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from ftapp.tui.terminal import capabilities

if TYPE_CHECKING:
    from textual.app import App
    from textual_image.widget._base import Image


def draws_in_cells(app: App[Any]) -> bool:
    """Whether pictures are drawn as coloured characters, to which styles apply."""
    return choose_image_class(app).__name__ == "HalfcellImage"


def choose_image_class(app: App[Any]) -> type[Image]:
    """Choose the widget of textual-image for the terminal. The first call imports it, which takes 0.2 s.

    textual-image queries the terminal when it is imported, and Textual would read the answers as key presses
    (0.12.0; its README asks for an import before the app runs, which costs each start of the interface 0.2 s). So it is
    imported without a terminal, and gets the answers of `capabilities`.

    Args:
        app: The app, which may be headless or in a browser.

    Returns:
        A widget class, which takes an image.
    """
    shown = sys.__stdout__
    if "textual_image.widget" not in sys.modules:
        sys.__stdout__ = io.StringIO()  # type: ignore[misc, assignment]
    try:
        from textual_image import _terminal, widget
    finally:
        sys.__stdout__ = shown  # type: ignore[misc]
    if size := capabilities.cell_size():
        setattr(_terminal.get_cell_size, "_result", _terminal.CellSize(*size))  # noqa: B010
    if app.is_headless or app.is_web:
        return widget.HalfcellImage
    if capabilities.has_kitty_graphics():
        return widget.TGPImage
    if capabilities.has_sixel():
        from ftapp.tui.terminal.sixel_image import SixelImage

        return SixelImage
    return widget.HalfcellImage
