"""What rounding explains is let pass, and what it does not explain has a sentence."""

from __future__ import annotations

import msgspec
import pytest

from ftapp.analysis.parity import compare_losses, find_differences
from ftapp.runs.backend_trial import Trial


def trial(losses: tuple[float, ...], share: float | None = None, **others: object) -> Trial:
    update = None if share is None else {"share": share, "weight": "a/kernel"}
    phase = {
        **{"name": "head", "planned": 9, "cached": False, "batches": "ab", "losses": losses, "seconds": losses},
        **{"evaluated": 8, "metrics": {"loss": 0.5}, "update": update},
    }
    whole = {
        **{"version": "1", "device": "cpu:0", "precision": "float32", "weights": 2, "redrawn": 0, "unequal": ()},
        **{"start_seconds": 1.0, "peak_memory": 1, "phases": (phase,)},
    }
    return msgspec.convert(whole | others, Trial)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (trial((0.7, 0.6), 0), []),
        (trial((0.7, 0.60001), 1e-3), []),
        (
            trial((0.71, 0.61), 1e-3),
            [
                "phase head: from step 1 on the loss differs by more than rounding, 0.7100 and 0.7000 (0.014): the "
                "forward pass or the loss"
            ],
        ),
        (
            trial((0.7, 0.61), 0.1),
            [
                "phase head: from step 2 on the loss differs by more than rounding, 0.6100 and 0.6000 (0.016): "
                "gradients, the optimizer, or what a step changes",
                "phase head: the changes of weights differ by 0.1, most in a/kernel",
            ],
        ),
        (trial((0.9, 0.9), 1, unequal=("b/kernel",)), ["the preset's weights are not loaded equally: b/kernel"]),
    ],
)
def test_sentences_name_the_first_cause(other: Trial, said: list[str]) -> None:
    assert find_differences(other, trial((0.7, 0.6))) == said


def test_the_largest_difference_of_losses_has_a_step() -> None:
    (phase,), (reference,) = trial((2.0, 1.0, 0.5), 0).phases, trial((2.0, 1.1, 0.5)).phases
    found = compare_losses(phase, reference)
    assert found.step == 2
    assert (found.share, found.absolute) == pytest.approx((0.1 / 1.1, 0.1))
