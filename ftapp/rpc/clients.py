"""The light ends of the helper processes, for the interface: what it asks of them, with types. Imports no Keras."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ftapp.common import user_folders
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.common.processes import child_environment, python_module
from ftapp.recipe import Backend, Recipe
from ftapp.rpc import structure_cache
from ftapp.rpc.messages import (
    Costs,
    Generated,
    Grid,
    HeldOut,
    Loaded,
    Prediction,
    Preview,
    Rewritten,
    Structure,
    Survey,
    Timing,
    Tokens,
)
from ftapp.rpc.service import Line, Service
from ftapp.runs.environment import make_environment

_Answer = TypeVar("_Answer")

_LONGEST_LINE = 1 << 24  # bytes; the result holds some numbers for each step

Told = Callable[[str, int, int | None], None]
"""Called with what is going on in words, how much of it is done, and of how much, where that is known."""


class _Client:
    """A helper process by its module; each backend has a process of its own, since Keras binds it for good.

    makes_files: whether it is given the name of a folder for them.
    """

    def __init__(self, module: str, *, offline: bool, makes_files: bool = False) -> None:
        self._module, self._offline, self._makes_files = module, offline, makes_files
        self._service: Service | None = None
        self._environment: dict[str, str] = {}

    async def _ask(
        self, chosen: Backend, answer: type[_Answer], kind: str, told: Told | None, **parameters: object
    ) -> _Answer:
        service = await self._served(chosen)
        found = await service.ask(kind, told and _telling(told), **parameters)
        return msgspec.convert(found, answer)

    async def _served(self, chosen: Backend) -> Service:
        """The process with this backend; one with another is ended."""
        environment = make_environment(chosen, offline=self._offline)
        if self._service is None or environment != self._environment:
            log = user_folders.cache() / "logs" / f"{self._module.rpartition('.')[2]}.log"
            folder = Path(tempfile.gettempdir(), f"ftapp-{secrets.token_hex(8)}") if self._makes_files else None
            former, self._service = self._service, Service(self._module, log, environment, folder)
            self._environment = environment
            if former:
                await former.close()
        return self._service

    async def close(self) -> None:
        """End the process, if there is one."""
        service, self._service = self._service, None
        if service:
            await service.close()


class Inspector(_Client):
    """Structures, costs and previews for a recipe that is being edited (`ftapp.workers.inspector`).

    Each method raises RecipeError when the recipe does not fit its model or data, RunError when something cannot be
    had, SupersededError when a newer call of the same method has taken its place, CrashedError when the process ended;
    the next call starts another.
    """

    def __init__(self, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.inspector", offline=offline, makes_files=True)

    async def structure(self, recipe: Recipe, told: Told | None = None) -> Structure:
        """The layers of the model; from the cache on disk, without the process, when it was asked for before."""
        if kept := structure_cache.load(recipe):
            return kept
        return await self._ask(recipe.backend, Structure, "structure", told, recipe=recipe.to_toml())

    async def costs(
        self, recipe: Recipe, phase: int, layers: Sequence[str] | None = None, told: Told | None = None
    ) -> Costs:
        """What a phase, by its index, costs. layers: rules in place of those that the recipe gives it."""
        parameters = {"recipe": recipe.to_toml(), "phase": phase, "layers": layers and list(layers)}
        return await self._ask(recipe.backend, Costs, "costs", told, **parameters)

    async def timing(self, recipe: Recipe, phase: int, told: Told | None = None) -> Timing:
        """Time real steps of a phase: three, and two forward passes. Costs are told meanwhile, and lean on it after."""
        return await self._ask(recipe.backend, Timing, "timing", told, recipe=recipe.to_toml(), phase=phase)

    async def data(self, recipe: Recipe, examples: int = 8, told: Told | None = None) -> Preview:
        """Splits, classes and the first training examples. Needs no Keras."""
        return await self._ask(recipe.backend, Preview, "data", told, recipe=recipe.to_toml(), examples=examples)

    async def tokens(self, recipe: Recipe, examples: int = 8, told: Told | None = None) -> Tokens:
        """Token counts of the texts that `data` shows."""
        return await self._ask(recipe.backend, Tokens, "tokens", told, recipe=recipe.to_toml(), examples=examples)

    async def augment(self, recipe: Recipe, images: int = 3, views: int = 4, told: Told | None = None) -> Grid:
        """A grid of augmented training images; without [augment] the images alone."""
        parameters = {"recipe": recipe.to_toml(), "images": images, "views": views}
        return await self._ask(recipe.backend, Grid, "augment", told, **parameters)

    async def rewrite(self, recipe: Recipe, texts: int = 3, told: Told | None = None) -> tuple[Rewritten, ...]:
        """The first training texts and what [augment], which the recipe has, makes of them."""
        return await self._ask(
            recipe.backend, tuple[Rewritten, ...], "rewrite", told, recipe=recipe.to_toml(), texts=texts
        )

    async def survey(self, recipe: Recipe, told: Told | None = None) -> Survey:
        """The classes of a classifier's data, and how the features of its pretrained model's blocks fit them."""
        return await self._ask(recipe.backend, Survey, "survey", told, recipe=recipe.to_toml())


class Predictor(_Client):
    """A finished run's model, to try it (`ftapp.workers.predictor`). Methods raise as Inspector's do.

    folder: of the run, where its recipe and `model` folder are.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.predictor", offline=offline)
        self._backend, self._run = recipe.backend, str(folder.absolute())

    async def load(self, told: Told | None = None) -> Loaded:
        """Load the trained model ahead of the first question."""
        return await self._ask(self._backend, Loaded, "load", told, run=self._run)

    async def classify(
        self, *, text: str | None = None, image: Path | None = None, told: Told | None = None
    ) -> Prediction:
        """What the classifier makes of a text or of an image file, whichever its task takes."""
        parameters = {"run": self._run, "text": text, "image": image and str(image)}
        return await self._ask(self._backend, Prediction, "classify", told, **parameters)

    async def held_out(self, count: int, told: Told | None = None) -> tuple[HeldOut, ...]:
        """Examples of the run's test split and the classifier's answers, mistakes first."""
        return await self._ask(self._backend, tuple[HeldOut, ...], "held-out", told, run=self._run, count=count)

    async def generate(
        self,
        prompt: str,
        *,
        model: Literal["trained", "base"] = "trained",
        tokens: int = 64,
        temperature: float = 0.8,
        top_k: int = 40,
        seed: int = 0,
        told: Told | None = None,
    ) -> AsyncGenerator[str | Generated, None]:
        """Pieces of text as they are written, and the whole continuation at the end. Close it to stop it."""
        service = await self._served(self._backend)
        parameters = {"run": self._run, "prompt": prompt, "tokens": tokens, "temperature": temperature}
        async with aclosing(service.stream(f"generate-{model}", top_k=top_k, seed=seed, **parameters)) as lines:
            async for line in lines:
                if "piece" in line:
                    yield str(line["piece"])
                elif "answer" in line:
                    yield msgspec.convert(line["answer"], Generated)
                elif told:
                    _telling(told)(line)


