"""What all events of a run have, and the values that their fields may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Status = Literal["done", "failed", "interrupted", "unfinished", "pruned", "refused"]

# What fields may hold, which is checked when they are read: a line with anything else is damaged.
Time = Annotated[float, msgspec.Meta(ge=0, le=253_370_764_800)]
"""Seconds since the Unix epoch, to the year 9999."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
"""A length of time, of three centuries at most."""
Number = Annotated[float, msgspec.Meta(ge=-1e40, le=1e40)]
"""A number that float32 can hold, so that its square fits float64."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A part of a whole."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number of things, of bytes or of operations."""
Step = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of steps."""
MetricName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""What a metric is called, such as "mean_absolute_error"."""
Several = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
"""A number of things of which there is one at least."""


class Event(msgspec.Struct, frozen=True, tag_field="event", kw_only=True, omit_defaults=True, gc=False):
    """An event of a run.

    gc=False: events hold no cycles, and Python's collector would walk a million of them again and again.

    Attributes:
        time: Seconds since the Unix epoch, at which it happened.
    """

    time: Time
