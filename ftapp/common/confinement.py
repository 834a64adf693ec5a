"""The folders of people of a class: which files a student may name, and which files their processes can open.

`ftapp serve --class` tells the processes of a student by a variable. They confine themselves before they do anything
else (`ftapp.common.landlock`), and with themselves all that they start. The process of a person who only watches opens
no file but those of runs, since whoever can write into a run's folder could put a link to another file there.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from ftapp.common import landlock, user_folders
from ftapp.common.formatting import join_names
from ftapp.common.resources import find_resources

VARIABLE = "FTAPP_CONFINED"
_PACKAGE = Path(__file__).parent.parent
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store")
_STATE = ("/proc", "/sys")
_STATE_OF_ALL = ("/proc/meminfo", "/proc/stat", "/proc/cpuinfo", "/proc/loadavg", "/proc/uptime")  # and of no process
_SETTINGS = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "os-release", "mime.types"),
    *("ssl", "pki", "ca-certificates", "crypto-policies", "resolv.conf", "hosts", "host.conf", "nsswitch.conf"),
    *("gai.conf", "services", "protocols", "passwd", "group", "pip.conf", "fonts", "OpenCL", "vulkan"),
)
_OF_USER = (".config/pip", ".pip", ".netrc", ".kaggle")
_FILE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CONFIG_FILE")
_DEVICES = ("null", "zero", "full", "random", "urandom", "shm", "dri", "kfd", "nvidia-caps", "dxg")
_CACHES = (
    *(".cache/huggingface", ".cache/kagglehub", ".cache/matplotlib", ".config/matplotlib", ".keras"),
    *("scikit_learn_data", "tensorflow_datasets"),
)
_XDG_CACHES = ("huggingface", "matplotlib")  # which lie in the folder that XDG_CACHE_HOME names
_CACHE_VARIABLES = (
    *("HF_HOME", "HF_HUB_CACHE", "KAGGLEHUB_CACHE", "KERAS_HOME", "MPLCONFIGDIR", "SCIKIT_LEARN_DATA", "TFDS_DATA_DIR"),
    "CUDA_CACHE_PATH",
)
_KEPT_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Confinement:
    """The folders of a student.

    Attributes:
        own: The student's own folder, the only one where the student may name a new file.
        runs: The folder of runs.
        data: The folders with data of the class.
    """

    own: Path
    runs: Path
    data: tuple[Path, ...] = ()

    @classmethod
    def make(cls, name: str, runs: Path, data: tuple[Path, ...]) -> Confinement:
        """Make the folders of a student, whose own folder lies among the runs."""
        return cls(runs.absolute() / "people" / name, runs.absolute(), tuple(each.absolute() for each in data))

    @classmethod
    def read(cls) -> Confinement | None:
        """Read the folders of the student who uses this process; None for other people.

        Raises:
            ValueError: The variable is damaged.
        """
        if not (given := os.environ.get(VARIABLE)):
            return None
        try:
            return msgspec.json.decode(given, type=cls, dec_hook=_decode)
        except msgspec.DecodeError as error:
            raise ValueError(f"{VARIABLE} is damaged: {error}; `ftapp serve` sets it, so unset it here") from error

    @property
    def environment(self) -> dict[str, str]:
        """The variable that tells a process of them, and the one that names its folder for temporary files."""
        return {VARIABLE: msgspec.json.encode(self, enc_hook=str).decode(), "TMPDIR": str(self._temporary)}

    def enter(self) -> None:
        """Confine this process to these folders, to the caches, and to what programs need to run.

        Raises:
            OSError: The student's folder cannot be made, or the kernel has refused the rules.
        """
        self._temporary.mkdir(parents=True, exist_ok=True)
        for folder in _find_caches():  # a new account has none, and no process can make one later
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(self.environment)
        tempfile.tempdir = None
        landlock.confine(self._find_readable(), self._find_writable())

    def find_opening(self, path: Path) -> Path | None:
        """Find the folder through which the student's processes can open a file; None where they cannot.

        Args:
            path: The file. Links in it are followed.
        """
        found = _follow_links(path)
        return next((each for each in (*self._find_writable(), *self._find_readable()) if _is_in(found, each)), None)

    def find_obstacle(self, path: Path, *, writes: bool = False) -> str | None:
        """Explain why a student may not name a file or folder; None where nothing speaks against it.

        Args:
            path: The path. Links in it are followed.
            writes: Whether something is written there.
        """
        found = _follow_links(path)
        if _is_in(found, self.own):
            return None
        if writes:
            return f"'{path}' is outside of your own folder; write to {self.own}"
        of_others = _is_in(found, self.own.parent)
        if not of_others and any(_is_in(found, each) for each in (self.runs, *self.data, *_find_bundled())):
            return None
        folders = join_names([str(each) for each in (self.own, *self.data)])
        return f"'{path}' is outside of the folders of this class; use a file in {folders}"

    def link_data(self) -> None:
        """Make links to the folders with data in the student's own folder, where dialogs and short paths begin.

        Raises:
            OSError: The student's folder cannot be read or written.
        """
        links: dict[Path, Path] = {}
        for folder in self.data:
            names = (folder.name, *(f"{folder.name}-{number}" for number in range(2, len(self.data) + 1)))
            links[next(self.own / name for name in names if self.own / name not in links)] = folder
        for link in self.own.iterdir():
            with suppress(FileNotFoundError):  # another session of the student has removed it
                if link.is_symlink() and link.readlink() != links.get(link):
                    link.unlink()
        for link, folder in links.items():
            with suppress(FileExistsError):
                link.symlink_to(folder)

    def remove_leftovers(self) -> None:
        """Remove temporary files that nobody has changed for a week: processes that were killed have left them."""
        before = time.time() - _KEPT_SECONDS
        for path in self._temporary.iterdir():
            with suppress(OSError):  # another session of the student has removed it
                if path.lstat().st_mtime >= before:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def _find_readable(self) -> Iterator[Path]:
        yield from _find_programs()
        yield from map(Path, _STATE)
        yield from (user_folders.settings() / name for name in ("settings.toml", "interface.json"))
        yield from _find_in_home(_OF_USER)
        yield from (Path(os.environ[name]) for name in _FILE_VARIABLES if os.environ.get(name))
        yield from self.data

    def _find_writable(self) -> Iterator[Path]:
        yield from (Path("/dev", name) for name in _DEVICES)
        yield from Path("/dev").glob("nvidia*")
        yield from _find_caches()
        yield self.runs

    @property
    def _temporary(self) -> Path:
        return self.own / ".tmp"


def keep_to_runs(runs: Path) -> None:
    """Let this process, which only shows, open no files but those of runs, of ftapp, and recipes in its own folder.

    Args:
        runs: The folder of runs.

    Raises:
        OSError: The kernel has refused the rules.
    """
    own = (user_folders.settings() / "interface.json", user_folders.cache(), runs, *Path.cwd().glob("*.toml"))
    readable = (*_find_programs(), *map(Path, _STATE_OF_ALL), Path("/dev/urandom"), *own)
    landlock.confine(readable, [Path(os.devnull)], [Path.cwd()])


def resolve_folders(given: Iterable[Path]) -> tuple[Path, ...]:
    """Make paths of folders absolute. Of several that lead to the same folder, the first stays."""
    found: dict[Path, Path] = {}
    for folder in given:
        found.setdefault(_follow_links(folder), folder.resolve() if ".." in folder.parts else folder.absolute())
    return tuple(found.values())


def is_confined() -> bool:
    """Tell whether a student uses this process."""
    return bool(os.environ.get(VARIABLE))


def find_obstacle(path: Path, *, writes: bool = False) -> str | None:
    """Explain why the person who uses this process may not name a file; None where nothing speaks against it.

    Args:
        path: The path.
        writes: Whether something is written there.
    """
    confinement = Confinement.read()
    return confinement.find_obstacle(path, writes=writes) if confinement else None


def check(path: Path) -> None:
    """Check that the person who uses this process may name a file to be read.

    Raises:
        PermissionError: The person is a student, and the file is outside of the folders of the class.
    """
    if obstacle := find_obstacle(path):
        raise PermissionError(errno.EACCES, obstacle, str(path))


def enter() -> Confinement | None:
    """Confine this process where a student uses it.

    Returns:
        The student's folders; None for other people.

    Raises:
        OSError: As `Confinement.enter`.
    """
    if confinement := Confinement.read():
        confinement.enter()
    return confinement


def _is_in(path: Path, folder: Path) -> bool:
    return path.is_relative_to(_follow_links(folder))


def _follow_links(path: Path) -> Path:
    return Path(os.path.realpath(path))  # that of a Path raises an error for links in a circle


@cache
def _find_bundled() -> tuple[Path, ...]:
    return find_resources("recipes"), find_resources("assets")


def _find_programs() -> Iterator[Path]:
    yield from map(Path, _SYSTEM)
    yield from (Path("/etc", name) for name in _SETTINGS)
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path)})
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)  # where clusters have CUDA, for example
    yield from map(Path, filter(os.path.isabs, libraries))
    yield from (_PACKAGE, *_find_bundled())


def _find_caches() -> Iterator[Path]:
    yield user_folders.cache()
    yield from _find_in_home(_CACHES)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        yield from (Path(caches, name) for name in _XDG_CACHES)
    yield from (Path(os.environ[name]) for name in _CACHE_VARIABLES if os.environ.get(name))


def _find_in_home(names: Iterable[str]) -> Iterator[Path]:
    with suppress(RuntimeError):  # there is no home folder
        home = Path.home()
        yield from (home / name for name in names)


def _decode(kind: type, value: str) -> Path:
    return Path(value)
