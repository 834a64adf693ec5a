"""Damaged lines and run folders, made at random from a seed, and what reads them.

The suite tries a few hundred of each (`test_fuzz.py`). To try as many as you like:

    python -m tests.unit.fuzz --lines 200000 --folders 8000 --seed 1

It ends with an error at the first exception that is not a documented one, and prints its seed.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import msgspec
from typer.testing import CliRunner

from ftapp.analysis.records import collect_drift
from ftapp.cli import app, run_result
from ftapp.common.console import PlainConsole
from ftapp.experiments import experiment_lookup
from ftapp.experiments.listing import Summaries
from ftapp.runs import alarms, commands, launcher, narration, outcome, run_lookup
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_reader import read
from ftapp.runs.events import AnyEvent
from ftapp.runs.history import History
from ftapp.runs.narrator import Narrator, explain
from ftapp.runs.run_folder import RunFolder
from ftapp.tui import comparison
from ftapp.tui.run_columns import COLUMNS, describe_status
from tests.support.random_events import POISON, Json, event

# What a number, a name or anything else may turn into.
JUNK: list[Callable[[random.Random], Json]] = [
    lambda draw: None,
    lambda draw: 0,
    lambda draw: -1,
    lambda draw: draw.choice([2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 10**400]),
    lambda draw: draw.choice([1e300, -1e300, 1e-320, 0.5, -0.0]),
    lambda draw: draw.choice([True, False]),
    lambda draw: draw.choice(["", "x", POISON, "1", "../../x", "/etc/passwd", "a" * 5000]),
    lambda draw: [],
    lambda draw: {},
    lambda draw: [[1], [2, 3]],
    lambda draw: {"a": {"b": [None]}},
    lambda draw: [draw.choice([None, 1, "x", -1])] * draw.randrange(1, 4),
]

BYTES: list[Callable[[random.Random, bytes], bytes]] = [
    lambda draw, line: line[: draw.randrange(len(line) + 1)],
    lambda draw, line: line + line,
    lambda draw, line: _replaced(draw, line, draw.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x00", b"\x1b"])),
    lambda draw, line: _replaced(draw, line, draw.randbytes(draw.randrange(1, 9))),
    lambda draw, line: b"[" * draw.choice([10, 100_000]),
    lambda draw, line: b'{"a":' * draw.choice([10, 50_000]),
    lambda draw, line: line.replace(b":", b":" + b"[" * 50_000, 1),
    lambda draw, line: b"\xef\xbb\xbf" + line,
    lambda draw, line: b"",
    lambda draw, line: b"   \r",
    lambda draw, line: draw.choice([b"null", b"1", b'"x"', b"NaN", b"-", b"9" * 5000, b"[]", b"{}"]),
    lambda draw, line: _replaced(draw, line, draw.choice([b"NaN", b"Infinity", b"1e999", b"\\ud800", b"\\u0000"])),
    lambda draw, line: draw.randbytes(draw.randrange(300)),
]


def _replaced(draw: random.Random, line: bytes, part: bytes) -> bytes:
    place = draw.randrange(len(line) + 1)
    return line[:place] + part + line[place + draw.randrange(3) :]


def damaged(draw: random.Random, value: dict[str, Json]) -> bytes:
    """A line of JSON with some values, or some bytes, that are not as they were; often it is as it was."""
    value = dict(value)
    if draw.random() < 0.3:
        for _ in range(draw.randrange(1, 3)):
            key = draw.choice([*value, "other"])
            if draw.random() < 0.2:
                value.pop(key, None)
            else:
                value[key] = draw.choice(JUNK)(draw)
    line = json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    return draw.choice(BYTES)(draw, line) if draw.random() < 0.15 else line


def command(draw: random.Random) -> dict[str, Json]:
    """One line of control.jsonl as it should be."""
    kind = draw.choice(["pause", "resume", "checkpoint", "rate", "rate", "dance"])
    made: dict[str, Json] = {"command": kind, "id": draw.choice([f"{draw.randrange(10**6)}", "same"])}
    return made | ({"base": draw.choice([1e-3, 0, -1, 1e300, 10**400, "x", 2])} if kind == "rate" else {})


RECIPES = [
    'title = "T"\nsummary = "S"\ntask = "text-classification"\nseed = 1\n[model]\npreset = "bert_base_en_uncased"\n'
    '[data]\nsource = "tfds:imdb_reviews"\n[[phase]]\nname = "finetune"\nlayers = ["freeze attention"]\nsteps = 5\n'
    "learning_rate = 0.001\n",
    f"title = {json.dumps(POISON)}\nphase = 3\n",
    "[[phase]]\nname = 3\n[[phase]]\n[[phase]]\nname = {a = 1}\n",
    "title = 1979-05-27T07:32:00Z\nsummary = [1, {a = 2}]\nmodel = 1\n[data]\nsource = inf\n",
    'phase = [1, "x", [2]]\n',
    'phase = {name = "x"}\nmodel = {head = [], preset = {a = 1}}\n',
    "a" + ".a" * 3000 + " = 1\n",
    "x = " + "[" * 20_000,
    "",
]

ENVIRONMENT: dict[str, Json] = {
    **{"recipe": "small", "profile": "quick", "created": 1.7e9, "python": "3.11", "platform": "p", "processor": "c"},
    **{"cores": 2, "packages": {"ftapp": "0"}, "command": ["ftapp", "run", "x"], "arm": "A", "repeat": 1, "jobs": 1},
    **{"experiment": "e", "hubless_profiles": ["quick"]},
}

NAMES = [
    "20260101-000000-small-quick-{:04x}",
    "20260101-000000-[bold]x[/x]-{:04x}",
    "20260101-000000-\x1b[31m\x9b-{:04x}",
    "20260101-000000-two\nlines-{:04x}",
    "20269999-999999-no time-{:04x}",
    "00000000-000000-\udcff-{:04x}",
    "by hand {}",
]


def place(draw: random.Random, path: Path, content: bytes) -> None:
    """Put a file there, or now and then something else."""
    odd = draw.random()
    if odd < 0.75:
        path.write_bytes(content)
    elif odd < 0.78:
        path.write_bytes(draw.randbytes(draw.randrange(2000)))
    elif odd < 0.80:
        os.mkfifo(path)
    elif odd < 0.82:
        path.mkdir()
    elif odd < 0.84:
        path.symlink_to(path)
    elif odd < 0.86:
        path.symlink_to(draw.choice(["/dev/zero", "/dev/null", "/dev/stdin", "/nowhere", "/proc/self/mem", "/"]))
    elif odd < 0.87:
        path.write_bytes(b"")
        os.truncate(path, draw.choice([2**20, 2**34]))  # a hole, which takes no room
    elif odd < 0.88:
        path.write_bytes(content)
        path.chmod(0)
    elif odd < 0.89:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as made:  # where the path is short enough
            made.bind(str(path))
    elif odd < 0.91:
        path.write_bytes(b"")
    elif odd < 0.95:
        path.write_bytes(draw.choice([b"null", b"[]", b"5", b'"x"', b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe"]))


def make_folder(draw: random.Random, parent: Path, number: int) -> Path:
    """A run's folder, more or less damaged."""
    folder = parent / draw.choice(NAMES).format(number)
    folder.mkdir(parents=True)
    lines = [damaged(draw, event(draw)) for _ in range(draw.choice([0, 1, 5, 40]))]
    place(draw, folder / "events.jsonl", b"\n".join(lines) + draw.choice([b"", b"\n"]))
    place(draw, folder / "recipe.toml", draw.choice(RECIPES).encode())
    place(draw, folder / "environment.json", damaged(draw, ENVIRONMENT))
    if draw.random() < 0.5:
        size = sum(map(len, lines)) + len(lines)
        snapshot: dict[str, Json] = {"offset": draw.choice([0, draw.randrange(size + 1), size, 2**62, -1])}
        snapshot |= {"events": [event(draw) for _ in range(draw.randrange(7))], "doubtful": draw.choice([None, True])}
        place(draw, folder / "status.json", damaged(draw, snapshot))
    for name in ("train.log", "control.jsonl", "run.lock", "augmentation.webp"):
        if draw.random() < 0.3:
            place(draw, folder / name, POISON.encode() * draw.randrange(20))
    return folder


