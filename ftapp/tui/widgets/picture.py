"""A picture from a file, as large as its space allows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from PIL import Image
from textual.containers import Center

from ftapp.data import images
from ftapp.tui.terminal import graphics

_LARGEST = 1024  # pixels to a side: more than any terminal shows


class Picture(Center):
    """Shows one image file after another."""

    DEFAULT_CSS = """
    Picture { layout: vertical; height: 1fr; align: center middle; }
    """

    async def show(self, file: Path | bytes) -> str:
        """Show an image file.

        Args:
            file: The image file, or its bytes.

        Returns:
            The size of the image in pixels, such as "640 x 480".

        Raises:
            ftapp.data.images.BrokenImageError: The file is no image.
        """
        pixels, size = await asyncio.to_thread(_read, file)
        image_class = await asyncio.to_thread(graphics.choose_image_class, self.app)
        image = image_class(pixels)
        image.styles.width = image.styles.height = "auto"
        await self.remove_children()
        await self.mount(image)
        return "{} x {}".format(*size)


def _read(file: Path | bytes) -> tuple[Image.Image, tuple[int, int]]:
    """Read an image, shrunk to what a terminal shows, and its size in pixels, (width, height)."""
    image = Image.fromarray(images.decode(file) if isinstance(file, bytes) else images.read(file))
    size = image.size
    image.thumbnail((_LARGEST, _LARGEST))
    return image, size
