"""Decoding steps for their columns, with the metrics in slots: a dictionary for each step takes a fifth more time.

The slots are those of the metrics that the steps before had. Lines that do not fit them are decoded in another way.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from ftapp.runs.event_types import Number
from ftapp.runs.events import AnyEvent
from ftapp.runs.phase_events import Stepped


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


def columns_of(steps: Sequence[Stepped]) -> dict[str, list[float]] | None:
    """Collect the metrics of some steps of one form, in columns.

    Args:
        steps: one or more, all as `decoder_for` decodes them or none.

    Returns:
        The values of each metric by its name; None where not all steps have the same metrics.
    """
    first: Any = steps[0].metrics
    if isinstance(first, msgspec.Struct):
        names, slots = first.__struct_encode_fields__, first.__struct_fields__
        if len(slots) == 1:  # as in most runs, and in half the time
            return {names[0]: [step.metrics.slot_0 for step in steps]}  # type: ignore[attr-defined]
        return {name: [getattr(step.metrics, slot) for step in steps] for name, slot in zip(names, slots, strict=True)}
    found = [step.metrics for step in steps]
    if any(len(each) != len(first) for each in found):
        return None
    try:
        return {name: [each[name] for each in found] for name in first}
    except KeyError:
        return None
