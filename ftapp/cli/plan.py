"""`ftapp plan`: what a recipe will train and cost, made by a helper process since that takes Keras."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from ftapp.cli.failure import is_debug, refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, ProfileOption, RecipeArgument, SetOption
from ftapp.runs.environment import make_environment

if TYPE_CHECKING:
    from ftapp.recipe import Recipe


def plan(
    recipe_name: RecipeArgument,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Say what a recipe, or each of its arms, will train and cost, phase by phase, without training it."""
    from ftapp import recipe

    with refuse_bad_recipes():
        loaded = recipe.load_experiment(recipe.find(recipe_name), profile, overrides or [])
        planned = loaded.arms or {"": loaded.base}
        from ftapp.cli import activity

        activity.check(planned.values())
    for arm, resolved in planned.items():
        if arm:
            print(f"arm {arm}", file=sys.stderr if as_json else sys.stdout, flush=True)
        made = make_plan(resolved, make_environment(resolved.backend, offline=offline))
        if as_json:
            print(json.dumps({"arm": arm} | made if arm else made), flush=True)
            continue
        from ftapp.cli.plan_text import render_plan
        from ftapp.common.console import PlainConsole

        PlainConsole().print(render_plan(made))


def make_plan(resolved: Recipe, environment: dict[str, str]) -> dict[str, Any]:
    """The plan of a recipe, made by a process of its own since that takes Keras."""
    import subprocess
    import tempfile

    from ftapp.common.processes import child_environment, python_module

    told: dict[str, Any] = {}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+") as log,
    ):
        file.write(resolved.to_toml())
        file.flush()
        command = python_module("ftapp.workers.planner", file.name)
        variables = child_environment(environment)
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                told |= json.loads(line)
                if "progress" in told:
                    print(told.pop("progress"), file=sys.stderr)
        log.seek(0)
        if is_debug() or not told:
            print(log.read(), file=sys.stderr)
    if "error" in told:
        print(told["error"], file=sys.stderr)
    if process.returncode or "plan" not in told:
        raise typer.Exit(process.returncode if process.returncode in (1, 2) else 1)
    plan: dict[str, Any] = told["plan"]
    return plan
