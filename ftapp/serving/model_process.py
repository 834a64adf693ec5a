"""A run's model in a helper process that is kept alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal

from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS, Recipe
from ftapp.rpc.messages import Generated, Loaded
from ftapp.rpc.prediction_messages import PredictedRow, Sampling
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.rpc.service import CrashedError
from ftapp.runs.run_folder import RunFolder
from ftapp.serving.turns import Turns

_LONGEST_PAUSE = 60.0  # seconds between tries to start a process that ends again and again

_RESTARTING = "the model's process has ended, and is being started again"

State = Literal["ready", "starting"]


class UnavailableError(Exception):
    """The model does not answer at present; its message says why."""


class ModelProcess:
    """The model of a run.

    Attributes:
        state: Whether it answers, or why not.
    """

    def __init__(
        self, run: RunFolder, recipe: Recipe, largest_batch: int, prompts_waiting: int, narrate: Callable[[str], None]
    ) -> None:
        """Prepare the process; `load` starts it.

        Args:
            run: The run.
            recipe: Its recipe.
            largest_batch: The most inputs of a batch.
            prompts_waiting: How many prompts wait for those before them at most.
            narrate: Called with what happens to the process, in a sentence.
        """
        self._client = PredictorClient(recipe, run.folder, offline=True)
        self._task, self._largest, self._narrate = TASKS[recipe.task], largest_batch, narrate
        self._turns = Turns(prompts_waiting)
        self.state: State = "starting"

    async def load(self, example: str, progress: Progress | None = None) -> tuple[Loaded, PredictedRow | None]:
        """Start the process, load the model, and let it answer an example, so that the first request does not wait.

        Args:
            example: The example, as `answer` takes it.
            progress: Called with what is being done.

        Returns:
            The model; and its answer to the example, None of a language model.

        Raises:
            RunError: The model cannot be loaded.
        """
        loaded = await self._client.load(progress)
        answer = None
        if self._task.writes:
            async with aclosing(self._client.generate(example, Sampling(tokens=1))) as pieces:
                async for _ in pieces:
                    pass
        else:
            [answer] = await self._client.answer([example], self._largest, has_scores=True)
        self.state = "ready"
        return loaded, answer

    async def keep_alive(self, example: str, on_end: Callable[[Exception], None]) -> None:
        """Start the process again each time that it has ended, until the task is cancelled.

        Args:
            example: As `load` takes it.
            on_end: Called with the reason each time.
        """
        while True:
            code = await self._client.wait_for_end()
            self.state = "starting"
            how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
            self._narrate(f"the model's process ended {how}; it is started again")
            on_end(UnavailableError(_RESTARTING))
            await self._start_again(example)
            self._narrate("the model answers again")

    async def _start_again(self, example: str) -> None:
        pause = 1.0
        while True:
            try:
                await self.load(example)
            except RunError as error:
                reason = str(error).partition("\n")[0]
                self._narrate(f"the model's process did not start; it is tried again in {pause:g} s: {reason}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def check(self) -> None:
        """Raise UnavailableError unless the model answers."""
        if self.state != "ready":
            raise UnavailableError(_RESTARTING)

    async def answer(self, inputs: Sequence[Any], *, has_scores: bool) -> list[PredictedRow]:
        """Answer the inputs of a batch.

        Args:
            inputs: Texts, or the bytes of image files in base64.
            has_scores: Whether all scores come with each answer.

        Returns:
            The answers in order.

        Raises:
            UnavailableError: The process has ended.
            RunError: The batch could not be answered.
        """
        self.check()
        try:
            return await self._client.answer(inputs, self._largest, has_scores=has_scores)
        except CrashedError as error:
            raise UnavailableError(_RESTARTING) from error

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[str | Generated, None]:
        """Continue a prompt, after those that came before. Close the generator to stop it.

        Args:
            prompt: The beginning of the text.
            sampling: How tokens are chosen.

        Yields:
            Pieces of text as they are written, and the whole continuation at the end.

        Raises:
            QueueFullError: Too many prompts wait.
            UnavailableError: The process has ended.
            RunError: The prompt is too long, for example.
        """
        self.check()
        try:
            async with self._turns.take(), aclosing(self._client.generate(prompt, sampling)) as pieces:
                async for piece in pieces:
                    yield piece
        except CrashedError as error:
            raise UnavailableError(_RESTARTING) from error

    async def close(self) -> None:
        """End the process."""
        await self._client.close()
