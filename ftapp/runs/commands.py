"""Commands to a run that goes on, and how they are sent to it.

They are lines appended to the run's `control.jsonl`. The run carries each out once, at the boundary of a step, and
answers it by a `Controlled` event with the command's id (`ftapp.runs.control`).
"""

from __future__ import annotations

import math
import secrets
from typing import Annotated, ClassVar

import msgspec

from ftapp.common.errors import RunError
from ftapp.common.safe_files import ends_in_line, explain_error, open_to_append
from ftapp.recipe import layer_rules
from ftapp.runs.run_folder import RunFolder

LONGEST_REASON = 300
"""Characters of an answer, or of why a run is to end."""

Word = Annotated[str, msgspec.Meta(max_length=100)]


class Command(msgspec.Struct, frozen=True, tag_field="command", kw_only=True):
    """id: by which the run answers."""

    id: Word = msgspec.field(default_factory=lambda: secrets.token_hex(4))

    @property
    def name(self) -> str:
        """The word for it, as in the file and in the run's answer."""
        return str(self.__struct_config__.tag)


class Pause(Command, frozen=True, kw_only=True, tag="pause"):
    """Wait before the next step."""


class Resume(Command, frozen=True, kw_only=True, tag="resume"):
    """Go on after a pause."""


class Stop(Command, frozen=True, kw_only=True, tag="stop"):
    """End after the current step and save the model, as SIGINT does. because: why a sweep prunes the run; else ""."""

    because: Annotated[str, msgspec.Meta(max_length=LONGEST_REASON)] = ""


class Checkpoint(Command, frozen=True, kw_only=True, tag="checkpoint"):
    """Save the model as it is now, and go on."""


class Rate(Command, frozen=True, kw_only=True, tag="rate"):
    """From the next step to the end of the phase, put `base` in the place of the phase's base learning rate.

    The schedule, the warm-up and the rates of single layers stay in proportion to it. Raises ValueError unless it is
    finite and above 0.
    """

    base: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.base) and self.base > 0):
            raise ValueError(f"a learning rate is above 0; got {self.base}")


class _LayerCommand(Command, frozen=True, kw_only=True):
    """layers: selections (`ftapp.recipe.layer_rules`). Raises ValueError where they cannot be parsed."""

    verb: ClassVar[str]
    """The verb of its rule."""

    layers: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]

    def __post_init__(self) -> None:
        layer_rules.Selections(self.layers)

    @property
    def rule(self) -> layer_rules.Rule:
        """The rule that the command adds to those of the phase."""
        return layer_rules.Rule(f"{self.verb} {self.layers}")


class Freeze(_LayerCommand, frozen=True, kw_only=True, tag="freeze"):
    """From the next step to the end of the phase, do not train these layers."""

    verb = "freeze"


class Unfreeze(_LayerCommand, frozen=True, kw_only=True, tag="unfreeze"):
    """From the next step to the end of the phase, train these layers."""

    verb = "train"


LAYER_COMMANDS: dict[str, type[Freeze | Unfreeze]] = {
    str(kind.__struct_config__.tag): kind for kind in (Freeze, Unfreeze)
}
"""The commands that change layers, by their words."""


def make_layer_command(rule: str) -> Freeze | Unfreeze:
    """Make the command that adds a rule, `freeze` or `train` with selections, to those of the phase."""
    verb, _, selections = rule.partition(" ")
    return next(kind(layers=selections) for kind in LAYER_COMMANDS.values() if kind.verb == verb)


AnyCommand = Pause | Resume | Stop | Checkpoint | Rate | Freeze | Unfreeze

_encoder = msgspec.json.Encoder()


def send(run: RunFolder, command: AnyCommand) -> None:
    """Append a command to the run's file. Raises RunError when the run has ended or its folder cannot be written."""
    if run.waits_for_machine():
        raise RunError("the run waits for a machine; until it has one, it takes no command but stop")
    if not run.alive():
        raise RunError(f"the run has ended (status: {run.status()}), so it takes no commands")
    line = _encoder.encode(command) + b"\n"
    try:
        if not ends_in_line(run.control_file):  # a sender was killed, or found the disk full
            line = b"\n" + line
        with open_to_append(run.control_file) as file:
            written = file.write(line)
    except OSError as error:
        message = f"{run.control_file} cannot be written: {explain_error(error)}; commands to a run are written there"
        raise RunError(message) from error
    if written != len(line):
        raise RunError(f"the disk is full; commands to a run are written to {run.control_file}")
