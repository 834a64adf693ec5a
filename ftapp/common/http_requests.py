"""HTTP requests with sentences for what goes wrong: streamed answers, downloads with their sha256, some tries."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ftapp.common.cache_folders import Progress

if TYPE_CHECKING:
    import requests

_Result = TypeVar("_Result")
_CHUNK = 1 << 16
_PAUSES = (0.5, 1.5)  # seconds before the second and the third try
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two reads


@dataclass(frozen=True)
class Remote:
    """An address with what a request for it needs: the certificates to trust and a user with password."""

    address: str
    verify: str | bool = True
    auth: tuple[str, str] | None = None

    @property
    def host(self) -> str:
        """The host, without the password that an index's address may hold."""
        parts = urlsplit(self.address)
        return parts.path if parts.scheme == "file" else (parts.hostname or self.address)


class UnreachableError(Exception):
    """What became of a request, to be said after the host's name.

    transient: whether another try may help; status: that the server answered, if it did.
    """

    def __init__(self, message: str, transient: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.transient, self.status = transient, status


def retry(call: Callable[[], _Result]) -> _Result:
    """What `call` returns, after a few tries when it fails in a way that may pass."""
    for pause in _PAUSES:
        try:
            return call()
        except UnreachableError as error:
            if not error.transient:
                raise
        time.sleep(pause)
    return call()


def download(remote: Remote, target: Path, label: str, progress: Progress | None) -> str:
    """Stream `remote` into `target` and return its sha256. Raises UnreachableError after a few tries."""
    return retry(lambda: _stream(remote, target, label, progress))


def _stream(remote: Remote, target: Path, label: str, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    done, reported = 0, time.monotonic()
    with _open(remote) as (chunks, total), target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress and time.monotonic() - reported > 0.1:
                reported = time.monotonic()
                progress(*_choose_units(label, done, total))
    if progress:
        progress(*_choose_units(label, done, done))
    return digest.hexdigest()


def _choose_units(label: str, done: int, total: int | None) -> tuple[str, int, int | None]:
    """How far a download of so many bytes is, in a unit that its activity names."""
    unit, size = ("MiB", 2**20) if max(done, total or 0) >= 2**20 else ("KiB", 2**10)
    return f"downloading {label}, {unit}", -(-done // size), None if total is None else -(-total // size)


@contextlib.contextmanager
def _open(remote: Remote) -> Iterator[tuple[Iterator[bytes], int | None]]:
    """The bytes behind an address, in chunks, and how many there are."""
    if remote.address.startswith("file:"):
        path = Path(url2pathname(urlsplit(remote.address).path))
        if not path.is_file():
            raise UnreachableError("does not exist")
        with path.open("rb") as file:
            yield iter(lambda: file.read(_CHUNK), b""), path.stat().st_size
        return
    # Without "identity" a server may send an archive gzipped once more, and its hash would be of other bytes.
    with get(remote, {"Accept-Encoding": "identity"}) as response:
        if response.status_code >= 400:
            status = response.status_code
            raise UnreachableError(f"answered {status} {response.reason}", status=status)
        length = response.headers.get("Content-Length", "")
        yield response.iter_content(_CHUNK), int(length) if length.isdecimal() else None


@contextlib.contextmanager
def get(remote: Remote, headers: dict[str, str], patience: float = _TIMEOUT[1]) -> Iterator[requests.Response]:
    """A streamed GET. Raises UnreachableError, also for failures while the body is read.

    patience: seconds without a byte after which the server is given up.
    """
    import requests

    try:
        with requests.get(
            remote.address,
            headers=headers,
            stream=True,
            timeout=(_TIMEOUT[0], patience),
            verify=remote.verify,
            auth=remote.auth,
        ) as response:
            status = response.status_code
            if status in (401, 403, 407, 408, 429) or status >= 500:
                may_pass = status >= 500 or status in (408, 429)
                raise UnreachableError(f"answered {status} {response.reason}", may_pass, status)
            yield response
    except requests.exceptions.SSLError as error:
        raise UnreachableError("has a certificate that is not trusted here") from error
    except requests.exceptions.ProxyError as error:
        reason = "the proxy that http_proxy or https_proxy names does not answer"
        raise UnreachableError(f"cannot be reached: {reason}", transient=True) from error
    except requests.exceptions.ConnectTimeout as error:
        raise UnreachableError(f"did not answer within {_TIMEOUT[0]:.0f} s") from error
    except requests.exceptions.Timeout as error:
        raise UnreachableError(f"stopped answering for {patience:.0f} s", transient=True) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        reason = "its name does not resolve" if "resolve" in str(error) else "it broke or refused the connection"
        raise UnreachableError(f"cannot be reached: {reason}", transient=True) from error
    except requests.RequestException as error:
        raise UnreachableError(f"cannot be asked: {type(error).__name__}") from error
    except OSError as error:
        if "CA certificate" not in str(error):
            raise
        raise UnreachableError(f"cannot be asked, since there is no certificate file '{remote.verify}'") from error
