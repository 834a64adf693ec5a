"""What a helper process and the process that asks say to each other: JSON lines, requests on stdin, answers on stdout.

A request is {"id": 3, "kind": "data", ...}, with the parameters of its kind. What is said about it carries its id:
{"id": 3, "progress": "downloading", "done": 5, "total": 9} and other lines of its kind, any number of them, and at the
end one with `answer`, `error` or `cancelled`. {"kind": "cancel", "id": 3} ends a request as soon as its handler looks.

A process has a thread for each kind, which answers one request after another. It ends when its stdin does, so it does
not outlive the process that asks, however that ends.
"""

from __future__ import annotations

from typing import Any

Line = dict[str, Any]


class CancelledError(Exception):
    """A request whose answer is not wanted any more."""
