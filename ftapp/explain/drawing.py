"""Pictures of maps: an image below its map, and a figure with the image beside it, a legend and captions."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ftapp.explain.colors import color, make_color_map

SIDE = 448
"""Pixels of the longer side of a picture."""
_MOST_OPAQUE = 0.8  # of the map, where there is most evidence
_GAP, _LINE, _BAR = 16, 24, 12  # pixels: between pictures, of a line of text, of the legend's height
_FONT, _SMALL = 17, 13
_INK, _SOFT, _PAPER = (28, 28, 30), (100, 100, 106), (255, 255, 255)
# Fonts that know more letters than Pillow's own, by the names that systems have for them.
_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "arial.ttf")


def draw_overlay(image: NDArray[np.uint8], cells: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw an image below its map.

    The image is grey, so that all colours are the map's. The more evidence, the less of the image shows through. The
    strongest evidence of each map has the last colour, however strong it is.

    Args:
        image: RGB, uint8 (height, width, 3).
        cells: The evidence in each cell, float32 (rows, columns), 0 or more.

    Returns:
        RGB, uint8 (height, width, 3).
    """
    height, width = image.shape[:2]
    strongest = float(cells.max(initial=0))
    scaled = cells / strongest if strongest > 0 else np.zeros_like(cells)
    smooth = np.asarray(Image.fromarray(scaled.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
    share = np.clip(smooth, 0, 1)[..., None]
    grey = np.asarray(Image.fromarray(image).convert("L").convert("RGB"), np.float32)
    opaque = np.minimum(_MOST_OPAQUE, 2 * _MOST_OPAQUE * share)
    mixed: NDArray[np.float32] = grey * (1 - opaque) + color(share[..., 0]) * opaque
    return np.round(mixed).astype(np.uint8)


def encode_webp(image: NDArray[np.uint8]) -> bytes:
    """Encode an RGB image, uint8 (height, width, 3), to be embedded in a page."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "WEBP", quality=85)
    return content.getvalue()


def draw_figure(image: NDArray[np.uint8], overlays: Sequence[tuple[NDArray[np.uint8], str]], note: str) -> bytes:
    """Draw an image with its overlays beside it, and captions and a legend below.

    Args:
        image: RGB, uint8 (height, width, 3).
        overlays: Each of the same size, with its caption.
        note: What stands below the image itself.

    Returns:
        A PNG.
    """
    height, width = image.shape[:2]
    columns = [(image, note), *overlays]
    size = (len(columns) * (width + _GAP) + _GAP, height + 2 * _GAP + 2 * _LINE + _BAR)
    figure = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(figure)
    below = _GAP + height + _GAP // 2
    for place, (picture, caption) in enumerate(columns):
        left = _GAP + place * (width + _GAP)
        figure.paste(Image.fromarray(picture), (left, _GAP))
        pen.text((left, below), _fit(caption, width, _FONT), _INK if place else _SOFT, _load_font(caption, _FONT))
    _draw_legend(figure, pen, 2 * _GAP + width, below + _LINE + 4, width)
    content = io.BytesIO()
    figure.save(content, "PNG")
    return content.getvalue()


def _draw_legend(figure: Image.Image, pen: ImageDraw.ImageDraw, left: int, top: int, width: int) -> None:
    words = ("no evidence", "most of the map")
    font = _load_font("", _SMALL)
    first, last = (round(pen.textlength(word, font)) for word in words)
    bar = max(8, min(160, width - first - last - 12))
    pen.text((left, top - 2), words[0], _SOFT, font)
    ramp = Image.fromarray(make_color_map()[None]).resize((bar, _BAR))
    figure.paste(ramp, (left + first + 6, top))
    pen.text((left + first + bar + 12, top - 2), words[1], _SOFT, font)


def _fit(text: str, width: int, size: int) -> str:
    """Shorten a text to a width in pixels."""
    font = _load_font(text, size)
    shown = text
    while shown and font.getlength(shown) > width:
        shown = shown.removesuffix("…")[:-1] + "…" if len(shown) > 1 else ""
    return shown


def _load_font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load Pillow's own font; for letters beyond Latin the first of the system's fonts."""
    return _load_default(size) if text.isascii() else _load_system_font(size)


@functools.cache
def _load_default(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@functools.cache
def _load_system_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return _load_default(size)
