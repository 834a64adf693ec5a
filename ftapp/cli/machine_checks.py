"""What `ftapp doctor` checks: this machine, its folders, its network and its terminal, each without Keras."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftapp.common import downloads, package_index, user_folders
from ftapp.common.errors import HubError, RecipeError, RunError
from ftapp.common.formatting import format_quantity, format_size
from ftapp.common.safe_files import explain_error

State = Literal["ok", "note", "problem"]

_LEAST_ROOM = 5 * 2**30  # bytes on a disk below which large models do not fit
_LEAST_FILES = 1024  # open files, of a large data set of image files
_LEAST_COLUMNS, _LEAST_ROWS = 80, 24
_EXTRAS: Mapping[str, Sequence[str]] = {
    "openvino": ("openvino", "nncf"),
    "export": ("onnxruntime", "tf2onnx", "ai_edge_litert", "transformers"),
    "serving": ("fastapi", "uvicorn", "multipart", "fastapi_swagger"),
    "track": ("tensorboardX", "wandb", "mlflow", "sqlalchemy", "alembic", "trackio"),
    "nvidia": ("pynvml",),
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to.
        name: What was looked at.
        state: Whether it is as it should be, is worth knowing, or stands in the way.
        says: What was found.
        advice: What to do about it; "" for nothing.
    """

    group: str
    name: str
    state: State
    says: str
    advice: str = ""