def make_experiment(draw: random.Random, parent: Path, number: int, members: Sequence[Path]) -> Path:
    """An experiment's folder beside the runs, more or less damaged."""
    folder = parent / "experiments" / draw.choice(NAMES).format(number)
    folder.mkdir(parents=True)
    listed: list[Json] = [
        {"arm": draw.choice(["A", "B", POISON]), "repeat": draw.choice([1, 2]), "run": os.fsdecode(member.name)}
        for member in members
    ]
    listed += draw.choice([[], [], [{"arm": "A", "repeat": 1, "run": "../.."}], [3], [{"arm": None}]])
    facts = {"recipe": "small", "profile": None, "arms": ["A", "B"], "repeats": 1, "jobs": 1, "created": 1.7e9}
    place(draw, folder / "experiment.json", damaged(draw, facts | {"runs": listed}))
    place(draw, folder / "recipe.toml", draw.choice(RECIPES).encode())
    if draw.random() < 0.6:
        row = {"says": "x", "lesson": "y", "told": "z", "holds": draw.choice(["yes", "no", "perhaps"])}
        result = {"findings": [row], "comparisons": [{"verdicts": ["v"]}], "notes": ["n"], "report": None}
        place(draw, folder / "result.json", damaged(draw, result))
    return folder


def read_folders(parent: Path, output: Path) -> None:
    """Have all that reads run folders read these. Raises what is not documented to be raised."""
    for arguments in (["runs"], ["runs", "--json"]):
        listed = _command(*arguments, "--runs-dir", str(parent))
        assert listed.exit_code == 0, listed.output
    summaries = list(Summaries(parent).read())
    for summary in summaries:
        describe_status(summary)
        for column in COLUMNS.values():
            column.cell(summary, 1.8e9)
            column.key(summary)
    found = run_lookup.list_runs(parent)
    assert {one.folder.name for one in found} == {one.run.folder.name for one in summaries if not one.experiment}
    for one in found:
        read_run(one)
        _command("report", str(one.folder), "--runs-dir", str(parent), "--output", str(output))
    for first, second in itertools.pairwise(found):
        for option in ([], ["--json"], ["--csv"]):
            _command("compare", str(first.folder), str(second.folder), *option, "--runs-dir", str(parent))
    for experiment in experiment_lookup.list_experiments(parent):
        experiment.read_result()
        experiment.group_runs()
        _command("compare", experiment.folder.name, "--runs-dir", str(parent))
        _command("report", experiment.folder.name, "--runs-dir", str(parent))


