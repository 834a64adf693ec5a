"""Pictures of examples as files: thumbnails, and sheets of many images. Needs no Keras."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL = 256
"""Pixels of the longer side of a thumbnail at most."""
_SMALL, _TINY = 128, 64  # pixels of the longer side of an embedded picture, and of one that is embedded as it is
_TILE, _GAP = 112, 4  # pixels of a picture on a sheet, and between two


def write_thumbnail(image: NDArray[np.uint8], file: Path) -> None:
    """Write a small copy of an image.

    Args:
        image: RGB, uint8 (height, width, 3).
        file: The PNG to write, of at most THUMBNAIL pixels a side.
    """
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    small.save(file, compress_level=1)


def encode_small(image: NDArray[np.uint8]) -> bytes:
    """Encode a small copy of an image, of some kilobytes, to be embedded in a file.

    Args:
        image: RGB, uint8 (height, width, 3).

    Returns:
        WebP of at most 128 pixels a side. Images of at most 64 pixels lose nothing.
    """
    small = Image.fromarray(image)
    small.thumbnail((_SMALL, _SMALL))
    content = io.BytesIO()
    small.save(content, "WEBP", quality=80, lossless=max(small.size) <= _TINY)
    return content.getvalue()


def write_sheet(columns: NDArray[np.uint8], file: Path) -> None:
    """Write images as one picture, a hundred pixels or so each.

    Args:
        columns: RGB, uint8 (columns, rows, height, width, 3).
        file: The WebP file to write.
    """
    across, down, height, width = columns.shape[:4]
    scale = min(1.0, _TILE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = Image.new("RGBA", (across * (size[0] + _GAP) - _GAP, down * (size[1] + _GAP) - _GAP))
    for column in range(across):
        for row in range(down):
            tile = Image.fromarray(columns[column, row]).resize(size)
            whole.paste(tile, (column * (size[0] + _GAP), row * (size[1] + _GAP)))
    whole.save(file, quality=85)
