"""Folds: all together cover the data once, in proportion, whole groups, the same for the runs of all folds."""

from __future__ import annotations

import numpy as np
import pytest

from ftapp.data.examples import TEST, TRAIN, Texts
from ftapp.data.folds import draw_folds
from ftapp.data.splits import split, split_documents
from tests.unit.data.test_splits import examples, grouped, per_class, refusal, sizes, spec


def test_each_example_is_in_the_test_split_of_one_fold() -> None:
    source = examples([60, 30, 13])
    found = [split(source, spec(folds=5, fold=fold, validation=0.1), 3) for fold in range(1, 6)]
    assert sorted(np.concatenate([each.test.indices for each in found])) == list(range(103))
    for each in found:
        assert sorted(np.concatenate([each.train.indices, each.validation.indices, each.test.indices])) == list(
            range(103)
        )
    assert [sizes(each) for each in found] == [[72, 10, 21], [72, 10, 21], [72, 10, 21], [73, 10, 20], [73, 10, 20]]
    assert {tuple(per_class(each.test)[:2]) for each in found} == {(12, 6)}
    assert found[1].notes[-1] == "the test split is fold 2 of 5; each example is in the test split of one fold"


def test_the_limit_draws_the_same_examples_for_all_folds() -> None:
    source = examples([60, 30])
    found = [split(source, spec(folds=3, fold=fold, limit=30, validation=5), 3) for fold in (1, 2, 3)]
    assert len(set(np.concatenate([each.test.indices for each in found]))) == 30


def test_copies_of_an_example_are_tested_once() -> None:
    source = examples([40, 40])
    texts = [*source.texts, *source.texts[:20]]
    copied = Texts(texts, np.concatenate([source.labels, source.labels[:20]]), source.classes)
    found = [split(copied, spec(folds=4, fold=fold), 0) for fold in (1, 2, 3, 4)]
    tested = [copied.texts[index] for each in found for index in each.test.indices]
    assert len(tested) == len(set(tested)) == 80
    assert {each.duplicates for each in found} == {20}


def test_conflicts_and_near_copies_are_reported_in_each_fold() -> None:
    source = examples([40, 40])
    disputed = Texts([*source.texts, source.texts[0]], np.append(source.labels, np.int32(1)), source.classes)
    assert "2 examples contradict each other" in refusal(disputed, folds=4, fold=3)
    alike = Texts([*source.texts, *(text.upper() for text in source.texts)], np.tile(source.labels, 2), source.classes)
    for fold in (1, 2):
        notes = split(alike, spec(folds=2, fold=fold), 0).notes
        assert any("test texts differ from a training text only in letter case or spaces" in note for note in notes)


def test_no_group_is_in_two_folds_nor_on_both_sides() -> None:
    source = grouped([150, 90], size=6)
    groups = source.groups
    assert groups is not None
    found = [split(source, spec(folds=5, fold=fold, validation=0.1), 1) for fold in range(1, 6)]
    assert sorted(np.concatenate([each.test.indices for each in found])) == list(range(240))
    for each in found:
        train, validation, test = (set(groups[part.indices]) for part in (each.train, each.validation, each.test))
        assert len(train | validation | test) == len(train) + len(validation) + len(test)
        assert 36 <= len(each.test) <= 60


def test_several_labels_and_numbers_are_divided_by_their_strata() -> None:
    random = np.random.default_rng(0)
    numbers = Texts([f"text {index}" for index in range(95)], random.normal(size=95))
    means = [numbers.labels[split(numbers, spec(folds=5, fold=fold), 0).test.indices].mean() for fold in range(1, 6)]
    assert np.ptp(means) < 0.3, "each range of numbers is in each fold in proportion"
    sets = Texts([f"text {index}" for index in range(90)], random.random((90, 3)) < (0.1, 0.5, 0.8), ("a", "b", "c"))
    rare = [split(sets, spec(folds=3, fold=fold), 0).test.class_counts[0] for fold in (1, 2, 3)]
    assert max(rare) - min(rare) <= 1


def test_more_folds_than_examples_of_a_range_are_drawn() -> None:
    drawn = draw_folds(np.repeat(np.arange(10), 4), np.arange(40) // 2, 8, np.random.default_rng(0))
    assert np.bincount(drawn).min() >= 4


def test_data_that_cannot_be_divided_into_folds_are_refused() -> None:
    given = [TRAIN, TEST] * 20
    assert "the source has splits of its own; folds divide all examples" in refusal(examples([20, 20], given), folds=4)
    assert refusal(examples([2, 2]), folds=5, validation=0) == (
        "data.folds: 4 examples are too few for 5 folds; each fold has one or more; take at most data.folds = 4"
    )
    one = grouped([20, 20], size=5)
    one.groups = one.labels.astype(np.int64)  # a class is a group
    assert "only fold 1 of 2 has examples of 'class" in refusal(one, folds=2, validation=0)
    assert "2 groups are too few for 3 folds" in refusal(one, folds=3, validation=0)


def test_documents_are_divided_and_few_are_refused() -> None:
    texts = Texts([f"{index} " + " ".join(f"word{index * 50 + at}" for at in range(40)) for index in range(24)])
    found = [split_documents(texts, spec(folds=4, fold=fold), 0) for fold in (1, 2, 3, 4)]
    assert sorted(text for each in found for text in each.test) == sorted(texts.texts)
    with pytest.raises(Exception, match="3 texts are too few for folds; below 20, each is cut in shares"):
        split_documents(Texts(texts.texts[:3]), spec(folds=2), 0)
