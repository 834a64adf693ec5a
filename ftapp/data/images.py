"""Image files of any kind -> RGB images of eight bits."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ftapp.common.formatting import format_size
from ftapp.common.safe_files import explain_error
from ftapp.data import image_headers
from ftapp.data.image_headers import ORIENTATION_SOURCES

KINDS = "JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, JPEG 2000 or AVIF"

# Odd EXIF fields and large pictures are no news to someone who trains. Set once: threads share the filters.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# Not all that PIL reads: some kinds need programs of their own (EPS) or have no mark that tells them (TGA).
Image.init()  # else PIL knows only the first few of them
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
_ORIENTATION = 0x0112
_LARGEST = 2**31  # bytes of a file: more than the most pixels that PIL decodes have, at eight bytes each
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BEGINNINGS = {
    b"version https://git-lfs": "it is a pointer of Git LFS and not the picture itself, which `git lfs pull` fetches",
    b"<": "it holds a web page or another text, no picture",
    b"{": "it holds a text, no picture",
}


class BrokenImageError(ValueError):
    """A file without an image that can be decoded; its message says why."""


def read(path: Path, at_least: int | None = None) -> NDArray[np.uint8]:
    """Decode the image in a file.

    Args:
        path: The file.
        at_least: As in `decode`.

    Returns:
        The image, uint8 (height, width, 3).

    Raises:
        BrokenImageError: The file cannot be read or holds no image that can be decoded.
    """
    return decode(read_content(path)[0], at_least)


def read_content(path: str | Path) -> tuple[bytes, os.stat_result]:
    """Read the bytes of an image file.

    Args:
        path: The file.

    Returns:
        Its bytes, and its status right before they were read.

    Raises:
        BrokenImageError: The file cannot be read, or is too large.
    """
    try:
        number = os.open(path, os.O_RDONLY)  # with what follows it takes half the time of `open` and `read`
        try:
            status = os.fstat(number)
            if status.st_size > _LARGEST:
                most = format_size(_LARGEST)
                raise BrokenImageError(f"it has {format_size(status.st_size)}, and files of up to {most} are read")
            content = os.read(number, status.st_size + 1)
            while len(content) != status.st_size and (more := os.read(number, _LARGEST)):
                content += more
            return content, status
        finally:
            os.close(number)
    except OSError as error:
        raise BrokenImageError(f"it cannot be read: {explain_error(error)}") from error


def decode(content: bytes, at_least: int | None = None) -> NDArray[np.uint8]:
    """Decode the image in a file's bytes, and turn it upright as its EXIF orientation asks.

    Grey and palette become RGB, transparency shows white, 16 bits keep their upper 8; of an animation the first frame
    is taken.

    Args:
        content: The bytes of the file.
        at_least: The pixels that each side keeps where the format can be decoded at a half, a quarter or an eighth of
            its size (JPEG). An eighth takes a tenth of the time for large photographs. None for the whole size.

    Returns:
        The image, uint8 (height, width, 3).

    Raises:
        BrokenImageError: The bytes hold no image that can be decoded.
    """
    return np.array(load(content, at_least), np.uint8)


def load(content: bytes, at_least: int | None = None) -> Image.Image:
    """Decode an image as `decode` does, to an image of PIL in the mode RGB."""
    try:
        known = image_headers.decode(content, at_least)
        if known is not None:
            return _convert(known)
        file = io.BytesIO(content)
        with Image.open(file, formats=_FORMATS) as image:
            header = file.tell()
            if at_least is not None:
                image.draft("RGB", (at_least, at_least))
            image_headers.remember(content, header, image, at_least)
            image.load()
            return _convert(_turn_upright(image))
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise BrokenImageError(f"it has more than {limit:,} pixels, the most that are read; make it smaller") from error
    except UnidentifiedImageError as error:
        raise BrokenImageError(_explain_unidentified(content)) from error
    except Exception as error:  # PIL raises many kinds, also KeyError and struct.error, for what it does not expect
        reason = str(error).partition(" <_io")[0] or type(error).__name__
        raise BrokenImageError(f"it is corrupt or cut short: {reason}") from error


def is_image(path: Path) -> bool:
    """Tell whether a file begins as an image of a kind that is read, whatever its name."""
    try:
        with Image.open(path, formats=_FORMATS):
            return True
    except Exception:
        return False


def explain_unread(path: Path) -> str:
    """Explain why a file whose name does not tell its kind is no image that is read; "" for an image."""
    return "" if is_image(path) else f"this is no image of a kind that is read; these kinds are {KINDS}"


def _explain_unidentified(content: bytes) -> str:
    if not content:
        return "it is empty, of 0 bytes"
    beginning = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = next((words for mark, words in _BEGINNINGS.items() if beginning.startswith(mark)), None)
    return known or f"it is no picture of a kind that is read; these kinds are {KINDS}; save it as one of them"


def _turn_upright(image: Image.Image) -> Image.Image:
    # To look takes as long as to decode an icon.
    if ORIENTATION_SOURCES.isdisjoint(image.info) and not hasattr(image, "tag_v2"):
        return image
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # viewers too show a picture whose EXIF is broken as it is stored
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _convert(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # PIL would clip 16 bits at 255 and so turn all but the darkest pixels white.
        values = np.nan_to_num(np.asarray(image, np.float64))
        largest = values.max(initial=0)
        scale = 1 / 256 if largest > 255 else 255 if image.mode == "F" and largest <= 1 else 1
        image = Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
