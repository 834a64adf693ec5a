"""Decoding steps for their columns, with the metrics in slots: a dictionary for each step takes a fifth more time.

The slots are those of the metrics that the steps before had. Lines that do not fit them are decoded in another way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, get_args

import msgspec

from ftapp.runs.events import AnyEvent, Number, Stepped


@functools.lru_cache(maxsize=16)
def decoder_for(names: tuple[str, ...]) -> msgspec.json.Decoder[AnyEvent]:
    """Make a decoder of events in which each step has exactly these metrics.

    Its steps are of a subclass of `Stepped`, and what they have for metrics is for `columns_of` alone.
    """
    slots: list[Any] = [(f"slot_{index}", Number, msgspec.field(name=name)) for index, name in enumerate(names)]
    values = msgspec.defstruct("Values", slots, frozen=True, gc=False, forbid_unknown_fields=True)
    metrics: Any = ("metrics", values) if names else ("metrics", values, values())
    step = msgspec.defstruct(
        "CompactStep",
        [metrics],
        bases=(Stepped,),
        frozen=True,
        kw_only=True,
        gc=False,
        tag_field="event",
        tag="step",
        forbid_unknown_fields=True,
    )
    kinds: Any = step
    for kind in get_args(AnyEvent):
        if kind is not Stepped:
            kinds |= kind
    return msgspec.json.Decoder(kinds)


def columns_of(metrics: Sequence[Mapping[str, float] | msgspec.Struct]) -> dict[str, list[float]] | None:
    """The values of each metric of some steps, by name; None where not all steps have the same metrics."""
    first = metrics[0]
    if isinstance(first, msgspec.Struct):
        names = zip(first.__struct_encode_fields__, first.__struct_fields__, strict=True)
        return {name: list(map(attrgetter(slot), metrics)) for name, slot in names}
    if sum(map(len, metrics)) != len(metrics) * len(first):  # type: ignore[arg-type]
        return None
    try:
        return {name: [each[name] for each in metrics] for name in first}  # type: ignore[index]
    except KeyError:
        return None
