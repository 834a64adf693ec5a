"""The check of image files before a training: each is decoded once to see that it can be, and hashed.

The files of large folders are checked by a process for each core, since small images spend most of their time in
Python. What the check of a large folder finds is kept in the cache (`ftapp.data.checked_images`), so that only new and
changed files are checked again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftapp.common.downloads import Progress
from ftapp.data import checked_images
from ftapp.data.checked_images import KeptChecks
from ftapp.data.file_list import FileList
from ftapp.data.hashes import SIZE, Hashes, find_owners
from ftapp.data.image_examination import Content, Examined, examine
from ftapp.data.image_workers import ImageWorkers

_KEPT = 1000  # files from which on a check is kept; it takes a tenth of a second
_MANY = 30_000  # files from which on processes check them; one takes a fifth of a second of a processor to start
_BY_THREAD, _BY_PROCESS = 16, 500  # files that are examined at once


@dataclass(frozen=True)
class CheckedImages:
    """What the check of image files found.

    Attributes:
        digests: Hashes of their bytes; zeros for files with a problem.
        pixels: Hashes of their images; zeros likewise.
        problems: Why files cannot be decoded, by their positions.
    """

    digests: Hashes
    pixels: Hashes
    problems: dict[int, str]

    def find_whole(self) -> NDArray[np.int64]:
        """Find the files without problems: their positions, int64 (whole,)."""
        return np.setdiff1d(np.arange(len(self.digests)), list(self.problems))

    def keep_whole(self) -> CheckedImages:
        """Return what was found of the files without problems."""
        whole = self.find_whole()
        return CheckedImages(self.digests[whole], self.pixels[whole], {})


@dataclass
class CheckTime:
    """How long images were checked.

    Attributes:
        images: How many images were checked in checks that are kept, so that later runs need not check them.
        seconds: How long that took.
    """

    images: int = 0
    seconds: float = 0.0


_TIME: ContextVar[CheckTime | None] = ContextVar("_TIME", default=None)


@contextmanager
def time_checks() -> Iterator[CheckTime]:
    """Measure the checks of images that this thread makes until the context ends."""
    token = _TIME.set(spent := CheckTime())
    try:
        yield spent
    finally:
        _TIME.reset(token)


def check(
    contents: Sequence[Content], problems: Mapping[int, str] | None = None, progress: Progress | None = None
) -> CheckedImages:
    """Decode each file as in training, but reduced, and hash it.

    A core checks about 500 photographs of 0.1 MB a second, or 40,000 images of 16 x 16 pixels that begin alike.

    Args:
        contents: The files.
        problems: What is known to be wrong with some files, by their positions; these are not read.
        progress: Called with the images checked and in all.

    Returns:
        What was found.
    """
    digests, pixels = (np.zeros((len(contents), SIZE), np.uint8) for _ in range(2))
    found = CheckedImages(digests, pixels, dict(problems or {}))
    left = found.find_whole()
    kept = None
    if isinstance(contents, FileList) and len(contents) >= _KEPT:
        kept = checked_images.load(contents)
        is_known = kept.known[left] >= 0
        places, left = left[is_known], left[~is_known]
        found.digests[places], found.pixels[places] = kept.look_up(kept.known[places])
    begun = time.monotonic()
    try:
        _examine_all(contents, left, found, progress, "checking new images" if kept else "checking images", kept)
    finally:  # also what was found before Ctrl-C
        if kept and len(left):
            kept.keep(found.digests, found.pixels)
    if kept and (spent := _TIME.get()):
        spent.images += len(left)
        spent.seconds += time.monotonic() - begun
    _tell_apart(contents, found, progress)
    return found


def _tell_apart(contents: Sequence[Content], found: CheckedImages, progress: Progress | None) -> None:
    """Hash all pixels of files that have equal reduced images and different bytes."""
    owners = find_owners(found.pixels)
    is_other = (found.digests != found.digests[owners]).any(axis=1)
    alike = np.flatnonzero(np.isin(owners, owners[is_other]) & found.digests.any(axis=1))
    same = alike[find_owners(found.digests[alike])]
    _examine_all(contents, np.unique(same), found, progress, "comparing images that look alike", whole=True)
    found.pixels[alike] = found.pixels[same]
    for at, of in zip(alike.tolist(), same.tolist(), strict=True) if found.problems else ():
        if of in found.problems:
            found.problems[at] = found.problems[of]


def _examine_all(
    contents: Sequence[Content],
    places: NDArray[np.int64],
    found: CheckedImages,
    progress: Progress | None,
    activity: str,
    kept: KeptChecks | None = None,
    *,
    whole: bool = False,
) -> None:
    """Examine the files at some places, and write what is found to `found`, and what they are known by to `kept`."""
    if not len(places):
        return
    reported, done = 0.0, 0
    with ExitStack() as stack:
        work, size = _choose_way(contents, len(places), stack, whole=whole)
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        pool = stack.enter_context(ThreadPoolExecutor((os.cpu_count() or 1) + 1))
        for part, examined in zip(parts, pool.map(work, parts), strict=True):
            found.digests[part] = np.frombuffer(examined.digests, np.uint8).reshape(-1, SIZE)
            found.pixels[part] = np.frombuffer(examined.pixels, np.uint8).reshape(-1, SIZE)
            found.problems.update({int(part[at]): problem for at, problem in examined.problems.items()})
            if kept:
                kept.note(part, examined.facts)
            done += len(part)
            if progress and (time.monotonic() - reported > 0.1 or done == len(places)):
                reported = time.monotonic()
                progress(activity, done, len(places))


def _choose_way(
    contents: Sequence[Content], count: int, stack: ExitStack, *, whole: bool
) -> tuple[Callable[[NDArray[np.int64]], Examined], int]:
    """Choose what examines the files at some places, and how many of them at once.

    Args:
        contents: All files.
        count: How many are examined.
        stack: Holds the processes, if there are some.
        whole: As in `examine`.
    """
    if isinstance(contents, FileList) and count >= _MANY:
        files, workers = contents, stack.enter_context(ImageWorkers())
        return lambda part: workers.examine([files.get_text(at) for at in part.tolist()], whole=whole), _BY_PROCESS
    return lambda part: examine([contents[at] for at in part.tolist()], whole=whole), _BY_THREAD
