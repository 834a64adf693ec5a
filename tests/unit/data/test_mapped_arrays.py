"""Encoded examples that are larger than memory: the same bits from files as from memory."""

from __future__ import annotations

import errno
import logging
import tracemalloc
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest

from ftapp.common.unnamed_files import reserve
from ftapp.data import Subset, mapped_arrays
from ftapp.data.completions import Completions
from ftapp.data.encoded import LabelledTexts, Sequences
from ftapp.data.encoded_completions import EncodedCompletions
from ftapp.data.examples import Texts
from ftapp.data.mapped_arrays import ArrayWriter, make_zeros, split_rows
from ftapp.recipe.templates import Exchange
from tests.support.presets import Tiny

_PIECE = np.arange(1000, dtype=np.int32)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All arrays of more than 64 bytes go to files; the sizes that are reserved for them."""
    reserved: list[int] = []

    def remember(file: Any, size: int) -> None:
        reserved.append(size)
        reserve(file, size)

    monkeypatch.setattr(mapped_arrays, "IN_MEMORY", 64)
    monkeypatch.setattr(mapped_arrays, "reserve", remember)
    return reserved


def write(pieces: int) -> np.ndarray[Any, Any]:
    writer = ArrayWriter(np.int32)
    for number in range(pieces):
        writer.append(_PIECE + number)
    return writer.finish()


def test_a_writer_never_holds_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_arrays, "IN_MEMORY", 3 * _PIECE.nbytes)
    write(5)
    tracemalloc.start()
    found = write(500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * _PIECE.nbytes
    assert np.array_equal(found.reshape(500, 1000), _PIECE + np.arange(500)[:, None])


@pytest.mark.parametrize("refused_from", [1, 3])
def test_without_room_on_the_disk_the_rest_is_in_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refused_from: int
) -> None:
    asked: list[int] = []

    def refuse(file: Any, size: int) -> None:
        asked.append(size)
        if len(asked) >= refused_from:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mapped_arrays, "IN_MEMORY", 2 * _PIECE.nbytes)
    monkeypatch.setattr(mapped_arrays, "reserve", refuse)
    with caplog.at_level(logging.WARNING, "ftapp"):
        found = write(20)
        zeros = make_zeros((100, 1000), np.dtype(np.int32))
    assert np.array_equal(found.reshape(20, 1000), _PIECE + np.arange(20)[:, None])
    assert not zeros.any()
    assert len(caplog.messages) == 2
    assert "encoded examples need 390.6 KiB, which the cache cannot take (No space" in caplog.messages[1]


def test_a_small_array_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_arrays, "open_unnamed", lambda: pytest.fail("a file was made"))
    assert len(write(20)) == 20_000
    assert len(write(0)) == 0
    assert make_zeros((3, 2), np.dtype(bool)).shape == (3, 2)


def test_rows_share_the_value_between_them() -> None:
    assert split_rows(np.arange(8), 4, 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert split_rows(np.arange(3), 4, 3).shape == (0, 4)


def test_texts_from_a_file_have_the_same_bits(tiny: Tiny, mapped: list[int]) -> None:
    bert = keras_hub.models.BertTextClassifierPreprocessor.from_preset(str(tiny.bert), sequence_length=16)
    gpt2 = keras_hub.models.CausalLMPreprocessor.from_preset(str(tiny.gpt2), sequence_length=8)
    texts = ["a good film " * count for count in range(1, 9)]
    rows = [(Exchange(f"the cat {at}?", " the" * (1 + at % 3)),) for at in range(9)]
    everything = np.arange(8)

    def encode() -> list[Any]:
        classes = LabelledTexts(Subset(Texts(texts), everything), bert)
        sequences = Sequences(texts, gpt2)
        completions = EncodedCompletions(Subset(Completions(rows), np.arange(9)), gpt2)
        found: list[Any] = []
        for part in (classes, sequences, completions):
            some = np.arange(len(part))[::-1]
            found += [part.make_inputs(some, None), part.get_targets(some), part.hash_examples(some, None)]
        return found

    from_files = encode()
    assert len(mapped) >= 4
    before = len(mapped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped_arrays, "IN_MEMORY", 2**26)
        in_memory = encode()
    assert len(mapped) == before
    np.testing.assert_equal(from_files, in_memory)


def test_a_file_of_an_array_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: list[int]) -> None:
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    zeros = make_zeros((100, 10), np.dtype(np.float32))
    zeros[:] = 1
    assert mapped == [4000]
    assert list((tmp_path / "cache").iterdir()) == []
