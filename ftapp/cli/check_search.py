"""The check of a sweep before it starts, beyond the schema: its data, and the layers that its values name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ftapp.cli import activity

if TYPE_CHECKING:
    from ftapp.common.downloads import Progress
    from ftapp.experiments.sweep.search import Search
    from ftapp.launchers.target import LaunchTarget
    from ftapp.rpc.inspector_client import InspectorClient


def check_search(search: Search, target: LaunchTarget, *, offline: bool) -> None:
    """Check the data of a sweep, and its values by the layers of their models.

    Args:
        search: What is searched.
        target: Where the runs go.
        offline: Whether nothing is downloaded.

    Raises:
        RecipeError: The data cannot be used, or values do not fit their models.
        RunError: A model cannot be had.
    """
    from ftapp.launchers.target import LOCAL
    from ftapp.search.check_layers import check_layers, names_layers

    activity.check([search.base])
    if not names_layers(search):
        return
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.rpc.inspector_client import InspectorClient

    async def ask(inspector: InspectorClient, progress: Progress) -> str | None:
        return await check_layers(search, inspector, is_local=target == LOCAL, progress=progress)

    if note := ask_helper("the check of layers", InspectorClient(offline=offline), ask):
        print(note, file=sys.stderr)
