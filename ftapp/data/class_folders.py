"""The files of a folder with one sub-folder a class, or with splits that hold these: images or texts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common import local_files
from ftapp.common.errors import suggest_nearest
from ftapp.common.formatting import escape_unprintable, format_quantity, join_names
from ftapp.common.local_files import IMAGES, FileKind
from ftapp.common.safe_files import explain_error
from ftapp.data import images, labels
from ftapp.data.examples import SPLITS, TRAIN, DataProblems
from ftapp.data.file_list import FileList
from ftapp.recipe import Data, folder_layout, sources
from ftapp.recipe.folder_layout import Layout


@dataclass(frozen=True)
class Listing:
    """The files of a folder.

    Attributes:
        paths: The files.
        targets: The position of each file's class, int32 (files,).
        membership: The split of each file, int8 (files,): TRAIN, VALIDATION or TEST.
        classes: The names of the classes.
        notes: Decisions that were made, in sentences.
    """

    paths: FileList
    targets: NDArray[np.int32]
    membership: NDArray[np.int8]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def given_split(self) -> NDArray[np.int8] | None:
        """The split of each file, int8 (files,); None where all are for training."""
        return self.membership if (self.membership != TRAIN).any() else None

    def keep(self, whole: NDArray[np.int64], notes: Sequence[str], problem: str, findings: DataProblems) -> Listing:
        """Keep some of the files; a class without any in a split is a finding.

        Args:
            whole: The positions of the files, int64 (kept,).
            notes: Sentences about those that are left out.
            problem: What is said of a class without any.
            findings: Gets problems.
        """
        targets, membership = self.targets[whole], self.membership[whole]
        pairs, firsts = np.unique(np.stack([self.membership, self.targets]), axis=1, return_index=True)
        left = set(map(tuple, np.stack([membership, targets]).T.tolist()))
        for pair, first in zip(pairs.T.tolist(), firsts.tolist(), strict=True):
            if tuple(pair) not in left:
                findings.add(self.paths[first].parent, f"{problem}; a class has some")
        paths = self.paths.select(whole.tolist())
        return replace(self, paths=paths, targets=targets, membership=membership, notes=(*self.notes, *notes))


def list_files(spec: Data, root: Path, kind: FileKind, findings: DataProblems) -> Listing:
    """List the examples in a folder, by the names of its folders and files.

    Args:
        spec: The recipe's [data].
        root: The folder.
        kind: The kind of files that are examples.
        findings: Gets problems.

    Returns:
        The files, in the order of splits and classes.

    Raises:
        RecipeError: A class is missing, there are fewer than two classes, or folders may be splits or classes.
    """
    found = _find_layout(root, spec, kind, findings)
    names = _find_names(root, found, kind, findings)
    findings.check()
    ignored: list[str] = []
    files_of = {
        folder / name: _find_files(folder / name, kind, findings, ignored)
        for folder, inside in names.items()
        for name in inside
    }
    if not findings.found:
        for folder, some in files_of.items():
            if not some:
                findings.add(folder, f"this folder has no {kind.plural}; a class has some")
    counts = Counter(dict.fromkeys(sorted(set().union(*names.values())), 0))
    for folder, some in files_of.items():
        counts[folder.name] += len(some)
    notes = list(map(escape_unprintable, found.notes))
    classes, known = _find_classes(root, counts, spec, kind, notes)
    for folder, inside in names.items():
        for position in sorted(set(known.values()) - {known[name] for name in inside if name in known}):
            name = classes[position]
            message = f"the class '{name}' is missing; each split has every class; add it, or move its folder away from"
            others = sorted(
                other.name for other, own in names.items() if any(known.get(each) == position for each in own)
            )
            findings.add(folder, f"{message} {' and '.join(others)}")
    paths = FileList()
    targets: list[NDArray[np.int32]] = []
    membership: list[NDArray[np.int8]] = []
    for folder, part in found.parts.items():
        for name in sorted((name for name in names[folder] if name in known), key=lambda name: (known[name], name)):
            some = files_of.pop(folder / name)
            paths.extend(some)
            targets.append(np.full(len(some), known[name], np.int32))
            membership.append(np.full(len(some), SPLITS[part], np.int8))
    if ignored:
        names_of = join_names(list(map(escape_unprintable, ignored)))
        notes.append(f"{format_quantity(len(ignored), 'file')} in class folders ignored, no {kind.plural}: {names_of}")
    return Listing(paths, np.concatenate(targets), np.concatenate(membership), classes, tuple(notes))


def _find_layout(root: Path, spec: Data, kind: FileKind, findings: DataProblems) -> Layout:
    """Find which folders are splits. Raises RecipeError when that is in doubt."""
    try:
        return folder_layout.find(root, spec.split_folders, kind)
    except NotADirectoryError:
        findings.add(root, f"this is a file; {kind.plural} are in a folder")
    except FileNotFoundError:
        findings.add(root, f"there is no folder of this name; {kind.plural} are in a folder")
    except OSError as error:
        findings.add(error.filename or root, f"this folder cannot be read: {explain_error(error)}")
    except folder_layout.LayoutError as error:
        findings.add(root, str(error))
    findings.check()
    raise AssertionError


def _find_names(root: Path, found: Layout, kind: FileKind, findings: DataProblems) -> dict[Path, set[str]]:
    """Find the names of the class folders in each folder.

    Names that cannot be printed, broken links, and images beside the class folders are problems. Texts beside them may
    be notes.
    """
    inside = {folder: {path.name for path in local_files.list_folders(folder)} for folder in found.parts}
    for folder in dict.fromkeys((root, found.holder, *found.parts)):
        for path, problem in local_files.find_broken(folder):
            findings.add(path, problem)
    for folder in dict.fromkeys((found.holder, *found.parts)):
        for path in local_files.list_visible(folder) if kind is IMAGES else ():
            if local_files.is_picture(path.name) and path.is_file():
                findings.add(path, f"this image lies in {folder.name} itself; each image is in the folder of its class")
    for folder, own in inside.items():
        for name in sorted(own):
            if escape_unprintable(name) != name:
                findings.add(folder / name, "this name cannot be printed; a class is named in one line of UTF-8 text; "
                                            "rename the folder")  # fmt: skip
        for link, target in _find_same(folder, own):
            rule = "each class has a folder of its own; remove the link"
            findings.add(folder / link, f"this link leads to the folder of the class '{target}'; {rule}")
    return inside


def _find_same(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find links to class folders that are there under another name too: the name of the link and the other one."""
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: ((folder / name).is_symlink(), name)):
        target = found.setdefault(os.path.realpath(folder / name), name)
        if target != name:
            yield name, target


