"""Batches of inputs that come at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ftapp.serving.batcher import Batcher
from ftapp.serving.turns import QueueFullError, Turns


class Model:
    """Doubles numbers, in batches that it notes down; a batch with a 13 fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def answer(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        await self.may_go_on.wait()
        if 13 in batch:
            raise ValueError("13")
        return [2 * each for each in batch]


@asynccontextmanager
async def batched(
    model: Model, largest: int = 4, wait: float = 0.0, capacity: int = 100
) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher(model.answer, largest, wait, capacity)
    running = asyncio.create_task(batcher.run())
    yield batcher
    running.cancel()


async def test_inputs_that_come_together_share_a_batch() -> None:
    model = Model()
    async with batched(model, largest=8, wait=60.0) as batcher:
        found = await asyncio.gather(*(batcher.submit([each]) for each in range(8)))  # the eighth fills the batch
    assert found == [[0], [2], [4], [6], [8], [10], [12], [14]]
    assert model.batches == [list(range(8))]


async def test_inputs_gather_while_a_batch_is_answered_and_requests_take_turns() -> None:
    model = Model()
    model.may_go_on.clear()
    async with batched(model) as batcher:
        first = asyncio.create_task(batcher.submit([1]))
        while not model.batches:
            await asyncio.sleep(0)
        many = asyncio.create_task(batcher.submit(list(range(10, 13)) * 2))
        await asyncio.sleep(0)
        one = asyncio.create_task(batcher.submit([7]))
        await asyncio.sleep(0)
        model.may_go_on.set()
        assert list(await asyncio.gather(first, many, one)) == [[2], [20, 22, 24] * 2, [14]]
    assert model.batches == [[1], [10, 7, 11, 12], [10, 11, 12]]


async def test_a_full_queue_refuses_and_takes_again() -> None:
    model = Model()
    model.may_go_on.clear()
    async with batched(model, largest=1, capacity=2) as batcher:
        first = asyncio.create_task(batcher.submit([1]))
        while not model.batches:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(batcher.submit([2, 3]))
        await asyncio.sleep(0)
        assert batcher.is_full
        with pytest.raises(QueueFullError):
            await batcher.submit([4])
        model.may_go_on.set()
        await asyncio.gather(first, waiting)
        assert await batcher.submit([4]) == [8]


async def test_inputs_of_a_cancelled_request_are_not_answered() -> None:
    model = Model()
    model.may_go_on.clear()
    async with batched(model) as batcher:
        first = asyncio.create_task(batcher.submit([1]))
        gone = asyncio.create_task(batcher.submit([2] * 50))
        while not model.batches:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.may_go_on.set()
        await first
        assert await batcher.submit([5]) == [10]
    assert sum(batch.count(2) for batch in model.batches) <= 3
    assert model.batches[-1] == [5]


async def test_an_error_is_that_of_the_requests_of_its_batch_alone() -> None:
    async with batched(Model(), largest=2) as batcher:
        found = await asyncio.gather(*(batcher.submit([each]) for each in (13, 1, 2)), return_exceptions=True)
        assert [type(each) for each in found] == [ValueError, ValueError, list]
        assert await batcher.submit([4]) == [8]


async def test_turns_are_taken_one_after_another_and_their_queue_is_bounded() -> None:
    turns, order = Turns(1), list[str]()

    async def take(name: str) -> None:
        async with turns.take():
            order.append(name)
            await asyncio.sleep(0.01)

    first, second = (asyncio.create_task(take(name)) for name in "ab")
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await take("c")
    await asyncio.gather(first, second)
    await take("d")
    assert order == ["a", "b", "d"]
