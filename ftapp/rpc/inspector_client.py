"""Requests to the inspector: structures, costs, previews, plans and range tests of a recipe. Imports no Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ftapp.common.downloads import Progress
from ftapp.recipe import Backend, Recipe
from ftapp.recipe.structure import Structure
from ftapp.rpc import structure_cache
from ftapp.rpc.client import HelperClient, pass_on
from ftapp.rpc.machine_messages import Machine
from ftapp.rpc.messages import Costs, Grid, Preview, Rewritten, Survey, Timing, Tokens
from ftapp.rpc.protocol import Line
from ftapp.runs.backend_trial import Trial


class InspectorClient(HelperClient):
    """Structures, costs and previews for a recipe that is being edited (`ftapp.workers.inspector`).

    The process starts with the first request. `progress` of each method is called with what is being done.

    Raises:
        RecipeError: Of each method: the recipe does not fit its model or data.
        RunError: A download or a file failed.
        SupersededError: A newer call of the same method has taken the place of this one.
        CrashedError: The process ended; the next call starts another.
    """

    def __init__(self, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.inspector", offline=offline)

    async def describe_machine(self, backend: Backend, progress: Progress | None = None) -> Machine:
        """Describe a backend on this machine: its version, its device, and the precision of `auto`.

        Args:
            backend: The backend, which is installed.
            progress: Called with what is being done.
        """
        return await self._ask(backend, Machine, "machine", progress)

    async def find_missing(self, recipe: Recipe) -> list[str]:
        """Find what a recipe would have to download: its preset, its data, both or neither.

        Args:
            recipe: The recipe.
        """
        return await self._ask("tensorflow", list[str], "missing", None, recipe=recipe.to_toml())

    async def describe_structure(self, recipe: Recipe, progress: Progress | None = None) -> Structure:
        """Describe the layers of the model; from the cache on disk, without the process, where they are known.

        Args:
            recipe: The recipe.
            progress: Called with what is being done.

        Returns:
            The layers.
        """
        if kept := structure_cache.load(recipe):
            return kept
        return await self._ask(recipe.backend, Structure, "structure", progress, recipe=recipe.to_toml())

    async def estimate_costs(
        self, recipe: Recipe, phase: int, layers: Sequence[str] | None = None, progress: Progress | None = None
    ) -> Costs:
        """Estimate the costs of a phase.

        Args:
            recipe: The recipe.
            phase: The index of the phase.
            layers: Rules in place of those that the recipe gives the phase; None for those.
            progress: Called with what is being done.

        Returns:
            The costs.
        """
        parameters = {"recipe": recipe.to_toml(), "phase": phase, "layers": layers and list(layers)}
        return await self._ask(recipe.backend, Costs, "costs", progress, **parameters)

    async def time_phase(self, recipe: Recipe, phase: int, progress: Progress | None = None) -> Timing:
        """Time real steps of a phase: three, and two forward passes. Later costs are derived from them.

        Args:
            recipe: The recipe.
            phase: The index of the phase.
            progress: Called with what is being done.

        Returns:
            The times.
        """
        return await self._ask(recipe.backend, Timing, "timing", progress, recipe=recipe.to_toml(), phase=phase)

    async def preview_data(self, recipe: Recipe, examples: int = 8, progress: Progress | None = None) -> Preview:
        """Preview the splits, the classes and the first training examples. Needs no Keras.

        Args:
            recipe: The recipe.
            examples: How many examples are shown.
            progress: Called with what is being done.

        Returns:
            The preview.
        """
        return await self._ask(recipe.backend, Preview, "data", progress, recipe=recipe.to_toml(), examples=examples)

    async def count_tokens(self, recipe: Recipe, examples: int = 8, progress: Progress | None = None) -> Tokens:
        """Count the tokens of the texts that `preview_data` shows.

        Args:
            recipe: The recipe.
            examples: How many examples are shown.
            progress: Called with what is being done.

        Returns:
            The counts.
        """
        return await self._ask(recipe.backend, Tokens, "tokens", progress, recipe=recipe.to_toml(), examples=examples)

    async def augment(self, recipe: Recipe, images: int = 3, views: int = 4, progress: Progress | None = None) -> Grid:
        """Make a grid of augmented training images; without [augment] the images alone.

        Args:
            recipe: The recipe.
            images: How many images.
            views: How many augmented forms of each.
            progress: Called with what is being done.

        Returns:
            The grid.
        """
        parameters = {"recipe": recipe.to_toml(), "images": images, "views": views}
        return await self._ask(recipe.backend, Grid, "augment", progress, **parameters)

    async def rewrite(self, recipe: Recipe, texts: int = 3, progress: Progress | None = None) -> tuple[Rewritten, ...]:
        """Augment the first training texts.

        Args:
            recipe: A recipe with [augment].
            texts: How many texts.
            progress: Called with what is being done.

        Returns:
            The texts before and after.
        """
        return await self._ask(
            recipe.backend, tuple[Rewritten, ...], "rewrite", progress, recipe=recipe.to_toml(), texts=texts
        )

    async def survey(self, recipe: Recipe, progress: Progress | None = None) -> Survey:
        """Survey the classes of a classifier's data, and how the features of its pretrained model's blocks fit them.

        Args:
            recipe: The recipe.
            progress: Called with what is being done.

        Returns:
            The survey.
        """
        return await self._ask(recipe.backend, Survey, "survey", progress, recipe=recipe.to_toml())

    async def plan(self, recipe: Recipe, progress: Progress | None = None) -> dict[str, Any]:
        """Plan what a run of the recipe will do and cost, by timing a few of its steps.

        Args:
            recipe: The recipe.
            progress: Called with what is being done.

        Returns:
            The plan (`ftapp.workers.planner.plan`).
        """
        return await self._ask(recipe.backend, dict[str, Any], "plan", progress, recipe=recipe.to_toml())

    async def run_trial(
        self, recipe: Recipe, steps: int, folder: Path, *, is_reference: bool, progress: Progress | None = None
    ) -> Trial:
        """Train the first steps of each phase of a recipe (`ftapp.training.parity_trial`).

        Args:
            recipe: The recipe, with the backend that is tried.
            steps: How many steps of each phase, at most.
            folder: Where the reference leaves its files, and others find them.
            is_reference: Whether the other backends are compared with this one.
            progress: Called with what is being done.

        Returns:
            What the steps gave.
        """
        parameters = {"steps": steps, "folder": str(folder), "is_reference": is_reference}
        return await self._ask(recipe.backend, Trial, "trial", progress, recipe=recipe.to_toml(), **parameters)

    async def find_rate(
        self,
        recipe: Recipe,
        phase: int,
        rates: tuple[float, float],
        steps: int,
        on_step: Callable[[float, float], None],
        progress: Progress,
    ) -> dict[str, Any]:
        """Test the learning rate of a phase (`ftapp.training.lr_range_test.test`).

        It trains the phases before, so the process has little time for other requests meanwhile.

        Args:
            recipe: The recipe to test.
            phase: The index of one of its phases.
            rates: The first and the last learning rate.
            steps: How many steps the test has.
            on_step: Called with the rate and the loss of each step.
            progress: Called with what is being done.

        Returns:
            The curve of the test, suggestions, and under what conditions they came about.
        """

        def hear(line: Line) -> None:
            if "step" in line:
                on_step(*line["step"])
            else:
                pass_on(progress)(line)

        service = await self._start(recipe.backend)
        parameters = {"recipe": recipe.to_toml(), "phase": phase, "rates": rates, "steps": steps}
        return dict(await service.ask("find-rate", hear, **parameters))
