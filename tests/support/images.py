"""Image files that tests write."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.recipe import Data

RED, WHITE = [255, 0, 0], [255, 255, 255]


def spec(source: object, **keys: object) -> Data:
    return Data.model_validate({"source": str(source), **keys})


def noise(seed: int, size: tuple[int, int] = (6, 9)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def write(path: Path, pixels: NDArray[np.uint8], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG file made by hand, of kinds that PIL does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def exif(entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """An EXIF block of (tag, type, count, value) as cameras and other programs write them, also wrongly."""
    fields = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0")[:4] for entry in entries)
    return b"Exif\0\0II" + struct.pack("<HIH", 42, 8, len(entries)) + fields + b"\0" * 4


def problems(folder: Path, **keys: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        data.load(spec(f"folder:{folder}", **keys), "image-classification", 0)
    return [str(problem) for problem in caught.value.problems]