def _find_classes(
    root: Path, counts: Mapping[str, int], spec: Data, kind: FileKind, notes: list[str]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Find the classes, and name of a folder -> position of its class. Raises RecipeError for folders that are none."""
    findings = DataProblems()
    if len(counts) < 2:
        rule = f"a folder of {kind.plural} has a folder for each of two classes or more"
        got = f"only the folder '{min(counts)}'" if counts else "no folders"
        rule += _suggest_table(root)
        findings.add(root, f"this folder has {got}; {rule}")
    merge = spec.merge_labels
    out = f"to leave these {kind.plural} out, move the folder away"
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


def _suggest_table(root: Path) -> str:
    """Write a clause that names the table in a folder; "" where there is none, or tables of several kinds."""
    scheme = sources.find_table(root)
    return f"; {labels.override('data.source', f'{scheme}:{root}')}" if scheme else ""


def _find_files(folder: Path, kind: FileKind, findings: DataProblems, ignored: list[str]) -> FileList:
    """Find the examples of a class, also those in folders below.

    Files that only describe them are added to `ignored`. Other files are findings, since an image among them would be
    lost.
    """
    found = FileList()
    for place, name in local_files.walk_names(folder, findings.add):
        if kind.is_other(name):
            ignored.append(name)
        elif not kind.is_example(name) and (fault := images.explain_unread(path := Path(place, name))):
            findings.add(path, f"{fault}; save it as one of them, or move it away")
        else:
            found.append(place, name)
    return found
