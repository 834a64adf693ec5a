"""Pictures in rows with captions: real ones where the terminal shows some, else two pixels in a cell."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image as Pixels
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from ftapp.tui.terminal import graphics


class Pictures(Vertical):
    """Rows of pictures of one width; `show` changes files in place, so that nothing flickers."""

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
        """Whether the pictures are shown faint. Those that the terminal draws itself have no colours to dim, so they
        leave their place empty.
        """
        self.set_class(dim, "-dim")
        if dim and self.query(_Picture):
            self.set_class(not graphics.in_cells(self.app), "-pixels")

    async def show(self, rows: Sequence[Sequence[tuple[str, str]]], width: int) -> None:
        """rows: files with their captions, "" for none; width: of each picture, in columns.

        A file that cannot be read leaves its place empty. Not to be called again before it returns, nor cancelled.
        """
        shape = [[bool(caption) for _, caption in row] for row in rows]
        if shape != getattr(self, "_shape", None):
            self._shape = shape
            await self.remove_children()
            await self.mount_all(Horizontal(*(_Picture(bool(c)) for _, c in row), classes="row") for row in rows)
        told = (each for row in rows for each in row)
        for widget, (file, caption) in zip(self.query(_Picture), told, strict=False):  # none where this is being closed
            widget.show(file, caption, width)


class _Picture(Vertical):
    def __init__(self, captioned: bool) -> None:
        super().__init__(classes="picture")
        self._captioned = captioned

    def compose(self) -> ComposeResult:
        self._image = graphics.image_class(self.app)()
        yield self._image
        if self._captioned:
            yield Static(classes="caption", markup=False)

    def show(self, file: str, caption: str, width: int) -> None:
        image = self._image
        self.styles.width = image.styles.width = width
        image.styles.height = "auto"
        try:
            with Pixels.open(file) as opened:
                image.image = opened.convert("RGB")
        except OSError:
            image.image = None
        if self._captioned:
            self.query_one(".caption", Static).update(caption)


def columns(widget: Widget, count: int, most: int) -> int:
    """The width of each of so many pictures side by side in a widget, at most `most` columns."""
    return max(4, min(most, widget.content_size.width // max(1, count) - 1))
