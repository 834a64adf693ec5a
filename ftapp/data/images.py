"""Image files of any kind -> RGB images of eight bits."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")

# Odd EXIF fields and large pictures are no news to someone who trains. Set once: threads share the filters.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What PIL raises for files that are broken in one way or another, or that unpack to more than 179 million pixels."""


def rgb(content: bytes) -> NDArray[np.uint8]:
    """The image in a file's bytes, uint8 [height, width, 3], turned upright as its EXIF orientation asks.

    Grey and palette become RGB, transparency shows white, 16 bits keep their upper 8; of an animation, the first frame.
    Raises one of BROKEN.
    """
    with Image.open(io.BytesIO(content)) as image:
        return np.array(_converted(ImageOps.exif_transpose(image)), np.uint8)


def check(content: bytes) -> None:
    """Decode an image to the end, at an eighth of its size where the format allows it, and throw it away.

    Raises one of BROKEN when it is no image, corrupt or truncated.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (1, 1))
        image.load()


def _converted(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # PIL would clip 16 bits at 255 and so turn all but the darkest pixels white.
        values = np.asarray(image, np.float64)
        image = Image.fromarray(np.clip(values / (256 if values.max(initial=0) > 255 else 1), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
