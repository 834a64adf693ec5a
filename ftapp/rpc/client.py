"""The light end of a helper process: requests with typed answers."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from ftapp.common import user_folders
from ftapp.common.downloads import Progress
from ftapp.recipe import Backend
from ftapp.rpc.protocol import Line
from ftapp.rpc.service import Service
from ftapp.runs.environment import make_environment

_Answer = TypeVar("_Answer")


class HelperClient:
    """A helper process by its module; each backend has a process of its own, since Keras binds it for good.

    As a context it ends the process when it is left.
    """

    def __init__(self, module: str, *, offline: bool) -> None:
        """Prepare a client; its process starts with the first request.

        Args:
            module: The helper's main.
            offline: Whether the process makes no network call.
        """
        self._module, self._offline = module, offline
        self._service: Service | None = None
        self._environment: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process, if there is one."""
        service, self._service = self._service, None
        if service:
            await service.close()

    def read_output(self) -> str:
        """Read what the process has written to its log so far; "" before it is started."""
        return self._service.read_output() if self._service else ""

    async def wait_for_end(self) -> int | None:
        """Wait until the process has ended, and return its exit code; None at once if none was started."""
        return await self._service.wait_for_end() if self._service else None

    async def _ask(
        self, backend: Backend, answer: type[_Answer], kind: str, progress: Progress | None, **parameters: object
    ) -> _Answer:
        service = await self._start(backend)
        found = await service.ask(kind, progress and pass_on(progress), **parameters)
        return msgspec.convert(found, answer)

    async def _start(self, backend: Backend) -> Service:
        """Return the process with this backend; one with another is ended."""
        environment = make_environment(backend, offline=self._offline)
        if self._service is None or environment != self._environment:
            log = user_folders.cache() / "logs" / f"{self._module.rpartition('.')[2]}.log"
            folder = Path(tempfile.gettempdir(), f"ftapp-{secrets.token_hex(8)}")
            former, self._service = self._service, Service(self._module, log, environment, folder)
            self._environment = environment
            if former:
                await former.close()
        return self._service


def pass_on(progress: Progress) -> Callable[[Line], None]:
    """Make a callback for lines about a request that passes the progress in them on.

    Args:
        progress: Called with the activity, the work done and the work in all.

    Returns:
        The callback.
    """
    return lambda line: progress(line["progress"], line["done"], line["total"])
