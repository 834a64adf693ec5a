"""The costs of a phase in words, as Configure shows them below the layers."""

from __future__ import annotations

import pytest

from ftapp.rpc.messages import Costs
from ftapp.tui.editor.layers_pane import describe_costs


def costs(int8_saves: float | None) -> Costs:
    return Costs(
        parameters=10,
        trainable=1,
        estimate=None,
        choice=None,
        data_error=None,
        examples=400,
        steps=30,
        epochs=1.0,
        step=0.1,
        basis="measured",
        int8_saves=int8_saves,
    )


@pytest.mark.parametrize(
    ("saves", "proposal"),
    [(None, []), (90.0, ["int8 would save about 1 min 30 s: engine = openvino, cached as = int8"])],
)
def test_int8_is_proposed_with_the_time_that_it_saves(saves: float | None, proposal: list[str]) -> None:
    first, *others = describe_costs(costs(saves)).splitlines()
    assert first.startswith("a step 100 ms")
    assert others == proposal