async def range_test(
    recipe: Recipe,
    phase: int,
    rates: tuple[float, float],
    steps: int,
    on_step: Callable[[float, float], None],
    told: Told,
    *,
    offline: bool = False,
) -> dict[str, Any]:
    """The result of a learning rate range test (`ftapp.training.lr_range_test.test`), in a process of its own.

    It trains the phases before, which only a process that does nothing else can. The process ends when this is
    cancelled. on_step: is called with the rate and the loss of each step as it is made.

    Raises RecipeError and RunError as the test does, and RunError when its process ended without a result.
    """
    log = user_folders.cache() / "logs" / "range_test.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file, log.open("wb") as errors:
        file.write(recipe.to_toml())
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *python_module("ftapp.training.lr_range_test", file.name, str(phase), *map(repr, rates), str(steps)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=child_environment(make_environment(recipe.backend, offline=offline)),
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C in a terminal is for the interface alone
        )
        try:
            assert process.stdout is not None
            async for data in process.stdout:
                line = msgspec.json.decode(data, type=Line)
                if "step" in line:
                    on_step(*line["step"])
                elif "progress" in line:
                    told(*line["progress"])
                found |= line
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()  # it has nothing to save
                await process.wait()
    if "result" in found:
        return dict(found["result"])
    if "error" in found:
        raise RecipeError([Problem("", "", found["error"])]) if code == 2 else RunError(found["error"])
    raise RunError(f"the process of the test ended with exit code {code} and no error message; its log is {log}")


def _telling(told: Told) -> Callable[[Line], None]:
    return lambda line: told(line["progress"], line["done"], line["total"])
