"""The reference of commands: what each says to --help."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from ftapp.cli.app import app

_INTRODUCTION = """# Command reference

This page holds what each command answers to `--help`.
"""


def make_page() -> str:
    """Make the page in Markdown."""
    group = typer.main.get_command(app)
    names = group.list_commands(None)  # type: ignore[attr-defined]
    return "\n".join([_INTRODUCTION, _write_section("ftapp"), *(_write_section("ftapp", name) for name in names)])


def _write_section(*words: str) -> str:
    answer = CliRunner().invoke(app, [*words[1:], "--help"], prog_name="ftapp")
    assert answer.exit_code == 0, answer.output
    return f"## {' '.join(words)}\n\n```text\n{answer.output.rstrip()}\n```\n"
