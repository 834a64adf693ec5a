"""`hf:OWNER/NAME/CONFIG@REVISION`: a data set of Hugging Face. CONFIG can be left out where there is only one.

The files are those that Hugging Face itself has converted to Parquet. Without a conversion, or if the source names a
revision, they are the data set's own Parquet, JSON lines or CSV files. The files of a commit are fetched once, kept in
the cache with their sha256, and read as a table. Code of a data set is never executed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ftapp.common import cache_folders, downloads, user_folders
from ftapp.common.cache_folders import Progress
from ftapp.common.errors import HubError, Problem, RecipeError, suggest_nearest
from ftapp.data import table
from ftapp.data.examples import Examples
from ftapp.recipe import Data, Recipe, folder_layout, sources
from ftapp.recipe.sources import Source, guess_scheme

_CONVERTED = "refs/convert/parquet"  # the branch on which Hugging Face keeps its conversions
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWN_FOLDER = "data"  # in which the files of a data set without configurations stand

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Address:
    """A data set of the hub.

    Attributes:
        name: OWNER/NAME.
        config: Its configuration; "" where the source names none.
        revision: A branch, tag or commit; None where the source names none.
    """

    name: str
    config: str
    revision: str | None

    @classmethod
    def of(cls, source: Source) -> _Address:
        """Take the name of a source apart."""
        path, _, revision = source.name.partition("@")
        owner, name, *config = path.split("/")
        return cls(f"{owner}/{name}", "".join(config), revision or None)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which stays as it is."""
        return bool(self.revision and _COMMIT.fullmatch(self.revision))

    @property
    def folder(self) -> Path:
        """The folder of the cache with an entry for each commit."""
        return user_folders.cache() / "hf" / "--".join((*self.name.split("/"), *([self.config] if self.config else ())))


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Examples:
    """Read a data set as a table, with the splits that its files are named after.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with downloads.

    Returns:
        The examples.

    Raises:
        RecipeError: There is no such data set, configuration or revision, or its rows cannot be used.
        HubError: The data set cannot be fetched.
    """
    address = _Address.of(source)
    commit = _find_commit(address)
    folder = address.folder / commit
    label = f"hf:{address.name}"

    def is_intact() -> bool:
        return cache_folders.matches_manifest(folder)

    def fill(content: Path) -> None:
        if downloads.is_offline():
            raise _refuse_offline(label)
        _fetch(replace(address, revision=commit), content, progress)
        cache_folders.write_manifest(content)

    cache_folders.make(folder, label, is_intact, fill, progress)
    files = tuple(folder / name for name in sorted(cache_folders.read_manifest(folder)))
    scheme = guess_scheme(files[0]) or source.scheme
    examples = table.read(spec, replace(source, scheme=scheme, files=files), task, progress)
    examples.notes = (f"revision {commit[:12]} of {address.name} on Hugging Face", *examples.notes)
    return examples


def pin(recipe: Recipe) -> Recipe:
    """Name the commit of a recipe's data, so that a run that goes on later reads the same.

    Args:
        recipe: The recipe.

    Returns:
        A recipe whose source names a commit; the recipe itself where it does, or has another source.

    Raises:
        RecipeError: There is no such data set or revision.
        HubError: The hub cannot be reached.
    """
    source = sources.parse(recipe.data.source)
    if source.scheme != "hf" or (address := _Address.of(source)).is_pinned:
        return recipe
    path, _, filters = recipe.data.source.partition("?")
    pinned = f"{path.partition('@')[0]}@{_find_commit(address)}" + (f"?{filters}" if filters else "")
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": pinned})})


def is_cached(source: Source) -> bool:
    """Tell whether the cache has a commit of a data set, the one that the source names if it names one."""
    address = _Address.of(source)
    return (address.folder / str(address.revision)).is_dir() if address.is_pinned else bool(_list_kept(address))


def _list_kept(address: _Address) -> list[Path]:
    """List the folders of the commits in the cache."""
    return [path for path in address.folder.glob("*/") if _COMMIT.fullmatch(path.name)]


def _find_commit(address: _Address) -> str:
    """Find the commit that a revision stands for now; offline the newest one of the cache."""
    if address.revision and address.is_pinned:
        return address.revision
    if downloads.is_offline():
        kept = _list_kept(address)
        if not kept or address.revision:
            raise _refuse_offline(f"hf:{address.name}")
        return max(kept, key=os.path.getmtime).name
    return _ask(address, lambda hub: _ask_for_commit(hub, address))


def _refuse_offline(label: str) -> HubError:
    return HubError(
        f"{label} is not in the cache, or damaged there; with --offline everything comes from the cache; run once "
        "without --offline to fetch it"
    )


