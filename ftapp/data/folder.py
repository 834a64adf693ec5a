"""`folder:PATH`: a folder of images with one sub-folder a class, or with splits that hold these.

Images are decoded when they are asked for; only their paths and hashes stay in memory.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common import local_files
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError, suggest_nearest
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.common.safe_files import explain_error
from ftapp.data import images, labels
from ftapp.data.examples import SPLITS, TRAIN, DataProblems, Examples, hash_content
from ftapp.recipe import Data, folder_layout
from ftapp.recipe.folder_layout import Layout
from ftapp.recipe.sources import Source

_NAMED = 20  # images that are left out
_LEAVE_OUT = "; to leave such images out, --set data.skip_broken=true"


@dataclass(frozen=True)
class _File:
    """An image file.

    Attributes:
        path: The file.
        digest: A hash of its bytes.
        pixels: A hash of its image.
    """

    path: Path
    digest: bytes
    pixels: bytes


class Folder(Examples):
    """Images uint8 [height, width, 3], each of its own size. Two images are equal when their pixels are."""

    decodes = True

    def __init__(
        self,
        files: list[_File],
        labels: NDArray[np.int32],
        classes: tuple[str, ...],
        given_split: NDArray[np.int8] | None,
        notes: tuple[str, ...],
    ) -> None:
        self.paths = [file.path for file in files]
        self._files = files
        self.labels = labels
        self.classes = classes
        self.given_split = given_split
        self.notes = notes

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.read_image(index)

    def read_image(self, index: int, at_least: int | None = None) -> NDArray[np.uint8]:
        """Decode an image."""
        path = self.paths[index]
        try:
            return images.read(path, at_least)
        except images.BrokenImageError as error:
            name = escape_unprintable(str(path))
            raise RunError(f"the image {name} was readable when it was checked, but cannot be read: {error}") from error

    def locate(self, index: int) -> str:
        """Name the image by its folder and file."""
        return escape_unprintable("/".join(self.paths[index].parts[-2:]))

    def digest(self, index: int) -> bytes:
        """Hash the bytes of the file."""
        return self._files[index].digest

    def identify(self, index: int) -> bytes:
        """Compute a hash that images with equal pixels share."""
        return self._files[index].pixels


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Folder:
    """Read the images of a folder; each is decoded once to see that it can be.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with the images checked and in all.

    Returns:
        The images.

    Raises:
        RecipeError: An image is corrupt or truncated, unless `data.skip_broken` leaves it out; a file is no
            image, a class folder is empty, a class is missing in `data.classes` or in a split, there are fewer than two
            classes, or folders may be splits or classes. The error names the files.
    """
    findings, broken = DataProblems(), DataProblems()
    listing = _list_images(spec, source, findings)
    files = _tell_apart(_check_images(listing.paths, broken, progress), broken)
    if spec.skip_broken:
        listing, files = _leave_out(listing, files, broken, findings)
    else:
        findings.found += broken.found
    findings.check()
    given = np.array(listing.membership, np.int8) if set(listing.membership) != {TRAIN} else None
    return Folder(files, np.array(listing.targets, np.int32), listing.classes, given, listing.notes)


def _leave_out(
    listing: _Listing, files: list[_File], broken: DataProblems, findings: DataProblems
) -> tuple[_Listing, list[_File]]:
    """Leave out broken images; a class without any other image is a finding."""
    names = {problem.file for problem in broken.found}
    if not names:
        return listing, files
    whole = [place for place, path in enumerate(listing.paths) if escape_unprintable(str(path)) not in names]
    targets = [listing.targets[place] for place in whole]
    for position in sorted(set(listing.targets) - set(targets)):
        folder = listing.paths[listing.targets.index(position)].parent
        findings.add(folder, "none of the images of this class can be decoded; a class has some")
    inside = sorted("/".join(Path(name).parts[-2:]) for name in names)
    note = f"{format_quantity(len(names), 'image')} left out that cannot be decoded: {join_names(inside, _NAMED)}"
    left = replace(
        listing,
        paths=[listing.paths[place] for place in whole],
        targets=targets,
        membership=[listing.membership[place] for place in whole],
        notes=(*listing.notes, note),
    )
    return left, [files[place] for place in whole]


def check(spec: Data, source: Source) -> None:
    """Check a folder as `read` does, without decoding its images.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.

    Raises:
        RecipeError: The folder cannot be used, as far as the names of its files tell.
    """
    findings = DataProblems()
    _list_images(spec, source, findings)
    findings.check()


@dataclass(frozen=True)
class _Listing:
    """The images of a folder.

    Attributes:
        paths: The files.
        targets: The position of each image's class.
        membership: The split of each image: TRAIN, VALIDATION or TEST.
        classes: The names of the classes.
        notes: Decisions that were made, in sentences.
    """

    paths: list[Path]
    targets: list[int]
    membership: list[int]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def _list_images(spec: Data, source: Source, findings: DataProblems) -> _Listing:
    root = Path(source.name).expanduser().absolute()
    found = _find_layout(root, spec, findings)
    names = _find_names(root, found, findings)
    findings.check()
    ignored: list[Path] = []
    images_of = {
        folder / name: list(_find_images(folder / name, findings, ignored))
        for folder, inside in names.items()
        for name in inside
    }
    if not findings.found:
        for folder, some in images_of.items():
            if not some:
                findings.add(folder, "this folder has no images; a class has some")
    counts = Counter(dict.fromkeys(sorted(set().union(*names.values())), 0))
    for folder, some in images_of.items():
        counts[folder.name] += len(some)
    notes = list(map(escape_unprintable, found.notes))
    classes, known = _find_classes(root, counts, spec, notes)
    for folder, inside in names.items():
        for position in sorted(set(known.values()) - {known[name] for name in inside if name in known}):
            name = classes[position]
            message = f"the class '{name}' is missing; each split has every class; add it, or move its folder away from"
            others = sorted(
                other.name for other, own in names.items() if any(known.get(each) == position for each in own)
            )
            findings.add(folder, f"{message} {' and '.join(others)}")
    paths: list[Path] = []
    targets: list[int] = []
    membership: list[int] = []
    for folder, part in found.parts.items():
        for name in sorted((name for name in names[folder] if name in known), key=lambda name: (known[name], name)):
            some = images_of[folder / name]
            paths += some
            targets += [known[name]] * len(some)
            membership += [SPLITS[part]] * len(some)
    if ignored:
        names_of = join_names([escape_unprintable(path.name) for path in ignored])
        notes.append(f"{format_quantity(len(ignored), 'file')} in class folders ignored, no images: {names_of}")
    return _Listing(paths, targets, membership, classes, tuple(notes))


def _find_layout(root: Path, spec: Data, findings: DataProblems) -> Layout:
    """Find which folders are splits. Raises RecipeError when that is in doubt."""
    try:
        return folder_layout.find(root, spec.split_folders)
    except NotADirectoryError:
        findings.add(root, "this is a file; images are in a folder")
    except FileNotFoundError:
        findings.add(root, "there is no folder of this name; images are in a folder")
    except OSError as error:
        findings.add(error.filename or root, f"this folder cannot be read: {explain_error(error)}")
    except folder_layout.LayoutError as error:
        findings.add(root, str(error))
    findings.check()
    raise AssertionError


def _find_names(root: Path, found: Layout, findings: DataProblems) -> dict[Path, set[str]]:
    """Find the names of the class folders in each folder.

    Names that cannot be printed, broken links, and images beside the class folders are problems.
    """
    inside = {folder: {path.name for path in local_files.list_folders(folder)} for folder in found.parts}
    for folder in dict.fromkeys((root, found.holder, *found.parts)):
        for path, problem in local_files.find_broken(folder):
            findings.add(path, problem)
    for folder in dict.fromkeys((found.holder, *found.parts)):
        for path in local_files.list_visible(folder):
            if local_files.is_picture(path) and path.is_file():
                findings.add(path, f"this image lies in {folder.name} itself; each image is in the folder of its class")
    for folder, own in inside.items():
        for name in sorted(own):
            if escape_unprintable(name) != name:
                findings.add(folder / name, "this name cannot be printed; a class is named in one line of UTF-8 text; "
                                            "rename the folder")  # fmt: skip
    return inside


def _find_classes(
    root: Path, counts: Mapping[str, int], spec: Data, notes: list[str]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Find the classes, and name of a folder -> position of its class. Raises RecipeError for folders that are none."""
    findings = DataProblems()
    if len(counts) < 2:
        got = f"only the folder '{min(counts)}'" if counts else "no folders"
        findings.add(root, f"this folder has {got}; a folder of images has a folder for each of two classes or more")
    merge = spec.merge_labels
    out = "to leave these images out, move the folder away"
    for trouble in labels.find_troubles(counts, spec.classes, merge=merge, leave_out=out):
        findings.add(root, trouble.message, "data.classes")
    findings.check()
    classes = (
        tuple(spec.classes) if spec.classes else labels.merge_labels(counts) if merge else labels.sort_labels(counts)
    )
    known = labels.find_positions(counts, classes, merge=merge)
    for name in sorted(set(counts) - set(known)):
        findings.add(root / name, f"'{name}' is none of data.classes; {suggest_nearest(name, classes)}")
    for position in sorted(set(range(len(classes))) - set(known.values())):
        name = classes[position]
        findings.add(root, f"data.classes has '{name}', which has no folder; {suggest_nearest(name, counts)}")
    findings.check()
    if said := labels.describe_numbers(known, classes):
        notes.append(said)
    merged = [f"{name} as {classes[at]}" for name, at in sorted(known.items()) if merge and name != classes[at]]
    if merged and not said:
        notes.append(f"folders merged: {join_names(merged)}")
    return classes, known


