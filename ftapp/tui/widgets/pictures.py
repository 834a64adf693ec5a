"""Pictures in rows with captions: in pixels where the terminal can, else two pixels in a cell."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image as Pixels
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from ftapp.tui.terminal import graphics


class Pictures(Vertical):
    """Shows rows of pictures of one width. New pictures replace the former ones without flicker."""

    DEFAULT_CSS = """
    Pictures { height: auto; }
    Pictures > .row { height: auto; margin-bottom: 1; }
    Pictures .picture { height: auto; margin-right: 1; }
    Pictures .caption { color: $text-muted; height: 1; }
    Pictures.-dim { opacity: 40%; }
    Pictures.-dim.-pixels { opacity: 100%; }
    Pictures.-dim.-pixels .picture { visibility: hidden; }
    """

    def dim(self, dim: bool) -> None:
        """Make the pictures faint, or not. Pictures that the terminal draws in pixels are hidden instead.

        Args:
            dim: Whether they are faint.
        """
        self.set_class(dim, "-dim")
        if dim and self.query(_Picture):
            self.set_class(not graphics.draws_in_cells(self.app), "-pixels")

    async def show(self, rows: Sequence[Sequence[tuple[str | bytes, str]]], width: int) -> None:
        """Show pictures. Wait for the return before the next call, and do not cancel it.

        Args:
            rows: Image files, or their bytes, with their captions, "" for none. One that cannot be read leaves an
                empty space.
            width: The width of each picture in columns.
        """
        shape = [[bool(caption) for _, caption in row] for row in rows]
        if shape != getattr(self, "_shape", None):
            self._shape = shape
            await self.remove_children()
            await self.mount_all(Horizontal(*(_Picture(bool(c)) for _, c in row), classes="row") for row in rows)
        flat = (each for row in rows for each in row)
        for widget, (file, caption) in zip(self.query(_Picture), flat, strict=False):  # none where this is being closed
            widget.show(file, caption, width)


class _Picture(Vertical):
    def __init__(self, captioned: bool) -> None:
        super().__init__(classes="picture")
        self._captioned = captioned

    def compose(self) -> ComposeResult:
        self._image = graphics.choose_image_class(self.app)()
        yield self._image
        if self._captioned:
            yield Static(classes="caption", markup=False)

    def show(self, file: str | bytes, caption: str, width: int) -> None:
        image = self._image
        self.styles.width = image.styles.width = width
        image.styles.height = "auto"
        try:
            with Pixels.open(io.BytesIO(file) if isinstance(file, bytes) else file) as opened:
                image.image = opened.convert("RGB")
        except OSError:
            image.image = None
        if self._captioned:
            self.query_one(".caption", Static).update(caption)


def fit_width(widget: Widget, count: int, most: int) -> int:
    """Return the width in columns of `count` pictures side by side in a widget, at most `most`."""
    return max(4, min(most, widget.content_size.width // max(1, count) - 1))
