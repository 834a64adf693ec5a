"""The checkpoints of a run, seen from outside: which there are, which are whole, and whether this machine can use them.

A checkpoint is a folder `checkpoints/state-00000120` with the state of the training after 120 steps:

checkpoint.json          where and with what it was made (`CheckpointFacts`)
state.json               position, clock, hashes, the last evaluations (`ftapp.training.state`)
weights.safetensors      the weights and statistics that the run has changed, and the states of random layers
optimizer.safetensors    all that the optimizer remembers
best.safetensors         the best weights so far, if the run keeps them and they are of an earlier step
.ftapp-manifest.json     the sha256 of each of these files
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import tomli_w

from ftapp.common.cache_folders import matches_manifest
from ftapp.common.formatting import format_quantity
from ftapp.common.safe_files import UNREADABLE, read_bytes
from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS
from ftapp.runs.event_types import Count, Step, Time
from ftapp.runs.machine import find_processor, list_packages
from ftapp.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

FORMAT = 1
"""The version of the files of a checkpoint."""
FACTS_FILE, STATE_FILE = "checkpoint.json", "state.json"

_NAME = re.compile(r"state-(\d{8,})")
# The packages whose versions decide what a step computes, beside the backend's own.
_DECIDING = ("ftapp", "keras", "keras-hub", "numpy", "tensorflow")


class CheckpointFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what a checkpoint was made.

    Attributes:
        format: `FORMAT`.
        time: Seconds since the Unix epoch.
        step: The steps of the run that are done.
        offset: Bytes of the run's event log that belong to the checkpoint.
        recipe: A hash of the recipe (`hash_recipe`).
        backend: The backend.
        device: The device in words.
        precision: The precision in force.
        packages: Versions of packages by name.
        processor: The name of the processor.
        cores: The number of its cores.
        built: A hash of the weights that the run began with.
        cached: Whether the phase trains on cached features.
        engine: The engine that computes them.
        int8: Whether it computes them in int8.
    """

    format: int = FORMAT
    time: Time
    step: Step
    offset: Count
    recipe: str
    backend: str
    device: str
    precision: Annotated[str, msgspec.Meta(pattern="^(float32|bfloat16|float16)$")]
    packages: dict[str, str]
    processor: str
    cores: int
    built: str
    cached: bool
    engine: Literal["keras", "openvino"] = "keras"
    int8: bool = False


@dataclass(frozen=True)
class ResumePoint:
    """Where a run goes on.

    Attributes:
        folder: The checkpoint; None where the run goes on from its beginning.
        facts: What the checkpoint says of itself; None where the run goes on from its beginning.
        notes: What is worth telling, such as newer checkpoints that are damaged, in sentences.
        differences: Why the run would not go on exactly here, in words.
        hints: Differences that may change the last digits of a sum, and are no reason to refuse.
    """

    folder: Path | None
    facts: CheckpointFacts | None
    notes: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def name_checkpoint(step: int) -> str:
    """Name the folder of the checkpoint after so many steps of the run."""
    return f"state-{step:08}"


def list_checkpoints(run: RunFolder) -> list[tuple[int, Path]]:
    """List the checkpoints of a run with their steps, newest first."""
    return sorted(_find(run.checkpoints_folder), reverse=True)


def _find(folder: Path) -> Iterator[tuple[int, Path]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (found := _NAME.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False):
                    yield int(found[1]), Path(entry)
    except OSError:
        return


def read_facts(folder: Path) -> CheckpointFacts | None:
    """Read what a checkpoint says of itself; None where it cannot be read, or is of another format."""
    try:
        facts = msgspec.json.decode(read_bytes(folder / FACTS_FILE), type=CheckpointFacts)
    except (OSError, *UNREADABLE):
        return None
    return facts if facts.format == FORMAT else None


def find_resume_point(run: RunFolder, recipe: Recipe) -> ResumePoint:
    """Find the newest checkpoint that is whole, and compare it with what is here. Reads 1 to 2 GB/s.

    Args:
        run: The run.
        recipe: Its recipe.
    """
    notes: list[str] = []
    for step, folder in list_checkpoints(run):
        facts = read_facts(folder)
        if facts is None or facts.step != step or not matches_manifest(folder):
            notes.append(f"the checkpoint of step {step} is damaged: its files are not as they were saved")
        elif not _covers(run.events_file, facts.offset):
            notes.append(f"the checkpoint of step {step} cannot be used: events.jsonl has lost events of before it")
        else:
            differences, hints = _compare(facts, recipe)
            return ResumePoint(folder, facts, notes, differences, hints)
    return ResumePoint(None, None, notes)


def _covers(log: Path, offset: int) -> bool:
    """Whether a log of events has all that belongs to a checkpoint, and a line ends there."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, offset - 1))
            return offset == 0 or file.read(1) == b"\n"
    except OSError:
        return False


def _compare(facts: CheckpointFacts, recipe: Recipe) -> tuple[list[str], list[str]]:
    """Tell how recipe and software differ from a checkpoint's, and how the machine does."""
    differences = []
    if facts.backend != recipe.backend:
        differences.append(f"the backend is {recipe.backend} and was {facts.backend}")
    elif facts.recipe != hash_recipe(recipe):
        differences.append("recipe.toml was changed")
    if recipe.precision not in ("auto", facts.precision):
        differences.append(f"the precision is {recipe.precision} and was {facts.precision}")
    packages = list_packages()
    engine = {"openvino": recipe.frozen.engine == "openvino", "nncf": recipe.frozen.dtype == "int8"}
    for name in dict.fromkeys((*_DECIDING, facts.backend, *(name for name, is_used in engine.items() if is_used))):
        now, then = packages.get(name, "missing"), facts.packages.get(name, "missing")
        if now != then:
            differences.append(f"{name} is {now} and was {then}")
    hints = []
    if (now := find_processor()) != facts.processor:
        hints.append(f"the processor is {now or 'unknown'} and was {facts.processor or 'unknown'}")
    if (cores := os.cpu_count() or 1) != facts.cores:
        hints.append(f"the machine has {format_quantity(cores, 'core')} and had {facts.cores}")
    return differences, hints


def hash_recipe(recipe: Recipe) -> str:
    """Hash all of a recipe that decides what a step computes, so without the length of its last phase.

    Keys with their default values are left out, so that a key which ftapp gets later changes no hash.
    """
    tables = recipe.model_dump(exclude_defaults=True)
    for name in (*DESCRIPTIVE_KEYS, "finding", "checkpoint", "keep"):
        tables.pop(name, None)
    for name in ("steps", "epochs"):
        tables["phase"][-1].pop(name, None)
    if recipe.kept_metric:
        tables["keep"] = {"best": recipe.kept_metric}
    return hashlib.blake2b(tomli_w.dumps(tables).encode(), digest_size=16).hexdigest()
