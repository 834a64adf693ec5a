"""Runs whose examples have weights: the losses of training count by them, and evaluations do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Do
from tests.support.recipes import HEAD_ALONE


@pytest.mark.slow
@pytest.mark.parametrize("cache", [True, False])
def test_weights_count_in_training_alone(do: Do, text_recipe: str, tmp_path: Path, cache: bool) -> None:
    path = tmp_path / "reviews.csv"
    words = {"bad": "a dull film", "good": "a fine film"}
    rows = [(f"{words[label]} {at}", label) for at in range(30) for label in ("bad", "good")]
    lines = [f"{text},{label},3,{0.25 if at % 5 else 4}" for at, (text, label) in enumerate(rows)]
    path.write_text("\n".join(["text,label,equal,unequal", *lines]))
    sets = (f"data.source=csv:{path}", "data.limit=", "data.classes=", HEAD_ALONE, f"frozen.cache={str(cache).lower()}")
    plain, equal, unequal = (
        do(text_recipe, *sets, *weights)[1]
        for weights in ((), ("data.weight_column=equal",), ("data.weight_column=unequal",))
    )
    losses = [[step.loss for step in history.steps] for history in (plain, equal, unequal)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-2)
    assert equal.evaluations[0].loss == pytest.approx(plain.evaluations[0].loss, rel=1e-6)
    assert unequal.evaluations[0].loss == pytest.approx(plain.evaluations[0].loss, rel=1e-6)
