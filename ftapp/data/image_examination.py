"""What is found in image files when they are decoded: hashes of their bytes and pixels, or why they are broken."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path

import msgspec
from PIL import Image

from ftapp.data import images
from ftapp.data.hashes import SIZE, hash_content

Content = Path | bytes
"""An image file, or its bytes."""
FACTS = ("inode", "device", "size", "modified", "changed")
"""What a file is known by: integers, times in nanoseconds."""
_NO_FACTS = (0,) * len(FACTS)


class Examined(msgspec.Struct, array_like=True):
    """What was found in some image files.

    Attributes:
        digests: A hash of the bytes of each, one behind the other; zeros where it cannot be decoded.
        pixels: A hash of the image of each, likewise.
        problems: Why files cannot be decoded, by their positions.
        facts: The `FACTS` of each when it was read, int64 in the order of this machine; zeros for bytes.
    """

    digests: bytes
    pixels: bytes
    problems: dict[int, str]
    facts: bytes


def examine(contents: Sequence[Content], *, whole: bool) -> Examined:
    """Decode and hash image files.

    Args:
        contents: The files.
        whole: Whether large images are decoded at their full size, and not reduced.

    Returns:
        What was found.
    """
    digests, pixels, problems, facts = bytearray(), bytearray(), dict[int, str](), array("q")
    for place, content in enumerate(contents):
        known = _NO_FACTS
        try:
            if isinstance(content, bytes):
                read = content
            else:
                read, status = images.read_content(content)
                known = list_facts(status)
            image = _hash_pixels(images.load(read, None if whole else 1))
        except images.BrokenImageError as error:
            problems[place] = str(error)
            digests += bytes(SIZE)
            pixels += bytes(SIZE)
        else:
            digests += hash_content(read)
            pixels += image
        facts.extend(known)
    return Examined(bytes(digests), bytes(pixels), problems, facts.tobytes())


def list_facts(status: os.stat_result) -> tuple[int, ...]:
    """List the `FACTS` of a file as signed integers of 64 bits. Larger ones, such as a time after 2262, wrap around."""
    facts = status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return tuple((fact + 2**63) % 2**64 - 2**63 for fact in facts)


def _hash_pixels(image: Image.Image) -> bytes:
    return hash_content(repr((image.height, image.width, 3)).encode() + image.tobytes())
