"""Jobs: work of the interface that goes on while the user looks at other screens, such as an export."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftapp.common.downloads import Progress
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_files import explain_error


@dataclass(frozen=True)
class JobResult:
    """What a job has made.

    Attributes:
        path: The file or folder.
        facts: What is to be known of it, texts by their labels.
        summary: The same in a sentence.
        is_doubtful: Whether the user should look at it.
    """

    path: Path
    facts: Mapping[str, str]
    summary: str
    is_doubtful: bool = False


class BackgroundJob:
    """One job. It does not outlive the interface.

    Args:
        title: What it does, such as "Export of RUN to onnx".
        work: Does it. It is given what takes its progress.
        kept: What is left when it is cancelled, in a sentence.

    Attributes:
        status: How it stands.
        activity: What is being done, in words.
        done: How much of that is done.
        total: How much there is to do; None where that is not known.
        result: What it has made, once it is done.
        error: Why it failed; "" where it did not.
    """

    def __init__(self, title: str, work: Callable[[Progress], Awaitable[JobResult]], kept: str) -> None:
        self.title, self.kept = title, kept
        self.status: Literal["running", "done", "failed", "cancelled"] = "running"
        self.activity, self.done = "starting a process", 0
        self.total: int | None = None
        self.result: JobResult | None = None
        self.error = ""
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._begun, self._ended = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self._ended or time.monotonic()) - self._begun

    async def run(self) -> None:
        """Do the work. An error is kept in `error`, not raised."""
        self._task = asyncio.create_task(self._run())
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()):  # none that a user can act on
            self.status, self.error = "failed", f"{type(error).__name__}: {error}"

    async def cancel(self) -> None:
        """End the work early, and wait until its process has ended."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            self.result = await self._work(self._report)
            self.status = "done"
        except asyncio.CancelledError:
            self.status = "cancelled"
        except (RecipeError, RunError) as error:
            self.status, self.error = "failed", str(error)
        except OSError as error:
            self.status, self.error = "failed", explain_error(error)
        finally:
            self._ended = time.monotonic()

    def _report(self, activity: str, done: int, total: int | None) -> None:
        self.activity, self.done, self.total = activity, done, total
