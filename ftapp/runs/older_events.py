"""Events in the forms in which earlier versions wrote them.

Steps and evaluations had their accuracy in a field of its own; it is an entry of their metrics. The end of a phase
called its `seconds_saved` "spared". The drift of weights had its layers in the order in which the phase lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from ftapp.runs.event_types import Number, Seconds, Share
from ftapp.runs.events import AnyEvent
from ftapp.runs.phase_events import Drifted, Evaluated, PhaseEnded, Stepped


class _Stepped(Stepped, frozen=True, kw_only=True, tag="step", forbid_unknown_fields=False):
    accuracy: Share | None = None

    def renew(self) -> Stepped:
        return Stepped(
            time=self.time,
            step=self.step,
            epoch=self.epoch,
            loss=self.loss,
            metrics=self.metrics if self.accuracy is None else {"accuracy": self.accuracy, **self.metrics},
            gradient_norm=self.gradient_norm,
            rate=self.rate,
            seconds=self.seconds,
            memory=self.memory,
        )


class _Evaluated(Evaluated, frozen=True, kw_only=True, tag="evaluated", forbid_unknown_fields=False):
    accuracy: Share | None = None

    def renew(self) -> Evaluated:
        known = {name: getattr(self, name) for name in Evaluated.__struct_fields__}
        if self.accuracy is not None:
            known["metrics"] = {"accuracy": self.accuracy, **self.metrics}
        return Evaluated(**known)


class _PhaseEnded(PhaseEnded, frozen=True, kw_only=True, tag="phase-ended", forbid_unknown_fields=False):
    spared: Seconds | None = None

    def renew(self) -> PhaseEnded:
        known = {name: getattr(self, name) for name in PhaseEnded.__struct_fields__}
        if self.spared is not None:
            known["seconds_saved"] = self.spared
        return PhaseEnded(**known)


class UnnamedDrift(Drifted, frozen=True, kw_only=True, tag="drifted", forbid_unknown_fields=False):
    """The drift of weights without the paths of their layers."""

    since_start: dict[str, Number | None] | list[Number | None]  # type: ignore[assignment]
    last_step: dict[str, Number] | list[Number] | None = None  # type: ignore[assignment]

    def name_layers(self, layers: Sequence[str]) -> Drifted:
        """Give each value the path of its layer.

        Args:
            layers: The layers of the phase that train.
        """
        start, last = self.since_start, self.last_step
        return Drifted(
            time=self.time,
            step=self.step,
            phase=self.phase,
            since_start=start if isinstance(start, dict) else dict(zip(layers, start, strict=False)),
            last_step=dict(zip(layers, last, strict=False)) if isinstance(last, list) else last,
        )


_Event: Any = _Stepped | _Evaluated | _PhaseEnded | UnnamedDrift
for _kind in get_args(AnyEvent):
    if _kind not in (Stepped, Evaluated, PhaseEnded, Drifted):
        _Event |= _kind
_decoder = msgspec.json.Decoder(_Event)


def decode(line: bytes) -> AnyEvent:
    """Decode a line of any version; fields that are not known are passed over.

    Raises:
        msgspec.MsgspecError: it is damaged, or of an event that is not known.
    """
    return _renewed(_decoder.decode(line))


def decode_lines(lines: bytes | memoryview) -> list[AnyEvent]:
    """Decode lines of any version. Raises as `decode` does where one of them is damaged."""
    return list(map(_renewed, _decoder.decode_lines(lines)))


def _renewed(event: AnyEvent) -> AnyEvent:
    if isinstance(event, UnnamedDrift) and isinstance(event.since_start, dict):
        return event.name_layers(())
    return event.renew() if isinstance(event, _Stepped | _Evaluated | _PhaseEnded) else event
