"""`ftapp lr-find`: a learning rate range test of one phase."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, refuse, refuse_bad_recipes, suggest_profile
from ftapp.cli.options import (
    ArmOption,
    BackendOption,
    JsonOption,
    OfflineOption,
    ProfileOption,
    RecipeArgument,
    SeedOption,
    SetOption,
    combine_overrides,
)


def lr_find(
    recipe_name: RecipeArgument,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="NAME", help="The phase to test. [default: the first phase]")
    ] = None,
    arm: ArmOption = None,
    low: Annotated[float, typer.Option("--from", metavar="RATE", help="The first learning rate of the test.")] = 1e-6,
    high: Annotated[float, typer.Option("--to", metavar="RATE", help="The last learning rate of the test.")] = 10.0,
    steps: Annotated[int, typer.Option(min=20, metavar="N", help="The number of steps of the test.")] = 100,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw the curve, as FILE.svg or FILE.html.")
    ] = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    backend: BackendOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Find a learning rate for a phase: train with a growing rate, suggest a rate, and restore the weights.

    Earlier phases are trained first, as in a run. --set phase.NAME.steps=... shortens them.
    """
    from ftapp import recipe
    from ftapp.cli import range_test, range_test_text

    chosen = combine_overrides(overrides, backend=backend, seed=seed)
    with refuse_bad_recipes(), fail_on_run_errors(), suggest_profile(recipe_name, profile):
        resolved = range_test.load_recipe(recipe.find(recipe_name), profile, chosen, arm)
        index = range_test.check_arguments(resolved, phase, (low, high), plot)
        from ftapp.cli import activity

        activity.check([resolved])
        found = range_test.run_range_test(resolved, index, (low, high), steps, arm=arm, offline=offline)
    result = {"recipe": Path(recipe_name).stem, "profile": profile, **found}
    if plot is not None:
        from ftapp.common.safe_files import explain_error
        from ftapp.report import lr_find as drawn

        try:
            drawn.write(result, plot)
        except OSError as error:
            refuse(f"{plot} cannot be written: {explain_error(error)}")
    if as_json:
        print(json.dumps(result))
        return
    from ftapp.common.console import PlainConsole
    from ftapp.tui.terminal import plain_text

    plain_text.prepare(sys.stdout)
    is_terminal = sys.stdout.isatty()
    console = PlainConsole()
    console.print(range_test_text.render_result(result, console.width if is_terminal else None), crop=False)
