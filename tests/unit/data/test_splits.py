"""Splits: without duplicates, stratified, repeatable, and clear about sizes that cannot be met."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data.digits import Digits
from ftapp.data.examples import TEST, TRAIN, VALIDATION, Texts
from ftapp.data.splits import split
from ftapp.recipe import Data


def examples(counts: list[int], given: list[int] | None = None) -> Texts:
    """Different texts; class k has counts[k] of them, one class after the other."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    texts = [f"text {number} of class {label}" for number, label in enumerate(labels)]
    names = tuple(f"class{number}" for number in range(len(counts)))
    return Texts(texts, labels, names, None if given is None else np.array(given, np.int8))


def grouped(counts: list[int], size: int, seed: int = 0) -> Texts:
    """Texts as `examples` makes them, in random groups of about `size` texts."""
    made = examples(counts)
    made.groups = np.random.default_rng(seed).integers(0, len(made) // size, len(made))
    return made


def spec(**keys: object) -> Data:
    return Data.model_validate({"source": "sklearn:digits", **keys})


def sizes(splits: data.Splits) -> list[int]:
    return [len(part) for part in (splits.train, splits.validation, splits.test)]


def per_class(part: data.Subset) -> list[int]:
    return [int((part.labels == label).sum()) for label in range(len(part.examples.classes))]


def refusal(source: Texts, **keys: object) -> str:
    with pytest.raises(RecipeError) as caught:
        split(source, spec(**keys), 0)
    return str(caught.value)


def test_shares_and_numbers_are_met_and_stratified() -> None:
    splits = split(examples([600, 300, 100]), spec(validation=0.1, test=0.2), 0)
    assert [per_class(part) for part in (splits.train, splits.validation, splits.test)] == [
        [420, 210, 70],
        [60, 30, 10],
        [120, 60, 20],
    ]
    assert sizes(split(examples([600, 300, 100]), spec(validation=7, test=13), 0)) == [980, 7, 13]
    assert sizes(split(examples([50, 50]), spec(validation=0, test=0.5), 0)) == [50, 0, 50]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits_and_sizes_are_nearly_met(seed: int) -> None:
    source = grouped([600, 300, 100], 10, seed)
    splits = split(source, spec(validation=0.1, test=0.2), seed)
    assert source.groups is not None
    parts = [splits.train, splits.validation, splits.test]
    groups = [set(source.groups[part.indices].tolist()) for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == len(set(source.groups.tolist()))
    assert sum(sizes(splits)) == 1000
    assert sizes(splits) == pytest.approx([700, 100, 200], abs=15)
    assert per_class(splits.test) == pytest.approx([120, 60, 20], abs=15)
    assert splits.notes == (
        "no group is in two splits; the groups are "
        + ", ".join(
            f"{len(found)} in {name}" for found, name in zip(groups, ("train", "validation", "test"), strict=True)
        ),
    )


def test_other_seeds_draw_other_groups_and_the_same_seed_the_same() -> None:
    source = grouped([60, 40], 5)
    drawn = [split(source, spec(), seed).test.indices.tolist() for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len({tuple(sorted(each)) for each in drawn}) == 3


def test_classes_that_are_groups_leave_too_few_to_divide() -> None:
    source = examples([20, 20])
    source.groups = source.labels.astype(np.int64)
    assert refusal(source, validation=0) == (
        "data.group_column: 2 groups are too few for the test split; each class keeps examples of another group to "
        "train on"
    )


def test_splits_of_the_source_that_share_a_group_are_refused() -> None:
    source = examples([20, 20], [TRAIN, TEST] * 20)
    source.groups = np.repeat(np.arange(20), 2)
    assert refusal(source, validation=0).startswith(
        "data.group_column: 20 groups, such as that of example 1, are in two splits of the source; each group is in one"
    )
    source.groups = np.tile([0, 1], 20)
    assert sizes(split(source, spec(validation=0, test=0.5), 0)) == [20, 0, 20]


def test_no_example_is_in_two_splits_and_none_is_lost() -> None:
    splits = split(examples([37, 61, 5]), spec(), 3)
    indices = [set(part.indices.tolist()) for part in (splits.train, splits.validation, splits.test)]
    assert set().union(*indices) == set(range(103))
    assert sum(map(len, indices)) == 103


def test_every_class_is_in_train_and_test() -> None:
    splits = split(examples([1000, 2, 3]), spec(test=10, validation=5), 0)
    assert min(per_class(splits.train)) >= 1
    assert min(per_class(splits.test)) >= 1


def test_the_first_examples_of_a_split_are_a_sample() -> None:
    splits = split(examples([500, 500]), spec(), 0)
    assert 30 < splits.test.labels[:100].sum() < 70


def test_limit_is_drawn_before_the_split() -> None:
    splits = split(examples([600, 300, 100]), spec(limit=100, test=0.2, validation=0.1), 0)
    assert sizes(splits) == [70, 10, 20]
    assert np.sum([per_class(part) for part in (splits.train, splits.validation, splits.test)], axis=0).tolist() == [
        60,
        30,
        10,
    ]
    assert sizes(split(examples([5, 5]), spec(limit=1000), 0)) == [7, 1, 2]


def test_the_seed_alone_decides() -> None:
    first, again, other = (split(examples([50, 50]), spec(), seed) for seed in (1, 1, 2))
    assert first.test.indices.tolist() == again.test.indices.tolist()
    assert first.test.indices.tolist() != other.test.indices.tolist()
    code = (
        "from ftapp import data; from ftapp.recipe import Data\n"
        "print(data.load(Data(source='sklearn:digits', limit=50), 'image-classification', 5).test.indices.tolist())"
    )
    here = data.load(spec(limit=50), "image-classification", 5).test.indices.tolist()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(here)


def test_duplicates_are_dropped_before_the_split() -> None:
    source = examples([30, 30])
    texts = [*source.texts, " text 0 of class 0\n", "text 1 of class 0", "cafe\u0301", "caf\u00e9"]
    labels = np.append(source.labels, [0, 1, 1, 1]).astype(np.int32)
    splits = split(Texts(texts, labels, source.classes), spec(conflicts="drop"), 0)
    kept = {int(index) for part in (splits.train, splits.validation, splits.test) for index in part.indices}
    # One repeats with the same label; two disagree on the label and both go; one repeats in another Unicode form.
    assert kept == set(range(60)) - {1} | {62}
    assert splits.duplicates == 2
    (note,) = splits.notes
    assert note.startswith("2 examples contradict each other and are left out")
    assert note.endswith("example 2 (class0) and example 62 (class1)")


def test_given_splits_stay_as_they_are() -> None:
    given = [TRAIN] * 60 + [VALIDATION] * 10 + [TEST] * 30
    source = Texts([f"text {number}" for number in range(100)], np.arange(100, dtype=np.int32) % 2, ("a", "b"))
    source.given_split = np.array(given, np.int8)
    splits = split(source, spec(), 0)
    assert sizes(splits) == [60, 10, 30]
    assert sorted(splits.test.indices) == list(range(70, 100))
    assert sizes(split(source, spec(test=20, validation=4), 0)) == [60, 4, 20]
    assert sizes(split(source, spec(limit=50), 0)) == [30, 5, 15]
    assert sizes(split(source, spec(limit=50, test=30), 0)) == [15, 5, 30]
    source.given_split[60:70] = TRAIN
    assert sizes(split(source, spec(), 0)) == [63, 7, 30]
    assert refusal(source, test=31).startswith(
        "data.test: 31 examples are too many; the test split of this source has 30"
    )


def test_what_the_test_split_holds_leaves_the_rest() -> None:
    source = Texts(
        ["x", "y", "z", "x", "v", "w", "v", "w"],
        np.array([0, 1, 0, 0, 1, 0, 1, 0], np.int32),
        ("a", "b"),
        np.array([TRAIN, TRAIN, TRAIN, TEST, TEST, VALIDATION, VALIDATION, TRAIN], np.int8),
    )
    splits = split(source, spec(), 0)
    assert [sorted(part.indices.tolist()) for part in (splits.train, splits.validation, splits.test)] == [
        [1, 2],
        [5],
        [3, 4],
    ]
    assert splits.duplicates == 3


def test_sizes_that_cannot_be_met() -> None:
    assert refusal(examples([10, 10]), test=21).startswith(
        "data.test: 21 of 20 examples are too many for the test split; each class keeps an example to train on, which "
        "leaves at most 18"
    )
    assert refusal(examples([10, 10]), test=12, validation=8).startswith("data.validation: ")
    assert refusal(examples([10, 10, 10]), limit=5).startswith(
        "data.limit: 5 examples are too few; a limit leaves 2 of each class to train on, at least 6 in all"
    )


def test_a_class_with_too_few_examples() -> None:
    message = refusal(examples([10, 1, 0]))
    assert message.startswith("data.source: without duplicates, 'class1' has 1, 'class2' has 0; each class needs one")


def test_digits() -> None:
    splits = data.load(spec(), "image-classification", 0)
    image = splits.train[0]
    assert isinstance(image, np.ndarray)
    assert (image.shape, str(image.dtype), image.min(), image.max()) == ((8, 8, 3), "uint8", 0, 255)
    assert sum(sizes(splits)) == 1797
    assert splits.classes == tuple("0123456789")
    order = list("9876543210")
    turned = data.load(spec(classes=order), "image-classification", 0)
    assert turned.classes == tuple(order)
    assert (turned.train.examples.labels == 9 - splits.train.examples.labels).all()
    with pytest.raises(RecipeError, match=r"data\.classes: '9', a class of the source, is missing"):
        data.load(spec(classes=order[1:]), "image-classification", 0)


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    ours, theirs = Digits(), load_digits()
    assert (ours.labels == theirs.target).all()
    for channel in range(3):
        images = np.stack([ours[index][..., channel] for index in range(len(theirs.images))])
        assert (images == np.rint(theirs.images * (255 / 16))).all()


def test_digits_need_neither_keras_nor_the_import_of_scikit_learn() -> None:
    code = (
        "import sys; from ftapp import data; from ftapp.recipe import Data\n"
        "data.load(Data(source='sklearn:digits'), 'image-classification', 0)\n"
        "print([name for name in ('keras', 'tensorflow', 'PIL', 'sklearn', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
