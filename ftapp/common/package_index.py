"""Package indexes: those that pip, or uv without pip, is configured for, and the files that they offer."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ftapp.common.cache_folders import Progress
from ftapp.common.errors import RunError, suggest_nearest
from ftapp.common.http_requests import Remote, UnreachableError, download, get, retry
from ftapp.common.package_uri import Artifact
from ftapp.common.processes import make_child_environment, make_module_command

if TYPE_CHECKING:
    import pypi_simple


def fetch_from_indexes(spec: Artifact, target: Path, progress: Progress | None) -> None:
    """Download the archive of `spec` from the first index that has it. Raises RunError when none does."""
    indexes, verify = list_indexes()
    failures: list[str] = []
    others: list[str] = []
    for index in indexes:
        remote = Remote(index, verify)
        try:
            page = fetch_project_page(remote, spec.project)
        except UnreachableError as error:
            failures.append(f"{remote.host} {error}")
            continue
        files = {package.filename: package for package in page.packages} if page else {}
        found = files.get(spec.file)
        if found is None:
            others += files
            continue
        offered = (found.digests or {}).get("sha256", spec.sha256)
        if offered == spec.sha256:
            file = resolve_beside(remote, found.url)
            try:
                offered = download(file, target, spec.file, progress)
            except UnreachableError as error:
                failures.append(f"{file.host} {error}")
                continue
        if offered == spec.sha256:
            return
        failures.append(f"{remote.host} has it with sha256 {offered}, and the pinned one is {spec.sha256}")
    hosts = ", ".join(Remote(index).host for index in indexes)
    reasons = [f"there is no package '{spec.project}' in {hosts}"]
    if others:
        reasons = [f"there is no {spec.file} in {hosts}; {suggest_nearest(spec.file, others)}"]
    raise RunError(f"{spec.file} comes from a package index; {'; '.join(failures or reasons)}")


def list_indexes() -> tuple[list[str], str | bool]:
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


def fetch_project_page(index: Remote, project: str) -> pypi_simple.ProjectPage | None:
    """The index's page of a project, or None when it has none. Raises UnreachableError."""
    import pypi_simple

    address = f"{index.address.rstrip('/')}/{project}/"
    if index.address.startswith("file:"):
        path = Path(url2pathname(urlsplit(address).path)) / "index.html"
        if not path.is_file():
            return None
        return pypi_simple.ProjectPage.from_html(project, path.read_bytes(), base_url=f"{path.parent.as_uri()}/")

    def read() -> pypi_simple.ProjectPage | None:
        with get(Remote(address, index.verify), {"Accept": pypi_simple.ACCEPT_JSON_PREFERRED}) as response:
            if response.status_code >= 400:
                return None
            return pypi_simple.ProjectPage.from_response(response, project)

    try:
        return retry(read)
    except (ValueError, pypi_simple.UnsupportedContentTypeError, pypi_simple.UnsupportedRepoVersionError) as error:
        raise UnreachableError("answered with something that is no page of a package index") from error


def resolve_beside(index: Remote, address: str) -> Remote:
    """A file that an index links to. The index's password goes along only to the index's own host."""
    parts = urlsplit(index.address)
    if urlsplit(address).hostname != parts.hostname or not parts.username:
        return Remote(address, index.verify)
    return Remote(address, index.verify, (unquote(parts.username), unquote(parts.password or "")))