def read_run(one: RunFolder) -> None:
    """What a run's history is made into."""
    history, status = one.history(), one.status()
    result = {"recipe": "x", "run": "y", "status": status, "model": None} | history.summary()
    result |= outcome.summarize_outcome(history)
    alarms.find_alarms(history)
    result |= outcome.summarize_outcome(history)
    json.dumps(result)
    run_result.print_result(result, PlainConsole(io.StringIO()))
    with redirect_stderr(io.StringIO()), Narrator(one, PlainConsole(io.StringIO())) as narrator:
        explain(one, history, status, debug=True)
        growing = History()
        for each in _events(one):
            narration.narrate(each)
            growing.apply(each)
            alarms.find_alarms(growing)
            narrator.tell(each, growing)
    comparison.collect_results(history)
    comparison.pair_losses(history, history)
    for what in ("since_start", "last_step"):
        collect_drift(history, what)
    history.happened()


def _events(one: RunFolder) -> list[AnyEvent]:
    return [] if one.damage() else read(one.events_file)


def _command(*arguments: str) -> Any:
    result = CliRunner().invoke(app.app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), result.output
    return result


def try_folders(count: int, seed: int, at_once: int = 40) -> None:
    """Make and read so many folders of runs, some at a time."""
    for start in range(0, count, at_once):
        draw = random.Random(seed * 10**9 + start)
        with tempfile.TemporaryDirectory() as scratch:
            parent = Path(scratch) / "runs"
            made = [make_folder(draw, parent, number) for number in range(min(at_once, count - start))]
            for number in range(3):
                make_experiment(draw, parent, number, draw.sample(made, min(2, len(made))))
            try:
                read_folders(parent, Path(scratch) / "report.html")
            except BaseException:
                print(f"seed {seed}, folders from {start}", file=sys.stderr)
                raise


def try_lines(count: int, seed: int) -> int:
    """Have a run's process take so many lines of commands. Returns how many it has answered."""
    draw = random.Random(seed)
    former = {number: signal.getsignal(number) for number in launcher.STOP_SIGNALS}
    with tempfile.TemporaryDirectory() as scratch:
        run = RunFolder(Path(scratch))
        taken = Control(run, EventLog(run.events_file))
        try:
            left = count
            while left:
                lines = min(left, draw.choice([1, 10, 500]))
                left -= lines
                with run.control_file.open("ab") as file:
                    file.writelines(damaged(draw, command(draw)).replace(b"\n", b" ") + b"\n" for _ in range(lines))
                    file.write(msgspec.json.encode(commands.Resume()) + b"\n")  # so that it never waits
                assert taken.process_commands(lambda each: "not here")
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        return len(read(run.events_file))


def main() -> None:
    """Try as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    try:
        print(f"{asked.lines} lines, {try_lines(asked.lines, asked.seed)} answers")
        try_folders(asked.folders, asked.seed)
    except BaseException:
        traceback.print_exc()
        sys.exit(f"failed with seed {asked.seed}")
    print(f"{asked.folders} folders")


if __name__ == "__main__":
    main()
