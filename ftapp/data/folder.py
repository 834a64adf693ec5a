"""`folder:PATH`: a folder or archive of images or texts, with one sub-folder a class, or with splits that hold these.

Images are decoded when they are asked for; only their paths and hashes stay in memory. Texts are read at once.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ftapp.common.downloads import Progress
from ftapp.common.formatting import format_quantity, join_names
from ftapp.common.local_files import IMAGES, TEXTS, FileKind
from ftapp.data import class_folders, image_check, image_files, text_file, unpacked
from ftapp.data.class_folders import Listing
from ftapp.data.examples import DataProblems, Texts
from ftapp.data.image_files import ImageFiles
from ftapp.data.texts import normalise
from ftapp.recipe import TASKS, Data
from ftapp.recipe.sources import Source

_TOLD = 3  # notes about single texts


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> ImageFiles | Texts:
    """Read the images or texts of a folder; each image is decoded once to see that it can be.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with the files read and in all.

    Returns:
        The images or texts.

    Raises:
        RecipeError: An image is corrupt or truncated, unless `data.skip_broken` leaves it out; a text is empty, unless
            `data.skip_incomplete` does; a file is no image, a class folder is empty, a class is missing in
            `data.classes` or in a split, there are fewer than two classes, or folders may be splits or classes. The
            error names the files.
    """
    kind = _choose_kind(task)
    findings = DataProblems()
    with unpacked.open_folder(Path(source.name), progress) as root:
        listing = class_folders.list_files(spec, root, kind, findings)
        return (_read_images if kind is IMAGES else _read_texts)(spec, listing, findings, progress)


def _choose_kind(task: str) -> FileKind:
    return IMAGES if TASKS[task].inputs == "images" else TEXTS


def _read_images(spec: Data, listing: Listing, findings: DataProblems, progress: Progress | None) -> ImageFiles:
    checked = image_check.check(listing.paths, progress=progress)
    if spec.skip_broken and checked.problems:
        problem = "none of the images of this class can be decoded"
        note = image_files.describe_broken(checked, listing.paths.describe)
        listing = listing.keep(checked.find_whole(), [note], problem, findings)
        checked = checked.keep_whole()
    for at, problem in sorted(checked.problems.items()):
        findings.add(listing.paths[at], f"this image cannot be decoded: {problem}; {image_files.LEAVE_OUT}")
    findings.check()
    paths, given = listing.paths, listing.given_split
    return ImageFiles(paths, paths.describe, checked, listing.targets, listing.classes, given, listing.notes)


def _read_texts(spec: Data, listing: Listing, findings: DataProblems, progress: Progress | None) -> Texts:
    notes: list[str] = []
    texts: list[str] = []
    reported = 0.0
    for path in listing.paths:
        texts.append(normalise(text_file.read(path, findings, notes, spec.encoding)))
        if progress and (time.monotonic() - reported > 0.1 or len(texts) == len(listing.paths)):
            reported = time.monotonic()
            progress("reading texts", len(texts), len(listing.paths))
    findings.check()
    whole = np.array([at for at, text in enumerate(texts) if text.strip()], np.int64)
    left = [listing.paths[at] for at, text in enumerate(texts) if not text.strip()]
    if left and spec.skip_incomplete:
        names = [listing.paths.describe(at) for at, text in enumerate(texts) if not text.strip()]
        notes.insert(0, f"{format_quantity(len(left), 'empty file')} left out: {join_names(names)}")
    for path in () if spec.skip_incomplete else left:
        rule = "a text has words; to leave such files out, --set data.skip_incomplete=true"
        findings.add(path, f"this file is empty; {rule}")
    if len(notes) > _TOLD:
        notes[_TOLD:] = [f"and {format_quantity(len(notes) - _TOLD, 'note')} like these"]
    findings.check()
    listing = listing.keep(whole, notes, "none of the texts of this class has words", findings)
    findings.check()
    names = list(map(listing.paths.describe, range(len(whole))))
    kept = [texts[at] for at in whole]
    return Texts(kept, listing.targets, listing.classes, listing.given_split, names, listing.notes)


def check(spec: Data, source: Source, task: str) -> None:
    """Check a folder as `read` does, without reading its files.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.

    Raises:
        RecipeError: The folder cannot be used, as far as the names of its files tell.
    """
    findings = DataProblems()
    with unpacked.open_folder(Path(source.name)) as root:
        class_folders.list_files(spec, root, _choose_kind(task), findings)
        findings.check()
