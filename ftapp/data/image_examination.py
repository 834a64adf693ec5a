"""What is found in image files when they are decoded: hashes of their bytes and pixels, or why they are broken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp.data import images
from ftapp.data.hashes import SIZE, hash_content

Content = Path | bytes
"""An image file, or its bytes."""


class Examined(msgspec.Struct, array_like=True):
    """What was found in some image files.

    Attributes:
        digests: A hash of the bytes of each, one behind the other; zeros where it cannot be decoded.
        pixels: A hash of the image of each, likewise.
        problems: Why files cannot be decoded, by their positions.
    """

    digests: bytes
    pixels: bytes
    problems: dict[int, str]


def examine(contents: Sequence[Content], *, whole: bool) -> Examined:
    """Decode and hash image files.

    Args:
        contents: The files.
        whole: Whether large images are decoded at their full size, and not reduced.

    Returns:
        What was found.
    """
    digests, pixels, problems = bytearray(), bytearray(), dict[int, str]()
    for place, content in enumerate(contents):
        try:
            read = content if isinstance(content, bytes) else images.read_content(content)
            image = _hash_pixels(images.decode(read, None if whole else 1))
        except images.BrokenImageError as error:
            problems[place] = str(error)
            digests += bytes(SIZE)
            pixels += bytes(SIZE)
            continue
        digests += hash_content(read)
        pixels += image
    return Examined(bytes(digests), bytes(pixels), problems)


def _hash_pixels(pixels: NDArray[np.uint8]) -> bytes:
    return hash_content(repr(pixels.shape).encode() + pixels.tobytes())
