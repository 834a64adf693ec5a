"""The costs of a phase in words, as Configure shows them below the layers."""

from __future__ import annotations

import pytest

from ftapp.rpc.messages import Costs
from ftapp.runs.phase_events import Estimate
from ftapp.tui.editor.layers_pane import describe_costs


def costs(int8_saves: float | None, devices: int = 1, *, is_most: bool = False) -> Costs:
    return Costs(
        parameters=10,
        trainable=1,
        estimate=Estimate(
            **{"flops": 1, "flops_uncut": 1, "devices": devices},
            **dict.fromkeys(("weights", "gradients", "optimizer", "activations"), 2**20),
        ),
        is_most=is_most,
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


def test_memory_is_told_of_each_device() -> None:
    assert describe_costs(costs(None)).splitlines()[0].endswith(" · memory 4.0 MiB")
    assert describe_costs(costs(None, 2)).splitlines()[0].endswith(" · memory 4.0 MiB on each of 2 devices")
    sentence = describe_costs(costs(None, 2, is_most=True)).splitlines()[0]
    assert sentence.endswith(" · memory at most 4.0 MiB on each of 2 devices")
