"""What is found in image files when they are decoded: hashes of their bytes and pixels, or why they are broken."""

from __future__ import annotations

import os
import struct
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
_FACTS = struct.Struct(f"={len(FACTS)}q")
NO_FACTS = bytes(_FACTS.size)


class Examined(msgspec.Struct, array_like=True):
    """What was found in some image files.

    Attributes:
        digests: A hash of the bytes of each, one behind the other; zeros where it cannot be decoded.
        pixels: A hash of the image of each, likewise.
        problems: Why files cannot be decoded, by their positions.
        facts: The `FACTS` of each when it was read, as `pack_facts` has them; zeros for bytes.
    """

    digests: bytes
    pixels: bytes
    problems: dict[int, str]
    facts: bytes


def examine(contents: Sequence[Content | str], *, whole: bool) -> Examined:
    """Decode and hash image files.

    Args:
        contents: The files; also their paths as text, which is made in less time than a `Path`.
        whole: Whether large images are decoded at their full size, and not reduced.

    Returns:
        What was found.
    """
    digests, pixels, problems, facts = bytearray(), bytearray(), dict[int, str](), bytearray()
    for place, content in enumerate(contents):
        known = NO_FACTS
        try:
            if isinstance(content, bytes):
                read = content
            else:
                read, status = images.read_content(content)
                known = pack_facts(status)
            image = _hash_pixels(images.load(read, None if whole else 1))
        except images.BrokenImageError as error:
            problems[place] = str(error)
            digests += bytes(SIZE)
            pixels += bytes(SIZE)
        else:
            digests += hash_content(read)
            pixels += image
        facts += known
    return Examined(bytes(digests), bytes(pixels), problems, bytes(facts))


def pack_facts(status: os.stat_result) -> bytes:
    """Pack the `FACTS` of a file as signed integers of 64 bits, in the order of this machine.

    Larger ones, such as a time after 2262, wrap around.
    """
    facts = status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    try:
        return _FACTS.pack(*facts)
    except struct.error:
        return _FACTS.pack(*((fact + 2**63) % 2**64 - 2**63 for fact in facts))


def _hash_pixels(image: Image.Image) -> bytes:
    return hash_content(f"({image.height}, {image.width}, 3)".encode() + image.tobytes())
