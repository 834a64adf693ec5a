"""Equal examples: one of them stays, and those with different labels are refused, left out, or settled by the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data.duplicates import drop_duplicates
from ftapp.data.examples import TEST, TRAIN, VALIDATION, Texts
from tests.support.images import noise, spec, write


def texts(labelled: Sequence[tuple[str, int]], given: Sequence[int] | None = None) -> Texts:
    labels = np.array([label for _, label in labelled], np.int32)
    splits = None if given is None else np.array(given, np.int8)
    return Texts([text for text, _ in labelled], labels, ("no", "yes"), splits)


# Two conflicts, of three examples and of two; "c" is a duplicate without one.
MIXED = [("a", 0), ("b", 1), ("a", 1), ("a", 0), ("c", 1), ("c", 1), ("b", 0), ("d", 0)]


def test_equal_examples_with_other_labels_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        drop_duplicates(texts(MIXED), "stop")
    assert str(caught.value) == (
        "data.conflicts: 5 examples contradict each other, equal ones with other labels: example 1 (no) and example 3 "
        "(yes), example 2 (yes) and example 7 (no); equal examples have one label; correct them, or leave them out of "
        "the training: --set data.conflicts=drop, or let the first of them count: --set data.conflicts=first"
    )


@pytest.mark.parametrize(
    ("conflicts", "kept", "duplicates", "became"),
    [("drop", [4, 7], 1, "are left out"), ("first", [0, 1, 4, 7], 4, "the first of them count")],
)
def test_conflicts_are_left_out_or_the_first_counts(
    conflicts: str, kept: list[int], duplicates: int, became: str
) -> None:
    found = drop_duplicates(texts(MIXED), conflicts)  # type: ignore[arg-type]
    assert (found.train.tolist(), found.duplicates, len(found)) == (kept, duplicates, len(kept))
    assert found.notes == (
        f"5 examples contradict each other and {became}, equal ones with other labels: example 1 (no) and example 3 "
        "(yes), example 2 (yes) and example 7 (no)",
    )


@pytest.mark.parametrize("conflicts", ["drop", "first"])
def test_splits_of_the_source_stay_whole(conflicts: str) -> None:
    labelled = [("a", 0), ("b", 1), ("a", 1), ("b", 1), ("a", 1), ("c", 0)]
    given = [TRAIN, TRAIN, TEST, VALIDATION, TEST, VALIDATION]
    found = drop_duplicates(texts(labelled, given), conflicts)  # type: ignore[arg-type]
    assert [found.train.tolist(), found.validation.tolist(), found.test.tolist()] == [[], [3, 5], [2, 4]]
    assert found.duplicates == 2
    assert found.notes == (
        "3 examples contradict each other and those of the source's held-out splits stay, equal ones with other "
        "labels: example 3 (yes) and example 1 (no)",
    )
    with pytest.raises(RecipeError, match=r"example 3 \(yes\) and example 1 \(no\)"):
        drop_duplicates(texts(labelled, given), "stop")


def test_many_conflicts_are_counted() -> None:
    pairs = [(f"text {number}", label) for label in (0, 1) for number in range(50)]
    with pytest.raises(RecipeError, match=r"100 examples .* example 3 \(no\) and example 53 \(yes\) and 47 more; "):
        drop_duplicates(texts(pairs), "stop")


def test_equal_pictures_in_two_classes_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(5):
            write(tmp_path / name / f"{name}{number}.png", noise(number + 10 * (name == "dog")))
    Image.open(tmp_path / "cat" / "cat3.png").save(tmp_path / "dog" / "copy.bmp")  # the same pixels in other bytes
    with pytest.raises(RecipeError, match=r"2 examples .* cat/cat3\.png \(cat\) and dog/copy\.bmp \(dog\); "):
        data.load(spec(f"folder:{tmp_path}"), "image-classification", 0)
    splits = data.load(spec(f"folder:{tmp_path}", conflicts="first"), "image-classification", 0)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 10
