"""What a helper process finds on this machine."""

from __future__ import annotations

import msgspec


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A backend on this machine.

    Attributes:
        version: The version of its library.
        device: The device that it computes on, in words.
        precision: The precision of `auto`.
        reason: The reason for it, in words.
    """

    version: str
    device: str
    precision: str
    reason: str
