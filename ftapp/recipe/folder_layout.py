"""How a folder of images or texts is divided: which of its folders are splits, and which are classes.

Structure decides first, then names. Folders beside each other that hold the same sub-folders are splits, whatever
their names, and the sub-folders are the classes; the name of a split says its role. A folder alone in another one is a
wrapper. A folder that can be read in two ways is refused, and `data.splits` decides.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftapp.common import local_files
from ftapp.common.errors import suggest_nearest
from ftapp.common.local_files import IMAGES, FileKind

Role = Literal["train", "validation", "test"]

_WORDS: dict[str, Role | Literal["unlabelled"]] = {
    **dict.fromkeys(("train", "training", "trainset", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "valset", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "eval", "evaluation", "holdout", "heldout"), "test"),
    **dict.fromkeys(("pred", "predict", "prediction", "unlabeled", "unlabelled", "submission"), "unlabelled"),
}
_FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "split", "part", "fold", "folder", "samples"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SAMPLE = 20  # files of a class folder that are looked at
_DEEPEST = 8  # wrappers around wrappers; links may go in circles


class LayoutError(ValueError):
    """The splits and classes of a folder are ambiguous, or do not fit `data.splits`."""


@dataclass(frozen=True)
class Layout:
    """The splits and classes of a folder.

    Attributes:
        holder: The folder whose folders are splits or classes.
        parts: The folders that hold class folders, each with its split.
        notes: The decisions, in sentences.
    """

    holder: Path
    parts: dict[Path, Role]
    notes: tuple[str, ...]


def find_role(name: str, *, strict: bool = False) -> Role | Literal["unlabelled"] | None:
    """Find the role of a folder or file by its name, case and numbers aside: "01_train" and "Train-Images" train.

    Args:
        name: The name.
        strict: Whether a name with other words has no role.

    Returns:
        The role; None where no word of the name says it, or two say different ones.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "".join(words)  # hold-out, train_set
    if joined in _WORDS:
        return _WORDS[joined]
    found = {_WORDS[word] for word in words if word in _WORDS}
    others = [word for word in words if word not in _WORDS and word not in _FILLERS]
    return found.pop() if len(found) == 1 and not (strict and others) else None


def find(
    root: Path, chosen: Mapping[Role, Sequence[str]] | Literal["none"] | None = None, kind: FileKind = IMAGES
) -> Layout:
    """Find out how a folder is divided.

    Args:
        root: The folder.
        chosen: `data.splits`: the folders of each split, or "none" where the folders in `root` are the classes; None
            where structure and names decide.
        kind: The kind of files that the classes hold.

    Returns:
        The splits and classes.

    Raises:
        LayoutError: The folder can be read in two ways, or it lacks a chosen folder.
        OSError: A folder cannot be read.
    """
    if chosen == "none":
        return Layout(root, {root: "train"}, ())
    if chosen is not None:
        return _apply_choice(root, chosen, kind)
    holder = _unwrap(root, kind)
    inner = local_files.list_folders(holder)
    classes = {folder: _list_names(_unwrap(folder, kind)) for folder in inner}
    hollow = _find_hollow(root, holder)
    if any(classes.values()):
        hollow += [folder for folder in inner if not _holds_data(folder, kind)]
        inner = [folder for folder in inner if folder not in hollow]
    notes = [f"{_join(hollow)} left out: no {kind.plural} in there"] if hollow else []
    if not _looks_divided(inner, classes):
        roles = {folder: find_role(folder.name, strict=True) for folder in inner}
        if len(inner) > 1 and (all(roles.values()) or {"train"} < {each for each in roles.values() if each}):
            like = [folder for folder, each in roles.items() if each]
            raise LayoutError(
                f"{_join(like)} are called like splits, and hold no class folders in common; a split has a folder "
                "for each class; if they are the classes themselves, --set data.splits=none"
            )
        if holder != root:
            notes.insert(0, f"classes by folder: those in {holder.relative_to(root)}")
        return Layout(holder, {holder: "train"}, tuple(notes))
    _refuse_doubt(inner, classes, kind)
    return _divide(root, holder, inner, classes, notes, kind)