def check_machine() -> Iterator[Check]:
    """Check the processor, the memory and the limits of this process."""
    import psutil

    from ftapp import __version__
    from ftapp.runs.machine import find_processor

    yield Check("machine", "ftapp", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    cores, usable = os.cpu_count() or 1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    allowed = f", {usable} of them usable here" if usable not in (None, cores) else ""
    yield Check(
        "machine",
        "processor",
        "ok",
        f"{find_processor() or platform.machine()}, {format_quantity(cores, 'core')}{allowed}",
    )
    memory = psutil.virtual_memory()
    limit = _find_memory_limit()
    amount = f"{format_size(memory.available)} of {format_size(memory.total)} free"
    if limit is not None and limit < memory.total:
        amount += f"; this container or job may use {format_size(limit)}"
    yield Check("machine", "memory", "ok", amount)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < _LEAST_FILES:
        yield Check("machine", "open files", "note", f"at most {files}", f"ulimit -n {_LEAST_FILES} allows more")


def _find_memory_limit() -> int | None:
    """Find the memory that this process's control group may use; None for no limit."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(file).read_text("utf-8"))
        except (OSError, ValueError):
            continue
    return None


def check_extras() -> Iterator[Check]:
    """Check the optional packages."""
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if not missing:
            yield Check("packages", extra, "ok", "installed")
        else:
            state = "not installed" if len(missing) == len(modules) else f"without {', '.join(missing)}"
            yield Check("packages", extra, "note", state, f"pip install 'ftapp[{extra}]'")


def check_compiled_modules() -> Iterator[Check]:
    """Check whether Python has kept, or may keep, what it compiles of Keras.

    Without, each process compiles the thousands of modules of Keras and its backend anew.
    """
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        return
    compiled = Path(importlib.util.cache_from_source(spec.origin))
    if compiled.is_file():
        return
    place = next(folder for folder in compiled.parents if folder.exists())
    if sys.dont_write_bytecode:
        reason = "PYTHONDONTWRITEBYTECODE is set"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} cannot be written"
    else:
        return
    site = shlex.quote(str(Path(spec.origin).parent.parent))
    state = f"not kept, since {reason}: each start takes several seconds more"
    yield Check("packages", "compiled modules", "note", state, f"python -m compileall -q -j 0 {site} compiles all once")


def check_folders(runs_dir: Path | None) -> Iterator[Check]:
    """Check the folders that ftapp writes to, and the user's settings.

    Args:
        runs_dir: The folder of all runs, if one is chosen.
    """
    from ftapp.recipe.user_settings import find_settings_file, load_settings
    from ftapp.runs.run_lookup import list_folders

    places = {"runs": lambda: user_folders.runs(runs_dir), "cache": user_folders.cache}
    for name, find in places.items():
        try:
            folder = find()
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            room = shutil.disk_usage(existing).free
        except (OSError, RunError) as error:
            yield Check("folders", name, "problem", explain_error(error) if isinstance(error, OSError) else str(error))
            continue
        if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
            variable = "FTAPP_RUNS" if name == "runs" else "FTAPP_CACHE"
            advice = f"name another folder by {variable}"
            yield Check("folders", name, "problem", f"{folder} cannot be written", advice)
            continue
        count = f"{format_quantity(len(list_folders(folder)), 'run')}, " if name == "runs" else ""
        state: State = "ok" if room >= _LEAST_ROOM else "note"
        advice = "" if room >= _LEAST_ROOM else "models and features of gigabytes may not fit"
        yield Check("folders", name, state, f"{folder}: {count}{format_size(room)} free on its disk", advice)
    try:
        settings, file = load_settings(), find_settings_file()
    except (RecipeError, RunError) as error:
        yield Check("folders", "settings", "problem", str(error))
    else:
        used = settings.track.list_used()
        names = f"trackers: {', '.join(used)}" if used else "no trackers"
        yield Check("folders", "settings", "ok", f"{file}: {names}" if file.exists() else f"{file} does not exist")


def check_network() -> list[Check]:
    """Check which servers answer, all at the same time, and whether their clients have a user."""
    places = {
        "package index (pypi://)": package_index.list_indexes()[0][0],
        "Kaggle (presets of KerasHub)": "https://www.kaggle.com",
        "Hugging Face (hf://, hf:)": os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
        "TensorFlow Datasets (tfds:)": "https://storage.googleapis.com/tfds-data",
        "Project Gutenberg": os.environ.get("FTAPP_GUTENBERG") or "https://www.gutenberg.org",
    }

    def look(name: str) -> Check:
        try:
            downloads.reach(places[name], name, any_answer=True)
        except HubError as error:
            return Check("network", name, "note", str(error).partition(", which ")[2])
        return Check("network", name, "ok", "answers")

    with ThreadPoolExecutor(len(places)) as pool:
        found = list(pool.map(look, places))
    return [*found, *_check_tokens()]


def _check_tokens() -> Iterator[Check]:
    """Check whether the hubs' clients find a token. None is shown."""
    from huggingface_hub import get_token
    from kagglehub.config import get_kaggle_credentials

    has_token = get_token() is not None
    yield Check(
        "network",
        "token of Hugging Face",
        "ok" if has_token else "note",
        "is there" if has_token else "none; gated models and private data need one",
        "" if has_token else "hf auth login",
    )
    try:
        has_key = get_kaggle_credentials() is not None
    except ValueError as error:
        yield Check("network", "key of Kaggle", "problem", str(error))
        return
    state = "is there" if has_key else "none; some models of Kaggle, such as Gemma, need one"
    yield Check(
        "network", "key of Kaggle", "ok" if has_key else "note", state, "" if has_key else "see kaggle.com/settings"
    )


def check_terminal() -> Iterator[Check]:
    """Check what the terminal can show, by its own answers and by its variables."""
    from ftapp.tui.terminal import capabilities

    if not sys.stdout.isatty():
        yield Check("terminal", "terminal", "note", "the output is no terminal, so nothing can be asked of it")
        return
    capabilities.query()
    columns, rows = shutil.get_terminal_size()
    is_large = columns >= _LEAST_COLUMNS and rows >= _LEAST_ROWS
    advice = "" if is_large else f"the interface is made for {_LEAST_COLUMNS}x{_LEAST_ROWS} and more"
    kind = os.environ.get("TERM", "unknown")
    inside = " in tmux" if "TMUX" in os.environ else " in screen" if "STY" in os.environ else ""
    over = " over SSH" if "SSH_CONNECTION" in os.environ else ""
    yield Check("terminal", "size", "ok" if is_large else "note", f"{columns}x{rows}, {kind}{inside}{over}", advice)
    has_colors = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    colors = "none (NO_COLOR)" if os.environ.get("NO_COLOR") else "16 million" if has_colors else "256 or fewer"
    yield Check("terminal", "colours", "ok", colors)
    pictures = "kitty" if capabilities.has_kitty_graphics() else "sixel" if capabilities.has_sixel() else ""
    yield Check("terminal", "pictures", "ok", f"as pixels ({pictures})" if pictures else "as coloured half blocks")
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    is_unicode = encoding == "utf8"
    yield Check(
        "terminal",
        "characters",
        "ok" if is_unicode else "problem",
        "Unicode" if is_unicode else f"{sys.stdout.encoding}, which has no frames and curves",
        "" if is_unicode else "export LANG=C.UTF-8",
    )
