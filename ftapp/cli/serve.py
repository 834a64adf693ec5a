"""`ftapp serve`: the terminal interface in a browser."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ftapp.cli.failure import refuse, refuse_bad_recipes
from ftapp.cli.options import OfflineOption, RunsDirOption


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Another host name, such as a proxy's. Can be repeated."),
    ] = None,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Serve the interface to a browser, only on this machine unless --host names another address.

    Open the printed address: it holds a token, without which nobody has access. The token is new each time, or comes
    from FTAPP_TOKEN.
    """
    from ftapp.cli.web import WebServer
    from ftapp.common.processes import make_module_command
    from ftapp.common.safe_files import explain_error
    from ftapp.common.web_access import LOOPBACK, read_token

    with refuse_bad_recipes():
        token = read_token()
    if host not in LOOPBACK:
        print(
            f"anyone who knows the token and reaches {host}:{port} can start runs and read files here; the connection "
            "is not encrypted, so others can read it on the way",
            file=sys.stderr,
        )
    words = make_module_command("ftapp.cli.app")
    words += ["--runs-dir", str(runs_dir.absolute())] if runs_dir else []
    words += ["--offline"] if offline else []
    try:
        WebServer(words, host, port, names or (), token).serve()
    except OSError as error:
        refuse(f"{host}:{port} cannot be listened on: {explain_error(error)}")
