"""`ftapp ctl`: sends a command to a run that goes on, and waits for its answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ftapp.cli import failure
from ftapp.cli.options import JsonOption, RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.runs.commands import AnyCommand
    from ftapp.runs.events import Controlled
    from ftapp.runs.run_folder import RunFolder

_POLL_SECONDS = 0.05
_PATIENCE = 2.0  # seconds without an answer, before the command says that it waits
_LONGEST_SECONDS = 180.0  # that a run on another machine is waited for: its cluster may be out of reach


class Action(StrEnum):
    """What a run can be told to do."""

    pause = "pause"
    resume = "resume"
    stop = "stop"
    checkpoint = "checkpoint"
    lr = "lr"
    freeze = "freeze"
    unfreeze = "unfreeze"


def ctl(
    run: RunArgument,
    action: Annotated[Action, typer.Argument(metavar="ACTION", help="What the run does.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VALUE", help="lr: the learning rate. freeze and unfreeze: layers, such as 'attention & last:4'."
        ),
    ] = None,
    runs_dir: RunsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a run that goes on to pause, save, change its learning rate, or freeze and unfreeze layers.

    The run carries a command out between two steps. Exit code 0: it did; 1: it refused, or ended while it was asked; 2:
    the command is wrong, or the run has ended already.
    """
    from ftapp.common.errors import RecipeError, RunError
    from ftapp.experiments.find_run import find_run
    from ftapp.launchers.stop import send

    outcome: dict[str, Any] = {"run": None, "command": action, "applied": False, "reason": "the run ended before"}
    try:
        command = _make_command(action, values or [])
        found = find_run(run, runs_dir)
        outcome["run"] = found.folder.name
        since = _measure_log(found)
        will_answer = send(found, command)
    except (RecipeError, RunError) as error:
        if as_json:
            print(json.dumps(outcome | {"reason": str(error)}))
        failure.refuse(str(error))
    try:
        answer = wait_for_answer(found, command, since) if will_answer else "cancelled"
    except RunError as error:
        print(json.dumps(outcome | {"reason": str(error)}) if as_json else error, file=None if as_json else sys.stderr)
        raise typer.Exit(1) from error
    if answer == "cancelled":
        outcome |= {"applied": True, "step": 0}
        print(json.dumps(outcome) if as_json else f"{action}: cancelled while it waited for a machine")
        return
    if answer:
        outcome |= {"applied": answer.applied, "reason": answer.reason, "step": answer.step}
    if as_json:
        print(json.dumps(outcome))
    elif not answer:
        print(f"{found.folder.name} ended before it took the command", file=sys.stderr)
    elif answer.applied:
        print(f"{' '.join([action, *(values or [])])}: done after step {answer.step}")
    else:
        print(f"{found.folder.name} refused: {answer.reason}", file=sys.stderr)
    raise typer.Exit(0 if outcome["applied"] else 1)


def _make_command(action: Action, values: Sequence[str]) -> AnyCommand:
    """Make the command of an action.

    Raises:
        RunError: A value is wrong.
    """
    from ftapp.common.errors import RunError
    from ftapp.runs import commands

    if kind := commands.LAYER_COMMANDS.get(action):
        if not values:
            raise RunError(f"{action} needs layers, for example: ftapp ctl last {action} 'attention & last:4'")
        try:
            return kind(layers=", ".join(values))
        except ValueError as error:
            raise RunError(str(error)) from error
    if action is Action.lr:
        if len(values) != 1:
            raise RunError(f"lr needs one learning rate and got {len(values)}, for example: ftapp ctl last lr 1e-5")
        try:
            return commands.Rate(base=float(values[0]))
        except ValueError as error:
            message = f"'{values[0]}' is not a learning rate; a rate is a number above 0, such as 1e-4"
            raise RunError(message) from error
    if values:
        raise RunError(f"{action} takes no value; got '{' '.join(values)}'")
    match action:
        case Action.pause:
            return commands.Pause()
        case Action.resume:
            return commands.Resume()
        case Action.stop:
            return commands.Stop()
        case _:
            return commands.Checkpoint()


def _measure_log(run: RunFolder) -> int:
    """Return the bytes of a run's log; 0 where its process has not written it yet."""
    try:
        return run.events_file.stat().st_size
    except OSError:
        return 0


def wait_for_answer(
    run: RunFolder, command: AnyCommand, since: int, longest: float = _LONGEST_SECONDS
) -> Controlled | Literal["cancelled"] | None:
    """Wait for the answer to a command.

    Args:
        run: The run.
        command: What was sent to it.
        since: The length of its log before, in bytes.
        longest: For how many seconds a run on another machine is waited for.

    Returns:
        The answer; cancelled, where a run that was to stop has lost its machine meanwhile and waits for another one;
        None where the run ends without an answer.

    Raises:
        RunError: The run is on another machine, and has not answered for long.
    """
    from ftapp.common.errors import RunError
    from ftapp.common.formatting import format_duration
    from ftapp.launchers.stop import cancel
    from ftapp.runs.commands import Stop
    from ftapp.runs.event_reader import EventReader
    from ftapp.runs.events import Controlled

    reader = EventReader(run.events_file)
    reader.skip(since)
    begun, has_told = time.monotonic(), False
    while True:
        living, entry = run.alive(), run.find_lease()
        for event in reader.read():
            if isinstance(event, Controlled) and event.id == command.id:
                return event
        if not living and reader.caught_up:
            return None
        if entry and entry.lease.state == "waiting" and isinstance(command, Stop):
            if cancel(run, entry, "interrupted"):
                return "cancelled"
        elif entry and time.monotonic() - begun > longest:
            raise RunError(
                f"no answer for {format_duration(longest)}: {run.folder.name} {entry.describe()}, and that "
                "may be out of reach, or its step is long; the command stays sent, and is carried out when the run "
                "reads it"
            )
        if not has_told and time.monotonic() - begun > _PATIENCE:
            has_told = True
            print("waiting for the run to end its step; Ctrl-C leaves, and the command stays sent", file=sys.stderr)
        time.sleep(_POLL_SECONDS)
