"""Who may talk to a server on this machine: which names lead to it, which pages and which tokens it answers.

A name check keeps away web sites whose name has been made to lead here. The origin of a page keeps away pages of
others, which a browser on this machine has open.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from ftapp.common.errors import Problem, RecipeError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOKEN_VARIABLE = "FTAPP_TOKEN"
_SHORTEST_TOKEN = 16  # characters
HEADER_SECONDS = 15.0
"""After which a connection whose request has not come whole is closed, so that slow ones cannot hold all."""
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send no origin with a form
    "Cache-Control": "no-store",
}
"""Headers of all answers, beside the content security policy of each server."""


def read_token() -> str | None:
    """Return the token that FTAPP_TOKEN sets, for a server whose address is not to change; None if it sets none.

    Raises:
        RecipeError: The token is short.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token is not None and len(token) < _SHORTEST_TOKEN:
        message = f"{TOKEN_VARIABLE} has {len(token)} characters; a token has {_SHORTEST_TOKEN} or more"
        raise RecipeError([Problem("", "", message)])
    return token


def make_token() -> str:
    """Make a new token."""
    return secrets.token_urlsafe(24)


def format_address(host: str, port: int) -> str:
    """Format the address of a server, without a path."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def find_reachable_host(host: str) -> str:
    """Find a host that others can put into an address: of a server on all addresses, one of this machine's.

    Args:
        host: The name or address that the server listens on.
    """
    if host not in ("0.0.0.0", "::"):
        return host
    import psutil

    found = (each for addresses in psutil.net_if_addrs().values() for each in addresses)
    own = [each.address for each in found if each.family is socket.AF_INET and not each.address.startswith("127.")]
    return own[0] if own else socket.gethostname()


class WebAccess:
    """The names and the token of a server.

    Attributes:
        is_local: Whether only this machine reaches it.
        token: What a visitor has to know; None where nobody has to know one.
    """

    def __init__(self, host: str, names: Sequence[str], token: str | None) -> None:
        """Take the names of a server.

        Args:
            host: The name or address that it listens on.
            names: Further names under which it is reached, such as that of a proxy before it.
            token: What a visitor has to know; None where nobody has to know one.
        """
        self.is_local, self.token = host in LOOPBACK, token
        own = [] if self.is_local else [host, socket.gethostname()]
        self._names = {name.lower() for name in (*LOOPBACK, *own, *names)}

    def find_fault(self, host: str, origin: str | None) -> str:
        """Say why a request is refused, by the name that it asks for and the page that it comes from.

        Args:
            host: Its header `Host`.
            origin: Its header `Origin`, which browsers send; None without one.

        Returns:
            The reason; "" where there is none.
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            name = ""
        if name not in self._names and (self.is_local or not _is_address(name)):
            known = ", ".join(sorted(self._names))
            return f"{name!a} is no name of this server; ftapp answers as {known} here; --name adds a name"
        if origin is not None and _find_host(origin) != host:
            return f"this page is of {origin!a}; ftapp answers pages of its own"
        return ""

    def is_known(self, given: str) -> bool:
        """Tell whether a visitor knows the token."""
        return self.token is None or secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def _find_host(origin: str) -> str:
    """Find the host of a header `Origin`, with its port; "" where it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    """Tell whether a host is an IP address: nobody can make one of these lead elsewhere."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
