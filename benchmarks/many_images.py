"""Folders of very many small images, each with pixels of its own, for benchmarks."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

_SIDE = 16  # pixels
_CLASSES = 100
_AT_ONCE = 1000  # images of a class folder that one process writes


def make_folder(folder: Path, count: int) -> None:
    """Write images in 100 classes, every second one a PNG and the others JPEG: 400 to 800 bytes each.

    Args:
        folder: The folder of class folders; where it exists, it is left as it is.
        count: How many images.
    """
    if folder.exists():
        return
    scratch = folder.with_name(f"{folder.name}.part")
    for number in range(_CLASSES):
        (scratch / f"class-{number:02}").mkdir(parents=True, exist_ok=True)
    starts = range(0, count, _AT_ONCE)
    with ProcessPoolExecutor() as pool:
        for done in pool.map(_write, [(scratch, start, min(count, start + _AT_ONCE)) for start in starts]):
            if sys.stderr.isatty():
                print(f"\r{done:,} of {count:,}", end="", file=sys.stderr)
    scratch.rename(folder)


def _write(part: tuple[Path, int, int]) -> int:
    """Write the images of a range of numbers."""
    folder, start, stop = part
    random = np.random.default_rng(start)
    for number in range(start, stop):
        label = number % _CLASSES
        pixels = random.integers(0, 128, (_SIDE, _SIDE, 3), np.uint8) + np.uint8(label)
        kind = ("png", "jpeg")[number // _CLASSES % 2]
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, kind)
        (folder / f"class-{label:02}" / f"image-{number:07}.{kind}").write_bytes(content.getvalue())
    return stop
