"""Surveys of data as the inspector answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftapp.rpc.messages import Probe, Survey

Blocks = Sequence[tuple[float, tuple[float, float]]]


def make_survey(blocks: Blocks, counts: Sequence[int] = (100, 100, 100), **changes: Any) -> Survey:
    """A survey of a model of five blocks.

    blocks: of the last ones, the share told right and the lead over the last block; changes: other facts.
    """
    probes = [
        Probe(block=f"block{number}", layer=f"block{number}_pool", right=right, lead=lead)
        for number, (right, lead) in enumerate(blocks, start=6 - len(blocks))
    ]
    facts: dict[str, Any] = {
        "classes": tuple(f"class {number}" for number in range(len(counts))),
        "counts": tuple(counts),
        "examples": round(sum(counts) / 0.7),
        "sample": 300,
        "guessing": 1 / len(counts),
        "probes": tuple(probes),
        "head": None,
        "positions": None,
    }
    return Survey(**(facts | changes))
