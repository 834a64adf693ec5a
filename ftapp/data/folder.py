"""`folder:PATH`: a folder of images with one sub-folder a class, or with splits that hold these; also in an archive.

Images are decoded when they are asked for; only their paths and hashes stay in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ftapp.common import local_files
from ftapp.common.downloads import Progress
from ftapp.common.errors import suggest_nearest
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.common.safe_files import explain_error
from ftapp.data import image_files, images, labels, unpacked
from ftapp.data.examples import SPLITS, TRAIN, DataProblems
from ftapp.data.image_files import ImageFile, ImageFiles
from ftapp.recipe import Data, folder_layout
from ftapp.recipe.folder_layout import Layout
from ftapp.recipe.sources import Source


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> ImageFiles:
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
    with unpacked.open_folder(Path(source.name), progress) as root:
        return _read(spec, root, progress)


def _read(spec: Data, root: Path, progress: Progress | None) -> ImageFiles:
    findings = DataProblems()
    listing = _list_images(spec, root, findings)
    named = [ImageFile(path, escape_unprintable("/".join(path.parts[-2:]))) for path in listing.paths]
    files = image_files.check(named, progress)
    if spec.skip_broken:
        listing, files = _leave_out(listing, files, findings)
    for path, file in zip(listing.paths, files, strict=True):
        if file.problem:
            findings.add(path, f"this image cannot be decoded: {file.problem}; {image_files.LEAVE_OUT}")
    findings.check()
    given = np.array(listing.membership, np.int8) if set(listing.membership) != {TRAIN} else None
    return ImageFiles(files, np.array(listing.targets, np.int32), listing.classes, given, listing.notes)


def _leave_out(listing: _Listing, files: list[ImageFile], findings: DataProblems) -> tuple[_Listing, list[ImageFile]]:
    """Leave out broken images; a class without any other image is a finding."""
    whole = [place for place, file in enumerate(files) if not file.problem]
    if len(whole) == len(files):
        return listing, files
    targets = [listing.targets[place] for place in whole]
    for position in sorted(set(listing.targets) - set(targets)):
        folder = listing.paths[listing.targets.index(position)].parent
        findings.add(folder, "none of the images of this class can be decoded; a class has some")
    left = replace(
        listing,
        paths=[listing.paths[place] for place in whole],
        targets=targets,
        membership=[listing.membership[place] for place in whole],
        notes=(*listing.notes, image_files.describe_broken(files)),
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
    with unpacked.open_folder(Path(source.name)) as root:
        _list_images(spec, root, findings)
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


def _list_images(spec: Data, root: Path, findings: DataProblems) -> _Listing:
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