def _apply_choice(root: Path, chosen: Mapping[Role, Sequence[str]], kind: FileKind) -> Layout:
    holder = _unwrap(root, kind)
    names = [folder.name for folder in local_files.list_folders(holder)]
    parts: dict[Path, Role] = {}
    for split, given in chosen.items():
        for name in given:
            folder = next((place / name for place in (root, holder) if (place / name).is_dir()), None)
            if folder is None:
                raise LayoutError(
                    f"data.splits names '{name}' as {split}, which is no folder; {suggest_nearest(name, names)}"
                )
            if (unwrapped := _unwrap(folder, kind)) in parts:
                raise LayoutError(
                    f"data.splits names '{name}' twice, as {parts[unwrapped]} and as {split}; a folder has one split"
                )
            parts[unwrapped] = split
    named = {Path(os.path.normpath(name)).parts[0] for given in chosen.values() for name in given}
    rest = [name for name in names if name not in named]
    return Layout(
        holder, parts, (_describe(root, parts), *([f"{_join(rest)} left out: not in data.splits"] if rest else ()))
    )


def _divide(
    root: Path,
    holder: Path,
    inner: Sequence[Path],
    classes: Mapping[Path, set[str]],
    notes: Sequence[str],
    kind: FileKind,
) -> Layout:
    """Divide folders that are all splits by name; at least one of them trains."""
    known = set().union(*(classes[folder] for folder in inner if find_role(folder.name) == "train"))
    parts: dict[Path, Role] = {}
    unlabelled = []
    for folder in inner:
        split = find_role(folder.name)
        if split is None or split == "unlabelled" or len(classes[folder] - known) == len(classes[folder]) < 2:
            unlabelled.append(folder)
        elif _find_common(classes[folder], known):
            parts[_unwrap(folder, kind)] = split
        else:
            raise LayoutError(
                f"'{folder.name}' and the training split share no class: {_quote(classes[folder])} against "
                f"{_quote(known)}; each split has a folder for each class"
            )
    left = [f"{_join(unlabelled)} left out: {kind.plural} without labels"] if unlabelled else []
    return Layout(holder, parts, (_describe(root, parts), *left, *notes))


def _looks_divided(inner: Sequence[Path], classes: Mapping[Path, set[str]]) -> bool:
    """Tell whether folders beside each other hold the same sub-folders, or a training one holds several."""
    for one, other in itertools.combinations(inner, 2):
        named = find_role(one.name) is not None and find_role(other.name) is not None
        if len(_find_common(classes[one], classes[other])) >= (1 if named else 2):
            return True
    return any(find_role(folder.name) == "train" and len(classes[folder]) > 1 for folder in inner)


def _refuse_doubt(inner: Sequence[Path], classes: Mapping[Path, set[str]], kind: FileKind) -> None:
    """Raise LayoutError unless the names of all folders say which splits they are, one of them training."""
    divided = [folder for folder in inner if classes[folder]]
    names = set().union(*(classes[folder] for folder in divided))
    nameless = [folder for folder in inner if find_role(folder.name) is None]
    if nameless and not all(_holds_examples(folder, kind) for folder in divided):
        raise LayoutError(
            f"{_join(inner)} hold other files than {kind.plural}, by their names; a folder of {kind.plural} has a "
            "folder for each class, or splits that hold these: name that folder"
        )
    if nameless and all(find_role(name, strict=True) for name in names):
        if all(_list_names(folder / name) for folder in divided for name in classes[folder]):
            raise LayoutError(
                f"{_join(divided)} each hold splits of their own ({_quote(names)}); a source is one of them: "
                f"name it, as in folder:{divided[0]}"
            )
        raise LayoutError(
            f"{_join(divided)} each hold the folders {_quote(names)}; splits are the outer folders and classes the "
            f"inner ones: move them, as in {sorted(names)[-1]}/{divided[0].name}; or --set data.splits=none takes all "
            f"{kind.plural} of a class together"
        )
    if nameless:
        known = {find_role(folder.name): folder.name for folder in inner if find_role(folder.name) in ("train", "test")}
        train = known.get("train", divided[0].name)
        test = known.get("test") or next(folder.name for folder in [*nameless, *inner] if folder.name != train)
        example = f"--set 'data.splits={{train = {json.dumps(train)}, test = {json.dumps(test)}}}'"
        raise LayoutError(
            f"{_join(inner)} can be read as splits with the classes {_quote(names)}, or as classes themselves, and "
            f"'{nameless[0].name}' does not say which; for splits, {example}; for classes, --set data.splits=none"
        )
    if not any(find_role(folder.name) == "train" and classes[folder] for folder in inner):
        raise LayoutError(
            f"{_join(inner)} look like splits by their names, and none of them trains with a folder for each class; "
            f"name one, as in --set data.splits.train={json.dumps(inner[0].name)}, or --set data.splits=none if they "
            "are classes"
        )


