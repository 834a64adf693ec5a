"""A command that waits for a helper process ends by SIGTERM, also where a script has started it in the background."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAITING = """
import asyncio, signal, sys
from ftapp.cli.ask_helper import ask_helper
from ftapp.rpc.client import HelperClient

class Client(HelperClient):
    async def close(self):
        print("closed", flush=True)

async def ask(client, progress):
    print("asked", flush=True)
    await asyncio.sleep(60)

signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
try:
    ask_helper("the model", Client("none", offline=True), ask)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("handler", ["default_int_handler", "SIG_IGN"])
def test_sigterm_ends_the_request_and_closes_the_process(handler: str) -> None:
    command = [sys.executable, "-c", WAITING, handler]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "closed\ninterrupted\n"
