"""The order of examples is a function of its key, and holds each example once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from numpy.typing import NDArray

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.data import Subset, encoded, encoding
from ftapp.data.encoded import LabelledTexts
from ftapp.data.encoded_splits import load_encoded
from ftapp.data.encoding import encode_texts, tokenize
from ftapp.data.examples import Texts
from ftapp.data.order import order_epoch, order_evaluation
from ftapp.data.prefetch import prefetch
from ftapp.models import build
from tests.support.presets import Tiny


def test_an_epoch_holds_each_example_once_in_an_order_of_its_own() -> None:
    first, again, other = (list(order_epoch(50, 8, (7, 0, epoch))) for epoch in (0, 0, 1))
    assert sorted(np.concatenate(first)) == list(range(50))
    assert [len(batch) for batch in first] == [8] * 6 + [2]
    assert np.array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_an_epoch_can_be_entered_at_any_batch() -> None:
    lengths = np.random.default_rng(0).integers(4, 256, 1000)
    for of in (None, lengths):
        whole = list(order_epoch(1000, 4, (7, 0, 0), of))
        for start in (0, 1, 31, 32, 33, 100, 249, 250):
            part = list(order_epoch(1000, 4, (7, 0, 0), of, start=start))
            assert [list(batch) for batch in part] == [list(batch) for batch in whole[start:]]


def test_lengths_are_looked_up_as_the_batches_are_asked_for() -> None:
    asked: list[int] = []

    class Lengths:
        """Remembers of how many examples it was asked."""

        def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.int64]:
            asked.append(len(indices))
            return indices

    batches = order_epoch(1000, 4, (7, 0, 0), Lengths())
    for _ in range(33):
        next(batches)
    assert asked == [128, 128]
    asked.clear()
    assert len(list(order_epoch(1000, 4, (7, 0, 0), Lengths(), start=249))) == 1
    assert asked == [104]


def test_a_rest_is_filled_up_with_the_first_examples_where_batches_are_normalized() -> None:
    plain, filled = (list(order_epoch(50, 8, (7, 0, 0), fill=fill)) for fill in (False, True))
    assert [len(batch) for batch in filled] == [8] * 7
    assert np.array_equal(np.concatenate(filled)[:50], np.concatenate(plain))
    assert np.array_equal(filled[-1][2:], filled[0][:6])
    assert [len(batch) for batch in order_epoch(48, 8, (7, 0, 0), fill=True)] == [8] * 6
    assert [len(batch) for batch in order_epoch(5, 8, (7, 0, 0), fill=True)] == [5]


def test_buckets_hold_each_example_once_and_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(4, 256, 3000)
    batches = list(order_epoch(3000, 16, (0, 0, 0), lengths))
    assert sorted(np.concatenate(batches)) == list(range(3000))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    shuffled = sum(lengths[batch].max() * len(batch) for batch in order_epoch(3000, 16, (0, 0, 0)))
    assert padded < 1.1 * lengths.sum()
    assert shuffled > 1.6 * lengths.sum()
    # The batches themselves come in no order of length.
    middles = np.array([np.median(lengths[batch]) for batch in batches])
    assert abs(np.corrcoef(middles, np.arange(len(middles)))[0, 1]) < 0.3


def test_evaluation_sees_the_same_examples_each_time() -> None:
    lengths = np.arange(100)[::-1]
    batches = order_evaluation(100, 16, 40, 3, lengths)
    chosen = np.concatenate(batches)
    assert len(set(chosen)) == 40
    assert np.array_equal(chosen, np.concatenate(order_evaluation(100, 16, 40, 3, lengths)))
    assert (np.diff(lengths[chosen]) >= 0).all()
    assert sorted(np.concatenate(order_evaluation(10, 4, None, 0))) == list(range(10))


def test_prefetching_keeps_order_runs_ahead_and_passes_errors_on() -> None:
    main = threading.get_ident()
    made: list[int] = []

    def make(key: int) -> int:
        assert threading.get_ident() != main
        if key == 5:
            raise OSError("no sixth one")
        made.append(key)
        return key * 10

    results: Iterator[int] = prefetch(make, iter(range(9)))
    assert next(results) == 0
    assert [next(results) for _ in range(4)] == [10, 20, 30, 40]
    with pytest.raises(OSError, match="no sixth one"):
        next(results)
    assert made[:5] == [0, 1, 2, 3, 4]


def test_texts_are_encoded_as_the_preset_does_whole(tiny: Tiny) -> None:
    tokenizer = keras_hub.models.BertTokenizer.from_preset(str(tiny.bert))
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    words = [word for word in tokenizer.get_vocabulary() if word.isalpha()]
    random = np.random.default_rng(0)
    texts = [
        "",
        words[0],
        "x" * 500,
        "x" * 200 + " " + " ".join(words[:9]),  # few tokens for its length: it is read again, whole
        "  \n " * 40 + words[1] + "\t" + words[2],
        "x" * 63 + " ," + words[3],
        *(" ".join(random.choice(words, size)) for size in random.integers(1, 120, 40)),
    ]
    found = encode_texts(texts, preprocessor)
    for name, values in preprocessor(texts).items():
        assert np.array_equal(found[name], keras.ops.convert_to_numpy(values)), name


def test_the_ends_of_long_texts_are_not_tokenized(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = keras_hub.models.BertTokenizer.from_preset(str(tiny.bert))
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    read: list[str] = []

    def watch(texts: list[str], tokenizer: object) -> list[Sequence[int]]:
        read.extend(texts)
        return tokenize(texts, tokenizer)

    monkeypatch.setattr(encoding, "tokenize", watch)
    encode_texts(["a good film " * 1000], preprocessor)
    assert sum(map(len, read)) < 100


def test_a_text_is_tokenized_when_it_is_first_asked_for(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = keras_hub.models.BertTokenizer.from_preset(str(tiny.bert))
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    words = ["good ", "great ", "fine "]
    texts = Texts([words[number % 3] * (1 + number % 5) for number in range(2000)])
    read: list[str] = []

    def watch(some: Sequence[str], preprocessor: object) -> dict[str, NDArray[Any]]:
        read.extend(some)
        return encode_texts(some, preprocessor)

    monkeypatch.setattr(encoded, "encode_texts", watch)
    dataset = LabelledTexts(Subset(texts, np.arange(2000)), preprocessor)
    first = next(order_epoch(len(dataset), 16, (0, 0, 0), dataset.lengths))
    assert read == [texts[index] for index in np.sort(np.random.default_rng([0, 0, 0]).permutation(2000)[:512])]
    inputs = dataset.make_inputs(first, None)
    assert len(read) == 512
    dataset.lengths[np.arange(2000)]
    assert len(read) == 2000
    whole = preprocessor([texts[index] for index in first])
    for name, values in inputs.items():
        assert np.array_equal(values, keras.ops.convert_to_numpy(whole[name])), name


def test_threads_that_ask_for_the_same_texts_get_the_same(tiny: Tiny) -> None:
    tokenizer = keras_hub.models.BertTokenizer.from_preset(str(tiny.bert))
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=8)
    texts = Texts(["good " * (1 + number % 5) for number in range(500)])
    dataset = LabelledTexts(Subset(texts, np.arange(500)), preprocessor)
    with ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda _: dataset.hash_examples(np.arange(500), None), range(8)))
    assert all(each == hashes[0] for each in hashes)
    assert len(set(hashes[0])) == 5


def test_a_text_of_less_than_a_sequence_is_said_to_be_so(lm_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("the cat sees the dog. " * 3)
    parsed = recipe.parse(lm_recipe.replace(str(tiny.book), f"{tmp_path}/short.txt"))
    with pytest.raises(RecipeError, match=r"the test split has \d+ characters, too few for one sequence of 16 tokens"):
        load_encoded(parsed, build.load_preprocessor(parsed), lambda *message: None)
