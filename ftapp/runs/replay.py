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
from ftapp.runs.events import AnyEvent, Controlled, Count, Step
from ftapp.runs.history import History
from ftapp.runs.run_folder import Run


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
    if history.ended and history.ended.status in ("interrupted", "unfinished") and history.phases:
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


def keep_commands(run: Run, offset: int) -> None:
    """Have a run whose log is going to be cut carry out again what commands it loses.

    Args:
        run: The run, whose process has ended.
        offset: The bytes of the log that are kept.

    Raises:
        RunError: `replay.jsonl` is damaged.
        OSError: The folder cannot be written.
    """
    answers = list(_read_answers(run))
    answered = {event.id for _, event in answers}
    later = [each for each in read_commands(run) if each.command.id not in answered]
    write_commands(run, [*list_commands(event for place, event in answers if place >= offset), *later])


def _read_answers(run: Run) -> Iterator[tuple[int, Controlled]]:
    """Yield the answers in a run's log, each with the byte at which its line begins. A log may be of any size."""
    place = 0
    with run.events_file.open("rb") as file:
        for line in file:
            if b'"controlled"' in line and isinstance(event := decode(line), Controlled):
                yield place, event
            place += len(line)


def read_commands(run: Run) -> list[ReplayedCommand]:
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


def write_commands(run: Run, found: Iterable[ReplayedCommand]) -> None:
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
