"""`ftapp serve-model`: a finished run's model behind HTTP."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import fail_on_run_errors, is_debug, refuse, refuse_bad_recipes
from ftapp.cli.options import RunArgument, RunsDirOption
from ftapp.cli.sigterm import end_at_sigterm

if TYPE_CHECKING:
    import socket

_NEEDED = {
    "fastapi": "fastapi",
    "fastapi_swagger": "fastapi-swagger",
    "python_multipart": "python-multipart",
    "uvicorn": "uvicorn",
}


def serve_model(
    name: RunArgument,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for any free one.")] = 8080,
    max_batch: Annotated[int, typer.Option(min=1, max=4096, metavar="N", help="Inputs in a batch at most.")] = 32,
    max_wait: Annotated[
        float, typer.Option(min=0, max=60_000, metavar="MS", help="How long an input waits for others at most.")
    ] = 2.0,
    queue: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            metavar="N",
            help="Inputs, or prompts, that wait at most. [default: 1024, or 16 prompts]",
        ),
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, max=4096, metavar="MIB", help="MiB of a request at most.")] = 32,
    needs_token: Annotated[
        bool | None,
        typer.Option(
            "--token/--no-token",
            help="Whether requests need a token, new each time or that of FTAPP_TOKEN. [default: only with another "
            "--host]",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Another host name, such as a proxy's. Can be repeated."),
    ] = None,
    runs_dir: RunsDirOption = None,
) -> None:
    """Serve a finished run's model over HTTP: /predict or /generate, /health, and /docs about them.

    Prints the address once the model answers. Requests that come at the same time are answered in batches. After Ctrl-C
    or SIGTERM, requests that have come are answered, and the exit code is 0.
    """
    from ftapp.cli.activity import Activity
    from ftapp.common.web_access import LOOPBACK, TOKEN_VARIABLE, WebAccess, format_address, make_token, read_token
    from ftapp.experiments.find_run import find_run
    from ftapp.recipe import TASKS, load

    _check_installed()
    with refuse_bad_recipes(), fail_on_run_errors():
        given = read_token()
        run = find_run(name, runs_dir)
        writes = TASKS[load(run.recipe_file).task].writes
        if needs_token is None:
            needs_token = given is not None or host not in LOOPBACK
        token = (given or make_token()) if needs_token else None
        from ftapp.serving.server import ServingOptions, serve_model

        options = ServingOptions(
            max_batch=max_batch,
            max_wait=max_wait / 1000,
            queue=queue or (16 if writes else 1024),
            max_body=max_body << 20,
        )
        if not is_debug():
            logging.getLogger("uvicorn.error").addFilter(_shorten_error)
        end_at_sigterm()
        with _listen(host, port) as listener, Activity() as activity:
            address = format_address(host, listener.getsockname()[1])

            def announce() -> None:
                activity.tell("", 0, None)
                if host not in LOOPBACK:
                    _narrate(
                        "anyone who reaches this address "
                        + ("and knows the token " if token else "")
                        + "can use the model; the connection is not encrypted, so others can read it on the way"
                    )
                if token:
                    shown = f"${TOKEN_VARIABLE}" if given else token
                    _narrate(
                        f"requests need the header 'Authorization: Bearer {shown}'; in a browser: "
                        f"{address}/docs?token={shown}"
                    )
                _narrate(f"{run.folder.name} is served; {address}/docs shows how to ask it; Ctrl-C ends it")
                print(address, flush=True)

            activity.tell("starting the model", 0, None)
            access = WebAccess(host, names or (), token)
            asyncio.run(serve_model(run, listener, access, options, _narrate, announce, activity.tell))


def _check_installed() -> None:
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        refuse(
            f"the package '{missing[0]}' is not installed; serve-model needs it: pip install {' '.join(missing)}; "
            "pip install 'ftapp[serving]' installs all that it needs"
        )


def _listen(host: str, port: int) -> socket.socket:
    from ftapp.common.safe_files import explain_error
    from ftapp.serving.server import find_free_port, listen

    try:
        return listen(host, port)
    except OSError as error:
        hint = ""
        if error.errno == errno.EADDRINUSE and (free := find_free_port(host, port)):
            hint = f"; the next free port: --port {free}"
        refuse(f"{host}:{port} cannot be listened on: {explain_error(error)}{hint}")


def _shorten_error(record: logging.LogRecord) -> bool:
    """Log a sentence in place of the traceback of a request that failed; none of those given up at the end."""
    if record.exc_info and (error := record.exc_info[1]):
        if isinstance(error, asyncio.CancelledError):
            return False
        record.msg, record.args, record.exc_info = (
            f"a request failed: {type(error).__name__}: {error} ('ftapp --debug ...' shows where)",
            (),
            None,
        )
    return True


def _narrate(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
