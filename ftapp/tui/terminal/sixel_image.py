"""Pictures as sixels that all terminals draw in the right colours."""

from __future__ import annotations

import re
from typing import Any

from textual.app import ComposeResult
from textual_image.widget import sixel

_HEADER = re.compile(r'\x1bP[\d;]*q"[\d;]*')
_DEFINITION = re.compile(r"(#\d+);2;\d+;\d+;\d+")


class SixelImage(sixel.Image, Renderable=sixel._NoopRenderable):
    """The widget of textual-image, with all colours defined first.

    textual-image 0.12.0 defines each colour where it is first used (its sixels came with lnqs/textual-image#21; no
    issue about this is known). xterm then draws the first rows in other colours, as in junjihashimoto/sixel#5.
    """

    def compose(self) -> ComposeResult:
        yield _Sixels(self.image, self._sixel_options)


class _Sixels(sixel._ImageSixelImpl):
    def _image_to_sixels(self, *given: Any, **named: Any) -> str:
        return define_colors_first(super()._image_to_sixels(*given, **named))


def define_colors_first(sixels: str) -> str:
    """Move the definitions of all colours before the first pixel."""
    header = _HEADER.match(sixels)
    if header is None:
        return sixels
    definitions = "".join(found.group() for found in _DEFINITION.finditer(sixels))
    return header.group() + definitions + _DEFINITION.sub(r"\1", sixels[header.end() :])