def _describe(root: Path, parts: Mapping[Path, Role]) -> str:
    """Describe the parts, such as "splits by folder: train from Train, test drawn from it"."""
    sources = []
    for split in ("train", "validation", "test"):
        folders = [os.path.relpath(folder, root) for folder, each in parts.items() if each == split]
        sources.append(f"{split} from {' and '.join(folders)}" if folders else f"{split} drawn from the training split")
    return f"splits by folder: {', '.join(sources)}"


def _unwrap(folder: Path, kind: FileKind) -> Path:
    """Return the folder, or the one inside where it holds nothing but one other folder, which holds folders."""
    for _ in range(_DEEPEST):
        if _has_files(folder, kind):
            return folder
        inner = local_files.list_folders(folder)
        filled = [each for each in inner if _holds_data(each, kind)] if len(inner) > 1 else inner
        if len(filled) != 1 or not local_files.list_folders(filled[0]):
            return folder
        folder = filled[0]
    return folder


def _find_hollow(root: Path, holder: Path) -> list[Path]:
    """Find the folders beside the wrappers between two folders, which hold no images."""
    chain = [holder, *holder.parents]
    wrappers = chain[: chain.index(root)]
    return [each for wrapper in wrappers for each in local_files.list_folders(wrapper.parent) if each != wrapper]


def _list_names(folder: Path) -> set[str]:
    return {each.name for each in local_files.list_folders(folder)}


def _find_common(one: Iterable[str], other: Iterable[str]) -> set[str]:
    return {name.casefold() for name in one} & {name.casefold() for name in other}


def _has_files(folder: Path, kind: FileKind) -> bool:
    """Tell whether a file that may be an example lies in the folder itself. In most folders the first one does."""
    with os.scandir(folder) as entries:
        named = (entry for entry in entries if not local_files.is_debris(entry.name) and not kind.is_other(entry.name))
        return any(Path(entry).is_file() for entry in named)


def _holds_data(folder: Path, kind: FileKind) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:  # in most folders the first one, where all would have to be sorted to walk them
            is_plain = entry.is_file(follow_symlinks=False)
            if is_plain and not local_files.is_debris(entry.name) and not kind.is_other(entry.name):
                return True
    return any(not kind.is_other(name) for _, name in local_files.walk_names(folder, lambda path, problem: None))


def _holds_examples(split: Path, kind: FileKind) -> bool:
    """Tell whether half or more of the first files in each class folder are examples by their names."""
    found: list[bool] = []
    for folder in local_files.list_folders(split):
        files = (
            name for _, name in local_files.walk_names(folder, lambda path, problem: None) if not kind.is_other(name)
        )
        found += map(kind.is_example, itertools.islice(files, _SAMPLE))
    return 2 * sum(found) >= len(found)


def _join(folders: Sequence[Path | str]) -> str:
    names = [f"'{Path(folder).name}'" for folder in folders]
    more = f" and {len(names) - 4} more" if len(names) > 5 else ""
    return " and ".join(names) if len(names) == 2 else ", ".join(names[:4] if more else names) + more


def _quote(names: Iterable[str]) -> str:
    return _join(sorted(names))
