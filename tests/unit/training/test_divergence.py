"""What is said of losses that are not finite."""

from __future__ import annotations

import math

import pytest

from ftapp.common.errors import NotFiniteError
from ftapp.recipe import Phase
from ftapp.training.divergence import check_finite

_PHASE = Phase.model_validate(
    {"name": "head", "layers": ["train head"], "steps": 1, "batch_size": 1, "learning_rate": 0.01}
)


def test_the_advice_names_a_smaller_rate() -> None:
    with pytest.raises(NotFiniteError, match=r"the weights diverged; .*learning_rate=0\.001"):
        check_finite(math.inf, 3, _PHASE, 0.01)


def test_before_a_step_no_rate_is_to_blame() -> None:
    with pytest.raises(NotFiniteError, match="at step 0, before a step was made") as error:
        check_finite(math.nan, 0, _PHASE, math.nan)
    assert "learning" not in str(error.value)
