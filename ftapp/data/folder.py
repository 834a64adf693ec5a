"""`folder:PATH`: a folder or archive of images or texts, with one sub-folder a class, or with splits that hold these.

Images are decoded when they are asked for; only their paths and hashes stay in memory. Texts are read at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ftapp.common.downloads import Progress
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.common.local_files import IMAGES, TEXTS, FileKind
from ftapp.data import class_folders, image_files, text_file, unpacked
from ftapp.data.class_folders import Listing
from ftapp.data.examples import DataProblems, Texts
from ftapp.data.image_files import ImageFile, ImageFiles
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
    named = map(ImageFile, listing.paths, _name_files(listing.paths))
    files = image_files.check(list(named), progress)
    whole = [at for at, file in enumerate(files) if not file.problem]
    if spec.skip_broken and len(whole) < len(files):
        problem = "none of the images of this class can be decoded"
        listing = listing.keep(whole, [image_files.describe_broken(files)], problem, findings)
        files = [files[at] for at in whole]
    for path, file in zip(listing.paths, files, strict=True):
        if file.problem:
            findings.add(path, f"this image cannot be decoded: {file.problem}; {image_files.LEAVE_OUT}")
    findings.check()
    return ImageFiles(files, np.array(listing.targets, np.int32), listing.classes, listing.given_split, listing.notes)


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
    whole = [at for at, text in enumerate(texts) if text.strip()]
    left = [listing.paths[at] for at, text in enumerate(texts) if not text.strip()]
    if left and spec.skip_incomplete:
        names = _name_files(left)
        notes.insert(0, f"{format_quantity(len(left), 'empty file')} left out: {join_names(names)}")
    for path in () if spec.skip_incomplete else left:
        rule = "a text has words; to leave such files out, --set data.skip_incomplete=true"
        findings.add(path, f"this file is empty; {rule}")
    if len(notes) > _TOLD:
        notes[_TOLD:] = [f"and {format_quantity(len(notes) - _TOLD, 'note')} like these"]
    findings.check()
    listing = listing.keep(whole, notes, "none of the texts of this class has words", findings)
    findings.check()
    names, targets = _name_files(listing.paths), np.array(listing.targets, np.int32)
    return Texts([texts[at] for at in whole], targets, listing.classes, listing.given_split, names, listing.notes)


def _name_files(paths: Sequence[Path]) -> list[str]:
    """Name files by their folders and names."""
    return [escape_unprintable("/".join(path.parts[-2:])) for path in paths]


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
