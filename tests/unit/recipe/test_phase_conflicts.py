"""Keys of a phase that do not go together are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe_files import problems


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["epochs=", "steps=10", "accumulate=4"], "steps: 10 batches do not fill updates of 4; take for example 8"),
        (["accumulate=4", "gradient_norm=true"], "gradient_norm: this key does not go with accumulate"),
        (["accumulate=4", "ema=0.9"], "ema: this key does not go with accumulate"),
        (["ema=1.0"], "ema: 1.0 is too large; it is below 1"),
        (["accumulate=4", "swa=0.5"], "swa: this key does not go with accumulate"),
        (["ema=0.9", "swa=0.5"], "swa: this key does not go with ema"),
    ],
)
def test_keys_of_updates_that_do_not_go_together_are_refused(file: Path, overrides: list[str], message: str) -> None:
    (found,) = problems(file, *(f"phase.head.{each}" for each in overrides))
    assert f"phase.head.{message}" in found


def test_optimizers_that_skip_steps_keep_no_averages(file: Path) -> None:
    (found,) = problems(file, "phase.head.ema=0.9", "precision=float16")
    assert "phase.head.ema: this key does not go with precision = 'float16'" in found
