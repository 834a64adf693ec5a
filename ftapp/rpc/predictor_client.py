"""What is asked of the predictor: answers of a finished run's model. Imports no Keras."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import msgspec

from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.rpc.client import HelperClient, pass_on
from ftapp.rpc.messages import Generated, HeldOut, Loaded, Prediction


class PredictorClient(HelperClient):
    """A finished run's model, to try it (`ftapp.workers.predictor`). Methods raise as InspectorClient's do.

    folder: of the run, where its recipe and `model` folder are.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.predictor", offline=offline)
        self._backend, self._run = recipe.backend, str(folder.absolute())

    async def load(self, progress: Progress | None = None) -> Loaded:
        """Load the trained model ahead of the first question."""
        return await self._ask(self._backend, Loaded, "load", progress, run=self._run)

    async def classify(
        self, *, text: str | None = None, image: Path | None = None, progress: Progress | None = None
    ) -> Prediction:
        """What the classifier makes of a text or of an image file, whichever its task takes."""
        parameters = {"run": self._run, "text": text, "image": image and str(image)}
        return await self._ask(self._backend, Prediction, "classify", progress, **parameters)

    async def classify_held_out(self, count: int, progress: Progress | None = None) -> tuple[HeldOut, ...]:
        """Examples of the run's test split and the classifier's answers, mistakes first."""
        return await self._ask(self._backend, tuple[HeldOut, ...], "held-out", progress, run=self._run, count=count)

    async def generate(
        self,
        prompt: str,
        *,
        model: Literal["trained", "base"] = "trained",
        tokens: int = 64,
        temperature: float = 0.8,
        top_k: int = 40,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> AsyncGenerator[str | Generated, None]:
        """Pieces of text as they are written, and the whole continuation at the end. Close it to stop it."""
        service = await self._start(self._backend)
        parameters = {"run": self._run, "prompt": prompt, "tokens": tokens, "temperature": temperature}
        async with aclosing(service.stream(f"generate-{model}", top_k=top_k, seed=seed, **parameters)) as lines:
            async for line in lines:
                if "piece" in line:
                    yield str(line["piece"])
                elif "answer" in line:
                    yield msgspec.convert(line["answer"], Generated)
                elif progress:
                    pass_on(progress)(line)
