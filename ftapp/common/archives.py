"""Members of archives: read, unpacked and compared, never executed.

An archive of a package index is a wheel, which is a zip file, or a source archive, a gzipped tar file. One of a user is
a zip file, or a tar file that may be compressed. Whatever may be wrong with one ends as a sentence.
"""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import io
import lzma
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from ftapp.common import cache_folders
from ftapp.common.errors import RunError, quote, shorten, suggest_nearest
from ftapp.common.package_uri import Artifact

_CHUNK = 1 << 18
MAX_UNPACKED = 16 << 30  # bytes; the largest presets are a few GiB, a decompression bomb is more
_MAX_MEMBERS = 1_000_000
_MAX_PATH, _MAX_NAME = 1000, 255  # bytes of a member's path and of each part of it; more cannot be a file's
_NAMES, _DEEP = 2000, 8  # of members that a wrong one is compared with, and folders of each
_MAX_RECORD = 64 << 20  # bytes of a wheel's list of its members
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # also NotImplementedError, of an unknown compression, and RecursionError
    ValueError,
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True)
class _Member:
    """name: normalised; fault: why it is not unpacked, else empty; size: bytes unpacked."""

    name: str
    fault: str
    size: int


@dataclass(frozen=True)
class Whole:
    """All members of an archive of a user. file: its name in messages; member: empty."""

    file: str
    member: Literal[""] = ""


_Selection = Artifact | Whole


def unpack(archive: Path, spec: _Selection, folder: Path, limit: int = MAX_UNPACKED) -> None:
    """Unpack the file that `spec` names, or all below the folder that it names, into `folder`.

    Raises RunError when it is absent, unsafe, larger than `limit` bytes or cannot be read; OSError when the folder
    cannot be written.
    """
    for name, content in _list_contents(archive, spec, limit):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in content:
                file.write(chunk)


def is_unpacked(archive: Path, spec: _Selection, folder: Path) -> bool:
    """Whether `folder` holds what `unpack` would put there, and no file more.

    A wheel lists the sha256 of its members, and hashing the files is enough where these agree: 0.1 s for a model of
    90 MB. Otherwise the members are decompressed and hashed too, which takes 0.5 s. archive: whose own sha256 has been
    checked. Raises RunError as `unpack` does.
    """
    try:
        hashes = cache_folders.compute_hashes(folder)
    except OSError:
        return False
    if hashes and _read_record(archive, spec) == hashes:
        return True
    wanted: dict[str, str] = {}
    for name, content in _list_contents(archive, spec, MAX_UNPACKED):
        digest = hashlib.sha256()
        for chunk in content:
            digest.update(chunk)
        wanted[name] = digest.hexdigest()
        if hashes.get(name) != wanted[name]:
            return False
    return wanted == hashes


def _read_record(archive: Path, spec: _Selection) -> dict[str, str]:
    """The sha256 that a wheel's own list, its RECORD, has of the members that `spec` names; empty without one."""
    found: dict[str, str] = {}
    with suppress(*_DAMAGED, csv.Error, KeyError), zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if name.endswith(".dist-info/RECORD") and name.count("/") == 1]
        if len(names) != 1 or file.getinfo(names[0]).file_size > _MAX_RECORD:
            return {}
        with file.open(names[0]) as record:
            for name, listed, *_ in csv.reader(io.TextIOWrapper(record, "utf-8")):
                algorithm, _, digest = listed.partition("=")
                if _is_wanted(name, spec) and algorithm == "sha256":
                    found[name] = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    return found


def _is_wanted(name: str, spec: _Selection) -> bool:
    return not spec.member or name == spec.member or name.startswith(f"{spec.member}/")


