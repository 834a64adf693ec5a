"""The files of a checkpoint (`ftapp.runs.checkpoints`): written whole or not at all, and read back into a model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ftapp.common.cache_folders import write_manifest
from ftapp.common.durable import make_folder_in_place
from ftapp.common.errors import RunError
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.keras_internals import seed_generators
from ftapp.models.layers import copy_value, name_variables
from ftapp.runs.checkpoints import FACTS_FILE, STATE_FILE, CheckpointFacts
from ftapp.training.optimizers import OptimizerState

_WEIGHTS, _BEST = "weights.safetensors", "best.safetensors"
_OPTIMIZER, _LEADS = "optimizer.safetensors", "leads"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TrainingCheckpoint:
    """What a training goes on from.

    Attributes:
        facts: Where and with what it was made.
        state: The state of the training, as JSON.
        weights: By name, the weights and statistics that the run has changed, and the states of random layers.
        optimizer: The state of the phase's optimizer.
        best: The best weights so far, by the same names; None where none are kept, or they are these.
    """

    facts: CheckpointFacts
    state: bytes
    weights: Arrays
    optimizer: OptimizerState
    best: Arrays | None = None

    @property
    def size(self) -> int:
        """The bytes of its arrays."""
        best = self.best or {}
        return sum(each.nbytes for each in (*self.weights.values(), *self.optimizer.values, *best.values()))

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are finite: a training that goes on from others fails at its next step."""
        return all(np.isfinite(each).all() for each in (*self.weights.values(), *self.optimizer.values))

    def write(self, folder: Path, confirm: Callable[[], None] = lambda: None) -> None:
        """Write a new folder, whole or not at all.

        Args:
            folder: The folder; a damaged one that is there is replaced.
            confirm: Called before the folder appears; ends a process that may not write any more.

        Raises:
            OSError: The folder cannot be written.
        """
        with make_folder_in_place(folder, replaces=True) as scratch:
            (scratch / FACTS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.facts)))
            (scratch / STATE_FILE).write_bytes(self.state)
            _save_arrays(self.weights, scratch / _WEIGHTS, {})
            if self.best is not None:
                _save_arrays(self.best, scratch / _BEST, {})
            values = {f"{place:05}": value for place, value in enumerate(self.optimizer.values)}
            _save_arrays(values, scratch / _OPTIMIZER, {_LEADS: json.dumps(list(self.optimizer.leads))})
            write_manifest(scratch)
            confirm()


def read_checkpoint(folder: Path, facts: CheckpointFacts) -> TrainingCheckpoint:
    """Read a checkpoint whose files are as they were saved.

    Args:
        folder: The folder.
        facts: What it says of itself.
    """
    values = load_file(folder / _OPTIMIZER)
    leads = json.loads(_read_metadata(folder / _OPTIMIZER)[_LEADS])
    optimizer = OptimizerState([values[name] for name in sorted(values)], leads)
    best = load_file(folder / _BEST) if (folder / _BEST).exists() else None
    return TrainingCheckpoint(facts, (folder / STATE_FILE).read_bytes(), load_file(folder / _WEIGHTS), optimizer, best)


def list_changing(model: keras.Model, plans: Sequence[LayerPlan]) -> dict[str, Any]:
    """List by name the variables that phases change, with the states of random layers.

    All other weights are those of the preset and of the seed, with which the model is built.

    Args:
        model: The whole model.
        plans: The plans of the phases so far.
    """
    changing = {id(variable) for plan in plans for variable in plan.changing}
    named = name_variables((decision.path, decision.variables) for decision in plans[0].decisions)
    seeds = {f"random state {place}": each.state for place, each in enumerate(seed_generators(model))}
    return {name: variable for name, variable in named.items() if id(variable) in changing} | seeds


def copy_values(variables: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Copy the values of variables by name. Waits for the device."""
    return {name: copy_value(variable) for name, variable in variables.items()}


def restore_values(variables: Mapping[str, Any], values: Arrays) -> None:
    """Give variables their saved values.

    Args:
        variables: The variables by name.
        values: Their values by name.

    Raises:
        RunError: A name is missing on one side.
    """
    if different := variables.keys() ^ values.keys():
        raise RunError(f"the checkpoint is of another model: {min(different)} is not in both")
    for name, variable in variables.items():
        variable.assign(values[name])


def _save_arrays(arrays: Arrays, path: Path, metadata: dict[str, str]) -> None:
    """Write arrays into a file.

    Raises:
        OSError: The file cannot be written; safetensors tells that in its message alone.
    """
    try:
        save_file(dict(arrays), path, metadata)
    except SafetensorError as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def _read_metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        found: dict[str, str] = file.metadata()
    return found
