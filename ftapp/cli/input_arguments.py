"""Arguments of commands that read many inputs: files, folders and standard input. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from ftapp.cli.failure import refuse


class InputFormat(StrEnum):
    """The values of --format."""

    lines = "lines"
    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"
    parquet = "parquet"


FormatOption = Annotated[
    InputFormat | None, typer.Option(help="How inputs are read. [default: by their names; - has a text a line]")
]
EncodingOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The encoding of texts. [default: the recipe's]")
]


def check_inputs(inputs: Sequence[str], encoding: str | None) -> None:
    """End the command unless all inputs are there, and their encoding is one.

    Raises:
        typer.Exit: An input is not there, or standard input is named twice.
    """
    from ftapp.common.local_files import expand_home
    from ftapp.common.safe_files import explain_error
    from ftapp.recipe.value_types import check_encoding

    try:
        check_encoding(encoding or "utf-8")
    except ValueError as error:
        refuse(f"--encoding: {error}")
    if inputs.count("-") > 1:
        refuse("'-' is given more than once; standard input is read once")
    for each in inputs:
        path = expand_home(each)
        try:
            if each == "-" or path.is_file() or path.is_dir():
                continue
            is_special = path.exists()
        except OSError as error:
            refuse(f"'{each}' cannot be read: {explain_error(error)}")
        if is_special:  # a helper process reads the inputs, and cannot open the pipes of a shell
            refuse(f"'{each}' is a pipe or a device; redirect it to standard input, and give the input -")
        refuse(f"there is no file or folder '{each}'; an input is a file, a folder, or - for standard input")


def make_inputs(inputs: Sequence[str]) -> list[tuple[str, str]]:
    """Return the absolute path of each input, with its name."""
    from ftapp.common.local_files import expand_home

    return [(str(expand_home(each).absolute()), each) for each in inputs]
