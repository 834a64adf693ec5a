"""Arguments and options that several commands share. Imported by `ftapp --help`, so it imports nothing heavy."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Backend(StrEnum):
    """The values of --backend."""

    tensorflow = "tensorflow"
    jax = "jax"
    torch = "torch"


class ResumeMode(StrEnum):
    """The values of --resume."""

    auto = "auto"


class Precision(StrEnum):
    """The values of --precision."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag of the run. Can be repeated.")]
NoteOption = Annotated[str | None, typer.Option(metavar="TEXT", help="A note about the run.")]


def complete_recipe(incomplete: str) -> list[str]:
    """Complete the name of a recipe or of a TOML file."""
    from ftapp.cli import completion

    return completion.complete_recipe(incomplete)


def _complete_profile(incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.complete_profile(incomplete)


def complete_arm(incomplete: str) -> list[str]:
    """Complete the name of an arm."""
    from ftapp.cli import completion

    return completion.complete_arm(incomplete)


def _complete_run(context: typer.Context, incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.complete_run(context.params.get("runs_dir"), incomplete)


def _complete_deleted(context: typer.Context, incomplete: str) -> list[str]:
    from ftapp.cli import completion

    return completion.complete_deleted(context.params.get("runs_dir"), incomplete)


RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's name or a TOML file.", autocompletion=complete_recipe)
]
RecipesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="RECIPE", help="Names of recipes or TOML files.", autocompletion=complete_recipe),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Folders of runs, names or beginnings of names from `ftapp runs`, or last.",
        autocompletion=_complete_run,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, its name (or its beginning) as `ftapp runs` shows it, or last.",
        autocompletion=_complete_run,
    ),
]
ArmOption = Annotated[
    str | None,
    typer.Option(
        "--arm",
        metavar="NAME",
        help="The arm to test. [default: the recipe without its arms]",
        autocompletion=complete_arm,
    ),
]
RestoreOption = Annotated[
    str | None,
    typer.Option(
        "--restore",
        metavar="RUN",
        help="Restore a deleted run or experiment, or last.",
        autocompletion=_complete_deleted,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", "-p", metavar="P", help="A profile of the recipe.", autocompletion=_complete_profile),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override a key, such as data.source=csv:mine.csv. Can be repeated."
    ),
]
BackendOption = Annotated[Backend | None, typer.Option(help="The library that Keras computes with.")]
SeedOption = Annotated[int | None, typer.Option(help="The seed of every random choice.")]
RunsDirOption = Annotated[
    Path | None, typer.Option("--runs-dir", metavar="DIR", help="The folder of all runs. [env: FTAPP_RUNS]")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Make no network call; use only cached files.")]
MaxTimeOption = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="TIME",
        help="End each run or experiment after this time, such as 55m or 1h30m; resume goes on.",
    ),
]
OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="TARGET",
        help="Where it runs: local, slurm:PARTITION, ray://HOST, or a name from settings.toml.",
    ),
]
OverOption = Annotated[
    list[str] | None,
    typer.Option(
        "--over",
        metavar="KEY=VALUES",
        help="Values to try: log(A,B), linear(A,B), int(A,B) or a list [A, B]. Can be repeated.",
    ),
]
SearchedArmOption = Annotated[
    str | None,
    typer.Option(
        "--arm",
        metavar="NAME",
        help="The arm to search. [default: the recipe without its arms]",
        autocompletion=complete_arm,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def combine_overrides(overrides: list[str] | None, **options: object) -> list[str]:
    """Combine the values of --set with options that stand for a key of the recipe.

    Args:
        overrides: The values of --set.
        options: Keys of the recipe with their values; None for an option that was not given.

    Returns:
        All of them as KEY=VALUE, in this order.
    """
    return [*(overrides or []), *(f"{key}={value}" for key, value in options.items() if value is not None)]
