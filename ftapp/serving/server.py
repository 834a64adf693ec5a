"""A served model from its start to its end: the address, the model's process, and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ftapp import recipe as recipes
from ftapp.common.downloads import Progress
from ftapp.common.web_access import HEADER_SECONDS, WebAccess
from ftapp.recipe import TASKS
from ftapp.rpc.prediction_messages import PredictedRow
from ftapp.runs.run_folder import RunFolder
from ftapp.serving.application import ServedModel, make_application
from ftapp.serving.batcher import Batcher
from ftapp.serving.model_process import ModelProcess
from ftapp.serving.schemas import make_example

_LAST_SECONDS = 30  # for requests that are being answered when the server is to end
_PORTS = 100  # that are tried for a free one


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """How a model is served.

    Attributes:
        max_batch: The most inputs of a batch.
        max_wait: How many seconds an input waits for others.
        queue: How many inputs wait at most, which is the most of a request too; of a language model, prompts.
        max_body: The most bytes of a request.
    """

    max_batch: int
    max_wait: float
    queue: int
    max_body: int


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Args:
        host: A name or an address.
        port: The port; 0 for any that is free.

    Raises:
        OSError: The address cannot be listened on.
    """
    # With its protocol named: asyncio sends what is small at once (TCP_NODELAY) only where it knows that this is TCP,
    # and each answer would wait 40 ms for the client to acknowledge its head.
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def find_free_port(host: str, port: int) -> int | None:
    """Find the next free port; None if there is none among the next ones."""
    for each in range(port + 1, min(port + 1 + _PORTS, 1 << 16)):
        with contextlib.suppress(OSError), listen(host, each):
            return each
    return None


async def serve_model(
    run: RunFolder,
    listener: socket.socket,
    access: WebAccess,
    options: ServingOptions,
    narrate: Callable[[str], None],
    announce: Callable[[], None],
    progress: Progress,
) -> None:
    """Serve a run's model until SIGINT or SIGTERM comes, and answer what is being answered then.

    Args:
        run: The run.
        listener: The socket of the address.
        access: Who is answered.
        options: How the model is served.
        narrate: Called with what happens to the model's process.
        announce: Called once requests are answered.
        progress: Called with what is being done until then.

    Raises:
        RunError: The model cannot be loaded.
    """
    recipe = recipes.load(run.recipe_file)
    example = make_example(recipe)
    process = ModelProcess(run, recipe, options.max_batch, options.queue, narrate)

    async def answer(batch: list[tuple[Any, bool]]) -> Sequence[PredictedRow]:
        return await process.answer([each for each, _ in batch], has_scores=any(scores for _, scores in batch))

    try:
        loaded, answered = await process.load(example, progress)
        batcher = Batcher(answer, options.max_batch, options.max_wait, options.queue)
        most = 1 if TASKS[recipe.task].writes else options.queue
        served = ServedModel(
            name=run.folder.name,
            recipe=recipe,
            process=process,
            loaded=loaded,
            example=answered,
            batcher=batcher,
            most_inputs=most,
            max_body=options.max_body,
        )
        server = _Server(make_application(served, access), announce)
        tasks = [asyncio.create_task(batcher.run()), asyncio.create_task(process.keep_alive(example, batcher.fail))]
        try:
            await server.serve([listener])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await process.close()


class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP, with a limit for the time in which the header of a request comes. uvicorn has none."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Limit the time of the first request."""
        super().connection_made(transport)
        self._await_request()

    def on_response_complete(self) -> None:
        """Limit the time of the next request of the same connection."""
        super().on_response_complete()
        self._await_request()

    def _await_request(self) -> None:
        former = self.cycle

        def close() -> None:
            if self.cycle is former:
                self.transport.close()

        self.loop.call_later(HEADER_SECONDS, close)


class _Server(uvicorn.Server):
    """uvicorn, which ends at a signal as if nothing were wrong. A second Ctrl-C ends it at once."""

    def __init__(self, app: Any, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=TimedProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_LAST_SECONDS,
            )
        )
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server; uvicorn's own raises them again at the end."""
        handled = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)