def _ask_for_commit(hub: Any, address: _Address) -> str:
    from huggingface_hub.errors import RevisionNotFoundError

    for revision in [address.revision] if address.revision else [_CONVERTED, "main"]:
        try:
            return str(hub.dataset_info(address.name, revision=revision).sha)
        except RevisionNotFoundError:
            if revision != _CONVERTED:
                raise
    raise AssertionError("the last revision is found or refused")


def _fetch(address: _Address, folder: Path, progress: Progress | None) -> None:
    """Download the files of a configuration into an empty folder."""
    from huggingface_hub.hf_api import RepoFile

    listed = _ask(
        address,
        lambda hub: {
            each.path: each.size
            for each in hub.list_repo_tree(address.name, revision=address.revision, recursive=True, repo_type="dataset")
            if isinstance(each, RepoFile)
        },
    )
    chosen = _choose_files(address.name, address.config, list(listed))
    total = sum(listed[path] for path in chosen)

    def download(hub: Any) -> None:
        done = 0
        for path in chosen:
            if progress:
                progress(f"downloading hf:{address.name}, MiB", done >> 20, -(-total >> 20))
            hub.hf_hub_download(address.name, path, repo_type="dataset", revision=address.revision, local_dir=folder)
            done += listed[path]

    _ask(address, download)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the client notes down about downloads


def _choose_files(name: str, config: str, paths: list[str]) -> list[str]:
    """Choose the files of a data set that hold the rows of a configuration.

    Args:
        name: OWNER/NAME.
        config: The configuration; "" where the source names none.
        paths: The paths of all files of the data set.

    Returns:
        The paths of files of one kind. If some are named after splits, only these.

    Raises:
        RecipeError: There are no tables, or several configurations and none, or another one, is named.
    """
    kinds = {path: guess_scheme(Path(path)) for path in paths}
    kind = next((kind for kind in ("parquet", "jsonl", "csv") if kind in kinds.values()), None)
    if kind is None:
        message = f"'{name}' has no Parquet, JSON lines or CSV files on Hugging Face, and no other files are read"
        raise RecipeError([Problem("", "data.source", f"{message}; download it, and name its files")])
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in paths if kinds[path] == kind):
        found.setdefault(_find_config(path), []).append(path)
    chosen = config or (
        next(iter(found)) if len(found) == 1 else next((c for c in ("default", "") if c in found), None)
    )
    if chosen is None or chosen not in found:
        names = [each for each in found if each]
        wrong = f"'{name}' has no configuration '{config}'" if config else f"'{name}' has several configurations"
        rule = f"a source names one: hf:{name}/{(names or ['CONFIG'])[0]}"
        raise RecipeError([Problem("", "data.source", f"{wrong}; {rule}; {suggest_nearest(config, names)}")])
    files = found[chosen]
    of_splits = [path for path in files if _is_named_after_split(path)]
    return of_splits or files


def _find_config(path: str) -> str:
    """Find the configuration that a file belongs to: its outermost folder, unless that is named after a split."""
    first, *rest = PurePosixPath(path).parts
    return "" if not rest or first == _OWN_FOLDER or folder_layout.find_role(first) else first


def _is_named_after_split(path: str) -> bool:
    """Whether a file, or a folder that it is in, is named after a split whose rows have labels."""
    roles = map(folder_layout.find_role, (*PurePosixPath(path).parent.parts, PurePosixPath(path).stem))
    return any(role not in (None, "unlabelled") for role in roles)


def _ask(address: _Address, question: Callable[[Any], _Result]) -> _Result:
    """Ask the hub, and explain its refusals."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    server, label = os.environ.get("HF_ENDPOINT") or "https://huggingface.co", f"hf:{address.name}"
    disable_progress_bars()
    # Its own client tries an unreachable server for half a minute.
    downloads.reach(server, label, any_answer=True)
    with _refusals_explained(address, label):
        return question(HfApi(endpoint=server))


@contextmanager
def _refusals_explained(address: _Address, label: str) -> Iterator[None]:
    # HTTPError is that of the library which the client asks by; the library depends on the version of the client.
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    login = "log in by `hf auth login` or by the variable HF_TOKEN"
    try:
        yield
    except GatedRepoError as error:
        raise HubError(f"{label} asks for an agreement: accept it on the page of the data set, and {login}") from error
    except RepositoryNotFoundError as error:
        message = f"Hugging Face has no data set '{address.name}', or it is private; for a private one, log in by "
        raise RecipeError(
            [Problem("", "data.source", f"{message}`hf auth login` or by the variable HF_TOKEN")]
        ) from error
    except RevisionNotFoundError as error:
        message = f"'{address.name}' has no revision '{address.revision}'; a revision is a branch, a tag or a commit"
        raise RecipeError([Problem("", "data.source", message)]) from error
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise HubError(f"{label} could not be fetched from Hugging Face: {reason}") from error
