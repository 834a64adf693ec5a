"""A search finds the entry that is named before those of which something like it is said."""

from __future__ import annotations

import pytest

from ftapp.tui.search import rank

ENTRIES = {
    "vgg16-feature-extractor": "VGG16, features + softmax: as in bert-full",
    "bert-full": "everything trains, as bert-head-only does not",
    "bert-full-steadied": "bert-full with clipped gradients",
    "my_bert-full": "own",
    "train [a-z]*_dense": "brackets",
}


def best(query: str) -> list[str]:
    ranks = {name: place for name, about in ENTRIES.items() if (place := rank(query, name, about)) is not None}
    return sorted(ranks, key=ranks.__getitem__)


def test_names_come_before_what_is_said() -> None:
    assert best("bert-full") == ["bert-full", "bert-full-steadied", "my_bert-full", "vgg16-feature-extractor"]
    assert best("BERT_FULL")[:2] == best("bert full")[:2] == ["bert-full", "bert-full-steadied"]
    assert best("ful")[-1] == "vgg16-feature-extractor"
    assert best("extract") == ["vgg16-feature-extractor"]
    assert best("ull-st") == ["bert-full-steadied"]
    assert best("softmax vgg") == ["vgg16-feature-extractor"]
    assert best("[a-z]") == ["train [a-z]*_dense"]
    assert best("nowhere") == []


@pytest.mark.parametrize("query", ["", "  ", "-", "***"])
def test_a_query_without_letters_is_no_reason_to_fail(query: str) -> None:
    assert all(
        rank(query, name, about) is None or isinstance(rank(query, name, about), int) for name, about in ENTRIES.items()
    )
