"""The reference of commands: what each says to --help."""

from __future__ import annotations

from typing import Any

import typer
from typer.testing import CliRunner

from ftapp.cli.app import app

_INTRODUCTION = """# Command reference

This page holds what each command answers to `--help`.
"""


def make_page() -> str:
    """Make the page in Markdown."""
    sections = [_write_section("ftapp", *words) for words in ((), *list_commands())]
    return "\n".join([_INTRODUCTION, *sections])


def list_commands() -> list[tuple[str, ...]]:
    """List the words of each command, those of a group behind the group."""
    commands: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009
    groups = {name: getattr(command, "commands", {}) for name, command in commands.items()}
    return sorted(words for name, inner in groups.items() for words in ((name,), *((name, each) for each in inner)))


def _write_section(*words: str) -> str:
    answer = CliRunner().invoke(app, [*words[1:], "--help"], prog_name="ftapp")
    assert answer.exit_code == 0, answer.output
    return f"## {' '.join(words)}\n\n```text\n{answer.output.rstrip()}\n```\n"
