"""Commands that a run carries out again at the steps at which they were carried out before.

A run whose log is cut at a checkpoint repeats the commands of behind it, so that none is lost. `ftapp run --replay`
gives a new run all commands of another. They are in the run's `replay.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.safe_files import UNREADABLE, encode_line, explain_error, read_bytes
from ftapp.recipe import Recipe
from ftapp.runs.commands import LAYER_COMMANDS, AnyCommand, Rate, Stop
from ftapp.runs.event_reader import decode
from ftapp.runs.event_types import Count, Step
from ftapp.runs.events import AnyEvent, Controlled, RunEnded
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder


class ReplayedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command, and where it is carried out.

    Attributes:
        phase_index: The phase, counted from 0.
        step: How many steps of the run are made before.
        command: The command, with the id that it had.
    """

    phase_index: Count
    step: Step
    command: AnyCommand


_decoder = msgspec.json.Decoder(ReplayedCommand)


def list_commands(events: Iterable[AnyEvent]) -> Iterator[ReplayedCommand]:
    """List the commands of a run that decide its weights, in the order in which they were carried out.

    Args:
        events: Its events, or some of them.
    """
    for event in events:
        if isinstance(event, Controlled) and event.applied and (command := _make_command(event)):
            yield ReplayedCommand(phase_index=event.phase_index, step=event.step, command=command)


def list_all(history: History) -> list[ReplayedCommand]:
    """List all commands with which a new run of the same recipe comes to a run's weights.

    Args:
        history: The run. Where it was interrupted, the new run ends after the same step.
    """
    found = list(list_commands(history.controlled))
    if history.ended and history.ended.status in ("interrupted", "unfinished", "pruned") and history.phases:
        last = len(history.phases) - 1
        found.append(ReplayedCommand(phase_index=last, step=history.ended.steps, command=Stop()))
    return found


def list_doubts(name: str, history: History, recipe: Recipe) -> Iterator[str]:
    """List the reasons why a run of the same recipe and commands may come to other weights, in sentences.

    Args:
        name: The name of the former run.
        history: The former run.
        recipe: Its recipe.
    """
    if history.saved is None or not history.saved.weights:
        yield f"{name} has saved no weights to compare with"
    if inexact := [reason for each in history.resumed for reason in each.inexact]:
        yield f"the weights may differ: {name} was resumed inexactly: {'; '.join(dict.fromkeys(inexact))}"
    last = recipe.phase[-1]
    decided = [
        *(["the learning rate"] if last.schedule != "constant" or last.warmup else []),
        *(["the early end"] if recipe.stop else []),
        *(["the best weights"] if recipe.kept_metric else []),
    ]
    if decided and history.was_lengthened:
        yield (
            f"the weights may differ: {name} was made longer after it had begun, and {' and '.join(decided)} "
            "followed the shorter length before"
        )


def keep_commands(run: RunFolder, offset: int) -> None:
    """Have a run whose log is going to be cut carry out again what commands it loses.

    Args:
        run: The run, whose process has ended. Commands of a damaged `replay.jsonl` are left out.
        offset: The bytes of the log that are kept.

    Raises:
        OSError: The folder cannot be written.
    """
    events = list(_read_answers_and_end(run))
    answers = [(place, event) for place, event in events if isinstance(event, Controlled)]
    has_stopped = any(isinstance(event, RunEnded) and event.status in ("interrupted", "pruned") for _, event in events)
    # A run that was killed on its way from its stop to its end stops again.
    answered = {event.id for _, event in answers if event.command != "stop" or (event.applied and has_stopped)}
    planned = [] if find_damage(run) else read_commands(run)
    later = [each for each in planned if each.command.id not in answered]
    write_commands(run, [*list_commands(event for place, event in answers if place >= offset), *later])


def _read_answers_and_end(run: RunFolder) -> Iterator[tuple[int, Controlled | RunEnded]]:
    """Yield these events of a run's log, each with the byte at which its line begins. A log may be of any size."""
    place = 0
    with run.events_file.open("rb") as file:
        for line in file:
            is_wanted = b'"controlled"' in line or b'"run-ended"' in line
            if is_wanted and isinstance(event := decode(line), Controlled | RunEnded):
                yield place, event
            place += len(line)


def find_damage(run: RunFolder) -> str | None:
    """Say what is wrong with the commands that a run is to carry out again; None where nothing is."""
    try:
        read_commands(run)
    except RunError as error:
        return f"{error}; its commands would not be carried out again"
    return None


def read_commands(run: RunFolder) -> list[ReplayedCommand]:
    """Read the commands that a run is to carry out again.

    Raises:
        RunError: The file is damaged.
    """
    try:
        return _decoder.decode_lines(read_bytes(run.replay_file))
    except FileNotFoundError:
        return []
    except (OSError, *UNREADABLE) as error:
        raise RunError(f"{run.replay_file} cannot be read: {explain_error(error)}") from error


def write_commands(run: RunFolder, found: Iterable[ReplayedCommand]) -> None:
    """Write the commands that a run is to carry out again.

    Raises:
        OSError: The folder cannot be written.
    """
    if lines := b"".join(map(encode_line, found)):
        replace_file(run.replay_file, lines)
    else:
        run.replay_file.unlink(missing_ok=True)


def _make_command(event: Controlled) -> AnyCommand | None:
    if event.command == "rate" and event.rate is not None:
        return Rate(id=event.id, base=event.rate)
    if event.layers is not None and (kind := LAYER_COMMANDS.get(event.command)):
        return kind(id=event.id, layers=event.layers)
    return None
