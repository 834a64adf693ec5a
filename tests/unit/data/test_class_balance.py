"""Classes of unequal size: weights of losses, and epochs with an equal share of each class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from ftapp.common.errors import RecipeError
from ftapp.data.class_balance import check_balance, compute_weights, describe_balance, draw_balanced
from ftapp.data.order import order_epoch
from ftapp.recipe import Balance

CLASSES, COUNTS = ("common", "rare", "seldom"), (90, 4, 6)
LABELS = np.repeat([0, 1, 2], COUNTS)
BY_HAND = Balance.model_validate({"class_weights": {"rare": 5.0}})


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    weights = compute_weights(Balance(class_weights="balanced"), CLASSES, COUNTS)
    assert weights is not None
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(3), y=LABELS))
    assert weights @ COUNTS == pytest.approx(sum(COUNTS))


def test_a_class_without_training_examples_leaves_the_weights_of_the_others_as_they_are() -> None:
    weights = compute_weights(Balance(class_weights="balanced"), (*CLASSES, "absent"), (*COUNTS, 0))
    assert weights is not None
    np.testing.assert_allclose(weights[:3], compute_class_weight("balanced", classes=np.arange(3), y=LABELS))
    assert np.isfinite(weights).all()


def test_weights_of_a_table_are_taken_and_other_classes_count_one() -> None:
    weights = compute_weights(BY_HAND, CLASSES, COUNTS)
    assert weights is not None
    assert weights.tolist() == [1, 5, 1]
    assert compute_weights(Balance(), CLASSES, COUNTS) is None


def test_weights_of_classes_that_the_data_lack_are_refused_with_the_nearest_class() -> None:
    check_balance(BY_HAND, CLASSES)
    with pytest.raises(RecipeError) as refused:
        check_balance(Balance.model_validate({"class_weights": {"rar": 5.0, "common": 1.0}}), CLASSES)
    assert [problem.message for problem in refused.value.problems] == [
        "the data have no class 'rar'; did you mean 'rare'?"
    ]


def test_balanced_weights_make_examples_with_a_label_count_as_much_as_those_without() -> None:
    weights = compute_weights(Balance(class_weights="balanced"), ("a", "rare", "absent", "all"), (40, 2, 0, 100), 100)
    assert weights is not None
    assert weights.tolist() == [1.5, 49, 1, 1]
    (said,) = describe_balance(BY_HAND, CLASSES, COUNTS, 200)
    assert said == "the loss of a label that an example has is multiplied by its weight: rare 5, seldom 1, common 1"


@pytest.mark.parametrize(
    ("balance", "said"),
    [
        (Balance(), []),
        (BY_HAND, ["the loss of an example is multiplied by the weight of its class: rare 5, seldom 1, common 1"]),
        (
            Balance(sampling="balanced"),
            ["each epoch has 33 examples of each class, those of small classes several times"],
        ),
    ],
)
def test_what_is_done_is_told(balance: Balance, said: list[str]) -> None:
    assert describe_balance(balance, CLASSES, COUNTS) == said


def test_of_many_classes_the_largest_and_the_smallest_weight_are_told() -> None:
    names, counts = [f"class {number}" for number in range(30)], list(range(1, 31))
    (said,) = describe_balance(Balance(class_weights="balanced"), names, counts)
    assert said.endswith("of its class: class 0 15.5 to class 29 0.517")


def test_an_epoch_has_an_equal_share_of_each_class() -> None:
    drawn = draw_balanced(LABELS, np.random.default_rng(0))
    assert len(drawn) == len(LABELS)
    assert sorted(np.bincount(LABELS[drawn])) == [33, 33, 34]
    times = np.bincount(drawn, minlength=len(LABELS))
    for number, count in enumerate(COUNTS):
        of_class = times[number == LABELS]
        assert of_class.max() - of_class.min() <= 1, count
    assert times[LABELS == 0].max() == 1


def test_each_epoch_draws_the_large_class_anew_and_the_same_epoch_the_same() -> None:
    def epoch(number: int) -> list[int]:
        batches = order_epoch(len(LABELS), 8, (3, 0, number), labels=LABELS)
        return [int(example) for batch in batches for example in batch]

    assert epoch(0) == epoch(0)
    assert set(epoch(0)) != set(epoch(1))
    seen = {example for number in range(20) for example in epoch(number)}
    assert seen == set(range(len(LABELS)))
