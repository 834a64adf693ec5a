"""What a class of 30 costs: the memory of a session, and how long pages wait, with a run training beside them.

The script starts `ftapp serve --class` on loopback and opens a websocket for each student, as a page does. All open the
link in the same moment. Then each presses keys for a while, with pauses in which people look, and waits for what
the key shows. The memory is the PSS of the processes, so that pages which several share count once in all.

The recipe that trains needs no hub. `--run ""` measures without it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil

from ftapp.common.processes import make_module_command

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[@-_])")
_FIRST = "vgg16-two-phase"  # a word of the first screen
# What a student presses, each with a word that the screen then shows; "" for any change.
_KEYS = (("2", "Mark"), ("3", "queue"), ("1", "Configure"), *(("\x1b[B", ""),) * 3, ("?", "adapt"))
_PATIENCE = 120.0  # seconds
_AFTER = {"?": "\x1b"}  # keys that close what a key has opened


class Page:
    """One student's page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._drawn = ""
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._drawn += _ESCAPES.sub("", bytes(message.data).decode(errors="replace"))
                self._news.set()

    async def wait_for(self, word: str) -> None:
        """Wait until a word is drawn, or anything. Raises TimeoutError where it is not."""
        async with asyncio.timeout(_PATIENCE):
            while not self._drawn or word not in self._drawn:
                if self._reading.done():
                    raise RuntimeError(f"a session has ended; it had drawn: {self._drawn[-500:]}")
                self._news.clear()
                await self._news.wait()

    async def press(self, key: str, word: str) -> float:
        """Press a key, and return the seconds until a word is drawn."""
        self._drawn = ""
        begun = time.perf_counter()
        await self._socket.send_json(["stdin", key])
        await self.wait_for(word)
        return time.perf_counter() - begun

    async def close(self) -> None:
        """Close the page."""
        await self._socket.close()
        await self._reading


async def visit(link: str, number: int, rounds: int, ready: asyncio.Barrier, measured: asyncio.Barrier) -> list[float]:
    """Be a student. Returns the seconds to the first screen, and those of each key."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        address = link.partition("?")[0]
        await (await session.get(link)).read()
        await (await session.post(address, data={"name": f"student {number}"})).read()
        await ready.wait()
        begun = time.perf_counter()
        await (await session.get(address)).read()
        socket = await session.ws_connect(f"{address}ws/{number:024x}?width=120&height=36")
        page = Page(socket)
        await page.wait_for(_FIRST)
        await socket.send_json(["focus"])
        seconds = [time.perf_counter() - begun]
        await asyncio.sleep(5)
        pauses = random.Random(number)
        for _ in range(rounds):
            for key, word in _KEYS:
                await asyncio.sleep(pauses.uniform(1, 3))
                seconds.append(await page.press(key, word))
                if key in _AFTER:
                    await page.press(_AFTER[key], "")
        await measured.wait()  # all are open while the memory is measured
        await measured.wait()
        await page.close()
        return seconds


def measure_memory(server: int) -> dict[str, float]:
    """Measure the PSS of the server's processes, in MiB: of itself, of the one that forks, and of all interfaces."""
    own = psutil.Process(server)
    children = own.children()
    interfaces = [each for child in children for each in child.children()]
    sums = {
        "server": [own],
        "forking": children,
        "interfaces": interfaces,
    }
    found = {name: sum(each.memory_full_info().pss for each in group) / 2**20 for name, group in sums.items()}
    return {**found, "count": len(interfaces)}


async def measure(link: str, server: int, sessions: int, rounds: int) -> dict[str, object]:
    """Let all students work, and sum up."""
    ready, measured = asyncio.Barrier(sessions), asyncio.Barrier(sessions + 1)
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(visit(link, number, rounds, ready, measured)) for number in range(sessions)]
        await measured.wait()
        memory = await asyncio.to_thread(measure_memory, server)
        await measured.wait()
    seconds = [each.result() for each in work]
    firsts, keys = [each[0] for each in seconds], [key for each in seconds for key in each[1:]]
    return {
        "sessions": sessions,
        "first screen, s": describe(firsts),
        "key to screen, ms": describe([1000 * each for each in keys]),
        "keys": len(keys),
        "memory, MiB": {name: round(value, 1) for name, value in memory.items()},
        "memory of a session, MiB": round((memory["forking"] + memory["interfaces"]) / sessions, 1),
    }


def describe(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the 95th percentile and the largest of some values."""
    cuts = statistics.quantiles(values, n=20) if len(values) > 1 else [values[0]] * 19
    return {"median": round(cuts[9], 2), "p95": round(cuts[18], 2), "largest": round(max(values), 2)}


def main() -> None:
    """Measure, and print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2, help=f"how often each student presses the {len(_KEYS)} keys")
    parser.add_argument("--port", type=int, default=8931)
    parser.add_argument("--run", default="gpt2-full", help="the recipe that trains beside them, with its profile quick")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = {"FTAPP_RUNS": f"{folder}/runs", "FTAPP_CONFIG": f"{folder}/config"}
        environment = {**os.environ, **own}
        command = make_module_command("ftapp.cli", "serve", "--class", "--port", str(given.port))
        server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=folder)
        run: subprocess.Popen[bytes] | None = None
        try:
            assert server.stderr
            link = next((line.split()[1] for line in server.stderr if line.startswith("students:")), None)
            if link is None:
                sys.exit("the server did not start")
            if given.run:
                steps = f"phase.{_find_phase(given.run)}.steps=100000"
                words = ["run", given.run, "--profile", "quick", "--set", steps]
                run = subprocess.Popen(
                    make_module_command("ftapp.cli", *words), env=environment, stderr=subprocess.DEVNULL, cwd=folder
                )
                _wait_for_steps(Path(own["FTAPP_RUNS"]), run)
            print(json.dumps(asyncio.run(measure(link, server.pid, given.sessions, given.rounds)), indent=2))
        finally:
            if run:
                run.terminate()
                run.wait()
            server.terminate()
            server.wait()


def _find_phase(name: str) -> str:
    from ftapp import recipe

    return recipe.load(recipe.find(name)).phase[-1].name


def _wait_for_steps(runs: Path, run: subprocess.Popen[bytes]) -> None:
    """Wait until a run trains."""
    while not any('"step"' in file.read_text() for file in runs.glob("*/events.jsonl")):
        if run.poll() is not None:
            sys.exit("the run beside them has ended before it trained")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
