"""The folder of a run: its files, and how the run stands. One run is one process and one folder of files.

recipe.toml   the resolved recipe              environment.json  versions, machine, command
events.jsonl  what happened, one event a line  control.jsonl     commands to the run, one a line
train.log     the process's stdout and stderr  run.lock          locked while the process lives
status.json   how it stands, for lists of runs disk.lock         locked while it waits for room on the disk
model/        the trained model                checkpoints/      the state at some steps, to go on from it
layers.json   the layers of the model          replay.jsonl      commands to carry out at given steps
examples.jsonl  what the model made of each test example   leases/  which machine works on it, if not this one
"""

from __future__ import annotations

import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftapp.common.locks import is_locked
from ftapp.common.safe_files import (
    UNREADABLE,
    explain_error,
    explain_lost_folder,
    is_file,
    open_file,
    read_object,
    read_text,
)
from ftapp.runs.event_types import Several, Time
from ftapp.runs.history import History
from ftapp.runs.leases import LeaseEntry, LeaseFolder
from ftapp.runs.log_lines import read_last_lines

GOING_ON = ("running", "waiting")
"""The statuses of runs that have not ended."""
MODEL_DESCRIPTION = "ftapp.json"
"""The file of a `model` folder that says what the model is."""
REPORT_FILE = "report.html"
"""The name of the page about a run, and of that about an experiment, in its folder."""

_MOST_EVENTS = 2**33  # bytes: 40 million steps
_ENVIRONMENT: dict[str, Any] = {
    **dict.fromkeys(("profile", "experiment", "arm", "platform", "processor", "python"), str | None),
    **dict.fromkeys(("recipe", "owner"), str),
    "created": Time,
    **dict.fromkeys(("repeat", "jobs"), Several),
    **dict.fromkeys(("fold", "cores"), Several | None),
    "packages": dict[str, str],
    **dict.fromkeys(("command", "hubless_profiles"), list[str]),
}


