"""`ftapp doctor`: what this machine has for ftapp, and what stands in the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, ProfileOption, RunsDirOption

if TYPE_CHECKING:
    from ftapp.cli.activity import Activity
    from ftapp.cli.machine_checks import Check
    from ftapp.recipe import Recipe

_MARKS = {"ok": "✓", "note": "·", "problem": "✗"}
_USUAL_PROFILE = "quick"


def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RECIPE", help="Also check what these recipes would download. [default: all]"),
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Check this machine: devices, backends, precision, packages, folders, network, terminal.

    It also tells what --offline would lack: the models and data of recipes that no cache has. Without RECIPE these are
    the quick profiles of all recipes. Exit code 1: something stands in the way of every run.
    """
    import asyncio

    from ftapp.cli import machine_checks
    from ftapp.cli.activity import Activity

    with refuse_bad_recipes():
        wanted = _load_recipes(names, profile)
    with Activity() as activity:
        found = [*machine_checks.check_machine()]
        found += asyncio.run(_check_backends(activity))
        found += machine_checks.check_extras()
        found += machine_checks.check_compiled_modules()
        found += machine_checks.check_folders(runs_dir)
        if not offline:
            activity.tell("asking servers", 0, None)
            found += machine_checks.check_network()
        activity.tell("looking into the caches", 0, None)
        found += asyncio.run(_check_downloads(wanted, is_named=bool(names)))
        activity.tell("", 0, None)
        found += machine_checks.check_terminal()
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
    else:
        _print_checks(found)
    if any(each.state == "problem" for each in found):
        raise typer.Exit(1)


def _load_recipes(names: Sequence[str] | None, profile: str | None) -> dict[str, Recipe]:
    from ftapp import recipe

    if names:
        return {name: recipe.load(recipe.find(name), profile) for name in names}
    loaded = {name: recipe.load_experiment(path, profile or _USUAL_PROFILE) for name, path in recipe.bundled().items()}
    return {name: each.base for name, each in loaded.items() if not each.is_experiment}


async def _check_backends(activity: Activity) -> list[Check]:
    """Check each backend in a process of its own, since Keras binds its backend when it is imported."""
    import importlib.util
    from typing import get_args

    from ftapp.cli.machine_checks import Check
    from ftapp.common.errors import RunError
    from ftapp.recipe import Backend
    from ftapp.rpc.inspector_client import InspectorClient

    checks = []
    for name in get_args(Backend):
        if importlib.util.find_spec(name) is None:
            checks.append(Check("backends", name, "note", "not installed", f"pip install 'ftapp[{name}]'"))
            continue
        activity.tell(f"starting {name}", 0, None)
        async with InspectorClient(offline=True) as inspector:
            try:
                machine = await inspector.describe_machine(name, activity.tell)
            except RunError as error:
                checks.append(Check("backends", name, "problem", str(error)))
                continue
        says = f"{machine.version} on {machine.device}; precision auto is {machine.precision}: {machine.reason}"
        checks.append(Check("backends", name, "ok", says))
    return checks


async def _check_downloads(wanted: dict[str, Recipe], *, is_named: bool) -> list[Check]:
    """Check what recipes would have to download."""
    from ftapp.cli.machine_checks import Check
    from ftapp.common.errors import RunError
    from ftapp.rpc.inspector_client import InspectorClient

    checks, ready = [], []
    async with InspectorClient(offline=True) as inspector:
        for name, recipe in wanted.items():
            try:
                missing = await inspector.find_missing(recipe)
            except RunError as error:
                checks.append(Check("offline", name, "problem", str(error)))
                continue
            if missing:
                gap = f"lacks {' and '.join(missing)}"
                checks.append(Check("offline", name, "note", gap, "run it once with a network"))
            elif is_named:
                checks.append(Check("offline", name, "ok", "has its model and its data"))
            else:
                ready.append(name)
    if ready:
        checks.insert(0, Check("offline", "recipes with everything", "ok", ", ".join(ready)))
    return checks


def _print_checks(found: Sequence[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ftapp.common.console import PlainConsole

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    group = None
    for each in found:
        if each.group != group:
            group = each.group
            table.add_row("", Text(group, "bold"), "")
        style = {"ok": "green", "note": "", "problem": "red"}[each.state]
        says = Text(each.says)
        if each.advice:
            says.append(f"; {each.advice}", "dim")
        table.add_row(Text(_MARKS[each.state], style), Text(each.name), says)
    PlainConsole().print(table)
