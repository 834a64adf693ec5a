"""Inputs of requests that come at the same time, answered in one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ftapp.serving.turns import QueueFullError

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


class _Job(Generic[_Input, _Output]):
    """The inputs of one request.

    Attributes:
        inputs: The inputs.
        outputs: The outputs of those that are answered, in order.
        taken: How many inputs are in batches, or have been.
        arrived: When the request came, in the seconds of the loop's clock.
        answer: Is done when all inputs are answered.
    """

    def __init__(self, inputs: Sequence[_Input]) -> None:
        loop = asyncio.get_running_loop()
        self.inputs, self.outputs, self.taken = inputs, list[_Output](), 0
        self.arrived, self.answer = loop.time(), loop.create_future()


class Batcher(Generic[_Input, _Output]):
    """Puts inputs into batches, one of which is answered at a time.

    A batch begins when it is full, or when its oldest input has waited long enough. It takes one input of each request
    in turn, so a request of a thousand inputs does not hold up one of a single input.

    Args:
        answer: Answers a batch: an output for each input, in order.
        largest: The most inputs of a batch.
        longest_wait: How many seconds an input waits for others, while nothing else is answered.
        capacity: How many inputs wait at most.
    """

    def __init__(
        self,
        answer: Callable[[list[_Input]], Awaitable[Sequence[_Output]]],
        largest: int,
        longest_wait: float,
        capacity: int,
    ) -> None:
        self._answer, self._largest, self._longest_wait, self._capacity = answer, largest, longest_wait, capacity
        self._jobs: deque[_Job[_Input, _Output]] = deque()
        self._waiting = 0
        self._arrived, self._filled = asyncio.Event(), asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether no further input is taken."""
        return self._waiting >= self._capacity

    async def submit(self, inputs: Sequence[_Input]) -> list[_Output]:
        """Return the outputs of some inputs; when the task that awaits them is cancelled, they are not computed.

        Args:
            inputs: One input or more.

        Raises:
            QueueFullError: There is no room for the inputs.
            Exception: What the answer of a batch with one of the inputs has raised.
        """
        if self._waiting + len(inputs) > self._capacity:
            raise QueueFullError
        job: _Job[_Input, _Output] = _Job(inputs)
        self._jobs.append(job)
        self._count(len(inputs))
        try:
            await job.answer
        finally:
            if job in self._jobs:
                self._jobs.remove(job)
                self._count(job.taken - len(inputs))
        return job.outputs

    async def run(self) -> None:
        """Answer batches until the task is cancelled."""
        while True:
            await self._arrived.wait()
            await self._wait_for_more()
            if parts := self._take():
                await self._answer_batch(parts)

    def fail(self, error: Exception) -> None:
        """Let all requests that wait raise an error."""
        for job in self._jobs:
            if not job.answer.done():
                job.answer.set_exception(error)

    def _count(self, change: int) -> None:
        self._waiting += change
        for event, least in ((self._arrived, 1), (self._filled, self._largest)):
            if self._waiting >= least:
                event.set()
            else:
                event.clear()

    async def _wait_for_more(self) -> None:
        oldest = min(job.arrived for job in self._jobs)
        try:
            async with asyncio.timeout_at(oldest + self._longest_wait):
                await self._filled.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[tuple[_Job[_Input, _Output], _Input]]:
        """Take the inputs of the next batch, one of each request in turn."""
        taken: list[tuple[_Job[_Input, _Output], _Input]] = []
        while self._jobs and len(taken) < self._largest:
            job = self._jobs.popleft()
            taken.append((job, job.inputs[job.taken]))
            job.taken += 1
            if job.taken < len(job.inputs):
                self._jobs.append(job)
        self._count(-len(taken))
        return taken

    async def _answer_batch(self, parts: list[tuple[_Job[_Input, _Output], _Input]]) -> None:
        try:
            outputs = await self._answer([each for _, each in parts])
            answered = list(zip(parts, outputs, strict=True))
        except Exception as error:
            for job, _ in parts:
                if not job.answer.done():
                    job.answer.set_exception(error)
            return
        for (job, _), output in answered:
            job.outputs.append(output)
            if len(job.outputs) == len(job.inputs) and not job.answer.done():
                job.answer.set_result(None)