@dataclass(frozen=True)
class RunFolder:
    """A run's folder. Everything asked of it is read from its files."""

    folder: Path
    worker: ClassVar[str] = "ftapp.workers.run"

    @property
    def events_file(self) -> Path:
        """The log of all events."""
        return self.folder / "events.jsonl"

    @property
    def status_file(self) -> Path:
        """The newest events (`ftapp.runs.status`)."""
        return self.folder / "status.json"

    @property
    def control_file(self) -> Path:
        """The commands to the run."""
        return self.folder / "control.jsonl"

    @property
    def replay_file(self) -> Path:
        """The commands that the run carries out at given steps (`ftapp.runs.replay`)."""
        return self.folder / "replay.jsonl"

    @property
    def structure_file(self) -> Path:
        """The layers of its model (`ftapp.runs.structure_file`)."""
        return self.folder / "layers.json"

    @property
    def examples_file(self) -> Path:
        """What the model made of each test example (`ftapp.runs.example_results`)."""
        return self.folder / "examples.jsonl"

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.toml"

    @property
    def log_file(self) -> Path:
        """What the process and its libraries printed."""
        return self.folder / "train.log"

    @property
    def lock_file(self) -> Path:
        """Locked while the run's process lives."""
        return self.folder / "run.lock"

    @property
    def leases(self) -> LeaseFolder:
        """Who works on the run on other machines."""
        return LeaseFolder(self.folder / "leases")

    @property
    def disk_lock_file(self) -> Path:
        """Locked while the run waits for room on its disk."""
        return self.folder / "disk.lock"

    @property
    def augmentation_file(self) -> Path:
        """A picture of some training images, the unchanged ones first, of a run that augments images."""
        return self.folder / "augmentation.webp"

    @property
    def report_file(self) -> Path:
        """The page about the run."""
        return self.folder / REPORT_FILE

    @property
    def model_folder(self) -> Path:
        """The trained model."""
        return self.folder / "model"

    @property
    def checkpoints_folder(self) -> Path:
        """The states of the training from which it can go on, and models that were saved meanwhile."""
        return self.folder / "checkpoints"

    @property
    def former_events_file(self) -> Path:
        """The log of events as it was before the run was resumed, until it trains again."""
        return self.folder / "events.before-resume.jsonl"

    def snapshot_folder(self, step: int) -> Path:
        """Where the model is saved after so many steps, if a command asks for it; names sort by step."""
        return self.checkpoints_folder / f"step-{step:06}"

    @property
    def environment_file(self) -> Path:
        """The command, the versions and the machine."""
        return self.folder / "environment.json"

    def environment(self) -> dict[str, Any]:
        """Read what `run_creation.create` noted of the machine and the command.

        Entries of a wrong type are left out. The result is empty when the file is not readable.
        """
        return read_object(self.environment_file, _ENVIRONMENT)[0]

    def damage(self) -> str | None:
        """What is wrong with the run's files, in words; None when nothing is.

        Single lines of its events that cannot be read are told by its history.
        """
        return (
            explain_lost_folder(self.folder)
            or find_recipe_damage(self.recipe_file)
            or read_object(self.environment_file, _ENVIRONMENT)[1]
            or _find_event_damage(self.events_file)
        )

    def alive(self) -> bool:
        """Whether the run's process lives, here or elsewhere, or waits for a machine.

        Here it holds the lock until it ends, however it ends. Elsewhere it renews its lease.
        """
        return is_locked(self.lock_file) or self.find_lease() is not None

    def find_lease(self) -> LeaseEntry | None:
        """The lease of a process on another machine, or of a run that waits for one; None where there is none."""
        return self.leases.find_living()

    def waits_for_machine(self) -> bool:
        """Whether the run waits in the queue of a batch system."""
        entry = self.find_lease()
        return entry is not None and entry.lease.state == "waiting"

    def history(self) -> History:
        """What its events tell; nothing where they are not to be read, as `damage` says."""
        return History() if _find_event_damage(self.events_file) else History.of_file(self.events_file)

    def has_model(self) -> bool:
        """Whether the run has saved its model."""
        return is_file(self.model_folder / MODEL_DESCRIPTION)

    def waits_for_room(self) -> bool:
        """Whether the run stands still because its disk is full."""
        return is_locked(self.disk_lock_file)

    def status(self, history: History | None = None) -> str:
        """running, waiting, done, failed, refused, interrupted, unfinished, pruned, or crashed: ended in silence."""
        if self.waits_for_machine():  # it may have ended before, and goes on when it has a machine
            return "waiting"
        history = history or self.history()
        if not history.ended and self.alive():
            return "running"
        if not history.ended:  # it may have come to its end since its events were read
            history = self.history()
        return history.ended.status if history.ended else "crashed"

    def standing(self, history: History, damage: str | None) -> str:
        """Its status, or "damaged" for a run that has ended and whose files are, as `damage` says."""
        status = self.status(history)
        return "damaged" if status not in GOING_ON and damage else status

    def last_log_lines(self, count: int = 12) -> list[str]:
        """The end of the process's own output."""
        return read_last_lines(self.log_file, count)


def find_recipe_damage(path: Path) -> str | None:
    """What is wrong with a folder's resolved recipe, in words; None when it is TOML."""
    try:
        tomllib.loads(read_text(path))
    except FileNotFoundError:
        return f"its {path.name} is missing"
    except (OSError, *UNREADABLE) as error:
        return f"its {path.name} cannot be read: {explain_error(error)}"
    return None


def _find_event_damage(path: Path) -> str | None:
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"its events.jsonl cannot be read: {explain_error(error)}"
    return f"its events.jsonl is too large: {size} bytes" if size > _MOST_EVENTS else None


def remove_refused(run: RunFolder, history: History) -> bool:
    """Remove a run whose data were refused before it began, and return whether they were: there was no run.

    Whoever follows a run to its end and tells why it was refused calls this. A refused run that nobody followed stays
    in the list, with the reason.
    """
    refused = history.ended is not None and history.ended.status == "refused" and history.started is None
    if refused:
        shutil.rmtree(run.folder, ignore_errors=True)
    return refused