def _list_contents(archive: Path, spec: _Selection, limit: int) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The members that `spec` names, each with its content in pieces. Raises RunError when there is none."""
    names: list[str] = []
    seen: set[str] = set()
    unpacked = 0
    with _explain_reading(spec):
        # A tar file may end in a zip file, which is_zipfile would take it for.
        is_zip = not (isinstance(spec, Whole) and tarfile.is_tarfile(archive)) and zipfile.is_zipfile(archive)
    for member, open_member in _open_members(archive, spec, is_zip=is_zip):
        if len(names) < _NAMES and len(member.name) <= _MAX_PATH:
            names.append(member.name)
        unpacked += member.size if _is_wanted(member.name, spec) or not is_zip else 0
        if unpacked > limit:
            raise RunError(
                f"{quote(spec.member) + ' in ' if spec.member else ''}{spec.file} has more than {limit / 2**30:g} GiB "
                f"when it is unpacked; at most {limit / 2**30:g} GiB are unpacked"
            )
        if not _is_wanted(member.name, spec):
            continue
        shown = quote(member.name)
        if member.fault:
            raise RunError(f"{shown} in {spec.file} {member.fault}; only plain files are unpacked, inside their folder")
        if member.name in seen:
            raise RunError(f"{spec.file} holds {shown} twice; each member of an archive has a name of its own")
        seen.add(member.name)
        yield member.name, _read_pieces(open_member, spec)
    if not seen and not spec.member:
        raise RunError(f"there are no files in {spec.file}")
    if not seen:
        raise RunError(
            f"there is no {quote(spec.member)} in {spec.file}; {suggest_nearest(spec.member, _add_folders(names))}"
        )


def _read_pieces(open_member: Callable[[], IO[bytes]], spec: _Selection) -> Iterator[bytes]:
    with _explain_reading(spec):
        opened = open_member()
    while True:
        with _explain_reading(spec):
            piece = opened.read(_CHUNK)
        if not piece:
            return
        yield piece


@contextmanager
def _explain_reading(spec: _Selection) -> Iterator[None]:
    """Raises RunError in place of whatever reading an archive may raise."""
    try:
        yield
    except _DAMAGED as error:
        reason = shorten(str(error).partition("\n")[0].removesuffix(":")) or type(error).__name__
        kinds = "a wheel is a zip archive and a source archive a gzipped tar"
        if isinstance(spec, Whole):
            kinds = "an archive is a zip file, or a tar file that gzip, bzip2 or xz may compress"
        raise RunError(f"{spec.file} cannot be read: {reason}; {kinds}") from error


def _add_folders(names: list[str]) -> list[str]:
    parents = {str(parent) for name in names for parent in Path(name).parents[:_DEEP]} - {"."}
    return [*names, *sorted(parents)]


def _open_members(
    archive: Path, spec: _Selection, *, is_zip: bool
) -> Iterator[tuple[_Member, Callable[[], IO[bytes]]]]:
    """All members but folders, in their order, each with what opens it."""
    walk = _open_zip(archive) if is_zip else _open_tar(archive, "r:*" if isinstance(spec, Whole) else "r:gz")
    for _ in range(_MAX_MEMBERS):
        with _explain_reading(spec):
            found = next(walk, None)
        if found is None:
            return
        yield found
    raise RunError(f"{spec.file} has more than {_MAX_MEMBERS:,} members; an archive has at most that many")


def _open_zip(archive: Path) -> Iterator[tuple[_Member, Callable[[], IO[bytes]]]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            fault = (
                "is encrypted"
                if info.flag_bits & 1
                else _describe_fault(info.filename, is_plain=kind in (0, stat.S_IFREG))
            )
            member = _Member(posixpath.normpath(info.filename), fault, info.file_size)
            yield member, functools.partial(file.open, info)


def _open_tar(archive: Path, mode: Literal["r:*", "r:gz"]) -> Iterator[tuple[_Member, Callable[[], IO[bytes]]]]:
    with tarfile.open(archive, mode=mode) as file:
        for info in file:
            if not info.isdir():
                fault = _describe_fault(info.name, is_plain=info.isreg())
                member = _Member(posixpath.normpath(info.name), fault, info.size)
                yield member, functools.partial(_extract, file, info)


def _extract(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    opened = file.extractfile(info)
    if opened is None:
        raise tarfile.ExtractError(f"'{info.name}' has no content")
    return opened


def _describe_fault(name: str, *, is_plain: bool) -> str:
    """Why a member cannot be unpacked, in words that follow its name; empty when it can."""
    if not is_plain:
        return "is a link or a device"
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        return "has a path that leads out of its folder"
    encoded = name.encode("utf-8", "surrogateescape")
    if "\0" in name or len(encoded) > _MAX_PATH or any(len(part) > _MAX_NAME for part in encoded.split(b"/")):
        return f"has a path of {len(encoded):,} bytes, which no file can have (at most {_MAX_PATH:,})"
    return ""
