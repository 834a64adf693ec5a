"""Pictures as sixels that every terminal draws right."""

from __future__ import annotations

import re
from typing import Any

from textual.app import ComposeResult
from textual_image.widget import sixel

_HEADER = re.compile(r'\x1bP[\d;]*q"[\d;]*')
_DEFINITION = re.compile(r"(#\d+);2;\d+;\d+;\d+")


class SixelImage(sixel.Image, Renderable=sixel._NoopRenderable):
    """textual-image's, but for the order in which its sixels have it: each colour where it is first used, of which
    xterm draws the first rows in other colours.
    """

    def compose(self) -> ComposeResult:
        yield _Sixels(self.image, self._sixel_options)


class _Sixels(sixel._ImageSixelImpl):
    def _image_to_sixels(self, *given: Any, **named: Any) -> str:
        return colors_first(super()._image_to_sixels(*given, **named))


def colors_first(sixels: str) -> str:
    """The same sixels with all colours defined before the first of them is used."""
    header = _HEADER.match(sixels)
    if header is None:
        return sixels
    definitions = "".join(found.group() for found in _DEFINITION.finditer(sixels))
    return header.group() + definitions + _DEFINITION.sub(r"\1", sixels[header.end() :])
