"""The table of `ftapp predict`: names of columns that would stand in it twice."""

from __future__ import annotations

import pytest

from ftapp.common.errors import RecipeError
from ftapp.rpc.messages import Loaded
from ftapp.rpc.prediction_table import PredictionTable

LOADED = Loaded(task="image-classification", classes=("cat", "dog"), head="softmax", no_base=None)


@pytest.mark.parametrize("name", ["input", "answer", "top_1", "probability_cat", "error"])
def test_a_kept_column_with_the_name_of_an_answer_column_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"the answers have a column '{name}' already"):
        PredictionTable(LOADED, [name], top=1, scores=True, separator=",")


def test_a_column_that_is_kept_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="--keep id is given more than once"):
        PredictionTable(LOADED, ["id", "id"], top=0, scores=False, separator=",")
