"""Text of others goes out of every command, report and card as text: it steers no terminal, page or spreadsheet."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.testing import CliRunner

import ftapp
from ftapp.analysis.records import read_arms, read_record
from ftapp.cli import app, run_result
from ftapp.common.console import PlainConsole
from ftapp.common.csv_cells import format_cell
from ftapp.common.formatting import make_one_line, make_printable
from ftapp.common.safe_output import ScreenedStream
from ftapp.report import card, comparison, markdown
from ftapp.report import run as report
from ftapp.runs import narration, outcome
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Event
from ftapp.runs.events import Controlled, Noted, RunEnded, RunStarted
from ftapp.runs.narrator import Narrator
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Sampled
from ftapp.runs.run_folder import RunFolder
from tests.support.quick_starts import make_command
from tests.support.recorded_runs import record_run

POISON = "\x1b]0;owned\x07\x1b[31m[bold]x[/y]\x9b2J\u202egnp<script>alert(1)</script>|`*a*"
SEEN = "[31m[bold]x["


@pytest.fixture
def poisoned(tmp_path: Path) -> RunFolder:
    """A run whose title, names, errors, samples, log and folder are poison."""
    run = record_run(tmp_path)
    folder = run.folder.rename(tmp_path / f"20260101-000000-{POISON.replace('/', '')}\nb-0000")
    run = RunFolder(folder)
    text = run.recipe_file.read_text()
    quoted = json.dumps(POISON).replace("\\u202e", "\u202e")
    lines = [f"title = {quoted}" if line.startswith("title") else line for line in text.splitlines()]
    run.recipe_file.write_text("\n".join(lines))
    facts = json.loads(run.environment_file.read_text())
    facts |= {"recipe": POISON, "platform": POISON, "command": ["ftapp", POISON]}
    run.environment_file.write_text(json.dumps(facts))
    run.log_file.write_text(POISON * 2)
    log = EventLog(run.events_file)
    events: list[Event] = [
        PhaseStarted(
            time=3, phase=POISON, first_step=1, steps=1, epochs=1, trainable=1, parameters=2, trainable_layers=[]
        ),
        Sampled(time=3, step=1, prompt=POISON, text=f"{POISON}\n# {POISON}"),
        Evaluated(time=3, step=1, split=POISON, examples=1, loss=1, seconds=1),
        RunEnded(time=4, status="failed", steps=6, seconds=1, error=POISON, problems=[(POISON, POISON, POISON)]),
    ]
    for event in events:
        log.write(event)
    return run


def harmless(shown: str) -> None:
    assert not {char for char in shown if char not in "\n\t" and (ord(char) < 32 or 127 <= ord(char) < 160)}
    assert "\u202e" not in shown
    assert SEEN in shown


@pytest.mark.parametrize(
    "arguments", [["runs"], ["compare", "RUN", "RUN"], ["compare", "RUN", "RUN", "--csv"], ["report", "RUN"]]
)
def test_commands_print_no_escape_sequences(poisoned: RunFolder, arguments: list[str]) -> None:
    given = [str(poisoned.folder) if word == "RUN" else word for word in arguments]
    done = CliRunner().invoke(app.app, [*given, "--runs-dir", str(poisoned.folder.parent)])
    assert done.exit_code == 0, done.output
    harmless(done.output)


def test_json_stays_exact(poisoned: RunFolder) -> None:
    done = CliRunner().invoke(app.app, ["runs", "--json", "--runs-dir", str(poisoned.folder.parent)])
    assert json.loads(done.stdout)[0]["error"] == POISON


def test_the_end_of_a_run_is_told_without_escape_sequences(
    poisoned: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    history = poisoned.history()
    out = io.StringIO()
    result = {"recipe": POISON, "run": POISON, "status": "failed", "model": POISON}
    run_result.print_result(result | history.summary() | outcome.summarize_outcome(history), PlainConsole(out))
    with Narrator(poisoned, PlainConsole(out)) as narrator:
        for event in (
            RunStarted(time=1, recipe="", seed=0, backend=POISON, device=POISON, precision=POISON, reason=POISON),
            Controlled(time=1, id="x", command=POISON, applied=False, reason=POISON, step=1),
            Noted(time=1, message=POISON),
        ):
            assert narration.narrate(event)
            narrator.tell(event, history)
    harmless(out.getvalue())


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", POISON],
        ["validate", POISON],
        ["run", POISON],
        ["plan", f"{POISON.replace('/', '')}.toml"],
        ["report", POISON],
        [POISON],
        ["runs", POISON],
        ["runs", "--restore", POISON],
        ["run", "bert-full", "--set", f"{POISON}=1"],
        ["run", "bert-full", "--profile", POISON],
        ["lr-find", "bert-full", "--phase", POISON],
        ["copy", "bert-full", f"/nowhere/{POISON}"],
    ],
)
def test_refusals_print_no_escape_sequences(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        make_command("ftapp.cli.app", *arguments),
        capture_output=True,
        text=True,
        env={**os.environ, "FTAPP_RUNS": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    shown = done.stdout + done.stderr
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "31m[bold]x" in shown or arguments[0] == "plan"


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_that_ends_the_program_steers_nothing(debug: bool) -> None:
    code = f"from ftapp.cli import failure; failure.set_debug({debug}); failure.end(ValueError({POISON!r}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert ("see where" in done.stderr or "shows where" in done.stderr) != debug
    harmless(done.stderr)


def test_warnings_and_logs_pass_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    stream: Any = ScreenedStream(out)
    print(POISON, "\udcff", file=stream)
    stream.writelines([POISON])
    assert stream.isatty() is False
    harmless(out.getvalue())
    assert out.getvalue().encode()


def test_the_console_reads_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    console = PlainConsole(out)
    table = Table(POISON)
    table.add_row("train [a-z]*_dense")
    table.add_row("[/x] :smile:")
    console.print(table)
    harmless(out.getvalue())
    assert "train [a-z]*_dense" in out.getvalue()
    assert "[/x] :smile:" in out.getvalue()


def test_pages_and_cards_hold_no_html_of_others(poisoned: RunFolder) -> None:
    report.write(read_record(poisoned))
    page = (poisoned.folder / "report.html").read_text()
    harmless(page)
    assert "<script" not in page
    assert "default-src 'none'" in page
    made = (poisoned.folder / card.FILE).read_text()
    assert "\\[31m\\[bold\\]x" in made
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(made)
    outside = "".join(made.split("```")[::2])
    assert "<script" not in outside.replace("\\<script", "")
    both = comparison.write(read_arms([poisoned, poisoned]), poisoned.folder / "both.html").read_text()
    harmless(both)
    assert "<script" not in both


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b __c__", "a_b \\_\\_c\\_\\_"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("- no list", "\\- no list"),
        ("a | b\nc", "a \\| b c"),
        ("<b>&amp; & [x](y)", "\\<b>\\&amp; & \\[x\\](y)"),
        ("5 of 10, 50.0%", "5 of 10, 50.0%"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert markdown.escape_text(text) == shown


def test_code_in_markdown_ends_where_it_should() -> None:
    assert markdown.format_code("a`b") == "``a`b``"
    assert markdown.format_code("`") == "`` ` ``"
    assert markdown.format_block("sh", ["echo ```", "x"]) == ["````sh", "echo ```", "x", "````"]
    assert markdown.format_quote("a\n# b", "  ") == ["  > a", "  > \\# b"]


def test_a_spreadsheet_runs_no_formula(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    facts = json.loads(run.environment_file.read_text())
    run.environment_file.write_text(json.dumps(facts | {"arm": "=cmd|'x'!A0"}))
    out = io.StringIO()
    comparison.write_csv(read_arms([run, run]), out)
    assert next(csv.DictReader(io.StringIO(out.getvalue())))["name"] == "A =cmd|'x'!A0"
    assert format_cell("=1+1") == "'=1+1"
    assert format_cell("@x") == "'@x"
    assert comparison._format_csv_value(-1.5) == "-1.5"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00\x1b\x7f\x85\x9b", "a␀␛\ufffd \ufffd"),
        ("\u202ea\u2066\u200b\ufeff\u2028", "\ufffda\ufffd\ufffd\ufffd "),
        ("\udcff", "\ufffd"),
        (
            "漢字 e\u0301 👩\u200d🔬 \u0646\u0645\u06cc\u200c\u062e",
            "漢字 e\u0301 👩\u200d🔬 \u0646\u0645\u06cc\u200c\u062e",
        ),
        ("a\n\tb", "a\n\tb"),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert make_printable(text) == shown


def test_a_name_is_one_line() -> None:
    assert make_one_line(" a\r\nb\x1b \t c\x0b") == "a b␛ c"


def test_nothing_is_printed_past_the_gate() -> None:
    """No module has a console of its own, parses markup or writes to the terminal's own streams."""
    forbidden = {"from_markup", "render_markup"}
    for path in Path(ftapp.__file__).parent.rglob("*.py"):
        if path.name in ("console.py", "safe_output.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called.rpartition(".")[2] != "Console", f"{path}:{getattr(node, 'lineno', 0)}"
            assert getattr(node, "attr", "") not in forbidden, f"{path}:{getattr(node, 'lineno', 0)}"