def _find_images(folder: Path, findings: DataProblems, ignored: list[Path]) -> Iterator[Path]:
    """Yield the image files of a class, also those in folders below.

    Files that only describe images are added to `ignored`. Other files are findings, since an image among them would be
    lost.
    """
    for path in local_files.walk(folder, findings.add):
        if local_files.is_picture(path) or (not local_files.is_note(path) and images.is_image(path)):
            yield path
        elif local_files.is_note(path):
            ignored.append(path)
        else:
            message = f"this is no image of a kind that is read; these kinds are {images.KINDS}; save it as one of them"
            findings.add(path, f"{message}, or move it away")


def _check_images(paths: list[Path], findings: DataProblems, progress: Progress | None) -> list[_File]:
    """Decode each file as in training, but reduced; a file that cannot be decoded is a finding.

    PIL decodes outside of the interpreter lock: about 500 photographs of 0.1 MB a second and core.
    """
    if not paths:
        return []
    reported = 0.0
    files: list[_File] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (file, problem) in zip(paths, pool.map(_examine, paths), strict=True):
            files.append(file)
            if problem:
                findings.add(path, f"this image cannot be decoded: {problem}{_LEAVE_OUT}")
            if progress and (time.monotonic() - reported > 0.1 or len(files) == len(paths)):
                reported = time.monotonic()
                progress("checking images", len(files), len(paths))
    return files


def _examine(path: Path) -> tuple[_File, str]:
    """Hash an image file; also return what is wrong with it, "" for nothing."""
    try:
        content = images.read_content(path)
        pixels = images.decode(content, at_least=1)
    except images.BrokenImageError as error:
        return _File(path, b"", b""), str(error)
    return _File(path, hash_content(content), _hash_pixels(pixels)), ""


def _tell_apart(files: list[_File], findings: DataProblems) -> list[_File]:
    """Hash all pixels of files that have equal reduced images and different bytes."""
    contents: dict[bytes, set[bytes]] = {}
    for file in files:
        contents.setdefault(file.pixels, set()).add(file.digest)
    whole: dict[bytes, bytes] = {}
    for file in files:
        if len(contents[file.pixels]) > 1 and file.digest not in whole and file.digest:
            try:
                whole[file.digest] = _hash_pixels(images.read(file.path))
            except images.BrokenImageError as error:
                findings.add(file.path, f"this image cannot be decoded: {error}{_LEAVE_OUT}")
    return [replace(file, pixels=whole.get(file.digest, file.pixels)) for file in files]


def _hash_pixels(pixels: NDArray[np.uint8]) -> bytes:
    return hash_content(repr(pixels.shape).encode() + pixels.tobytes())
