"""Features on disk: what is written is read again, by other processes too, and what was half-written is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ftapp.data.hashes import hash_content
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore

COLUMNS = (FeatureColumn("pooled", (3,), False, "float32"), FeatureColumn("tokens", (2,), True, "bfloat16"))


def keys(*names: str) -> list[bytes]:
    return [hash_content(name.encode()) for name in names]


def write(store: FeatureStore, names: str, counts: Sequence[int], value: float) -> None:
    pooled = np.full((len(names), 3), value, np.float32)
    tokens = np.full((len(names), 8, 2), value, np.float32)
    store.append(keys(*names), counts, {"pooled": pooled, "tokens": tokens}, 0.5)


def test_what_is_written_is_read_padded_with_zeros(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, COLUMNS)
    write(store, "ab", [2, 5], 1.5)
    write(store, "c", [3], 2.5)
    read, absent = store.read(keys("c", "a", "c"), 4)
    assert absent == []
    assert read["pooled"].tolist() == [[2.5] * 3, [1.5] * 3, [2.5] * 3]
    assert read["tokens"].shape == (3, 4, 2)
    assert read["tokens"][:, :, 0].astype(float).tolist() == [[2.5, 2.5, 2.5, 0], [1.5, 1.5, 0, 0], [2.5, 2.5, 2.5, 0]]
    assert keys("d")[0] not in store


def test_another_process_finds_it_and_goes_on(tmp_path: Path) -> None:
    store, other = FeatureStore(tmp_path, COLUMNS), FeatureStore(tmp_path, COLUMNS)
    write(store, "ab", [2, 5], 1.5)
    assert keys("a")[0] not in other
    other.refresh()
    write(other, "c", [3], 2.5)
    store.refresh()
    assert store.read(keys("c"), 3)[0]["tokens"].astype(float).tolist() == [[[2.5, 2.5]] * 3]


def test_what_a_killed_process_left_behind_is_written_over(tmp_path: Path) -> None:
    write(FeatureStore(tmp_path, COLUMNS), "a", [2], 1.5)
    with (tmp_path / "index").open("ab") as index, (tmp_path / "tokens").open("ab") as tokens:
        index.write(b"half of a record")
        tokens.write(b"half of an example")
    store = FeatureStore(tmp_path, COLUMNS)
    write(store, "b", [3], 2.5)
    again = FeatureStore(tmp_path, COLUMNS)
    assert again.read(keys("a", "b"), 3)[0]["tokens"][:, :, 0].astype(float).tolist() == [[1.5, 1.5, 0], [2.5] * 3]


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0x10
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit of a column": lambda folder: flip(folder / "pooled", 13),
    "a flipped bit of tokens": lambda folder: flip(folder / "tokens", 9),
    "a flipped bit of the index": lambda folder: flip(folder / "index", 20),
    "a column of zeros": lambda folder: (folder / "pooled").write_bytes(bytes(36)),
    "a truncated column": lambda folder: os.truncate(folder / "tokens", 5),
    "an index of an odd size": lambda folder: os.truncate(folder / "index", 70),
    "an index of zeros": lambda folder: (folder / "index").write_bytes(bytes(200)),
    "an index of huge numbers": lambda folder: (folder / "index").write_bytes(b"\xff" * 500),
    "an index of text": lambda folder: (folder / "index").write_text("null\n" * 40),
    "an empty index": lambda folder: os.truncate(folder / "index", 0),
    "no index": lambda folder: (folder / "index").unlink(),
    "no column": lambda folder: (folder / "pooled").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_examples_are_absent_and_can_be_written_anew(tmp_path: Path, damage: str) -> None:
    write(FeatureStore(tmp_path, COLUMNS), "abc", [2, 5, 3], 1.5)
    DAMAGES[damage](tmp_path)
    store = FeatureStore(tmp_path, COLUMNS)
    store.check(keys(*"abc"))
    values, absent = store.read(keys(*"abc"), 5)
    assert absent
    assert all((values["pooled"][place] == (0 if place in absent else 1.5)).all() for place in range(3))
    lost = "".join("abc"[place] for place in absent)
    store.trim()
    write(store, lost, [{"a": 2, "b": 5, "c": 3}[name] for name in lost], 1.5)
    for reader in (store, FeatureStore(tmp_path, COLUMNS)):
        reader.check(keys(*"abc"))
        values, absent = reader.read(keys(*"abc"), 5)
        assert absent == []
        assert (values["pooled"] == 1.5).all()
        assert values["tokens"].astype(float).sum(axis=(1, 2)).tolist() == [6, 15, 9]


@pytest.mark.parametrize("file", ["index", "pooled", "tokens"])
def test_each_flipped_byte_is_found(tmp_path: Path, file: str) -> None:
    write(FeatureStore(tmp_path, COLUMNS), "ab", [2, 5], 1.5)
    for at in range((tmp_path / file).stat().st_size):
        flip(tmp_path / file, at)
        store = FeatureStore(tmp_path, COLUMNS)
        values, absent = store.read(keys("a", "b"), 5)
        store.close()
        flip(tmp_path / file, at)
        assert len(absent) == 1
        assert (values["pooled"][1 - absent[0]] == 1.5).all()


def test_damage_after_the_check_is_found_when_it_is_read(tmp_path: Path) -> None:
    write(FeatureStore(tmp_path, COLUMNS), "ab", [2, 5], 1.5)
    store = FeatureStore(tmp_path, COLUMNS)
    store.check(keys("a", "b"))
    flip(tmp_path / "pooled", 0)
    assert store.read(keys("a", "b"), 5)[1] == [0]
    store.check(keys("a", "b"))
    assert store.take_damaged() == 1
    assert keys("a")[0] not in store


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "pooled").mkdir()
    store = FeatureStore(tmp_path, COLUMNS)
    assert store.unwritable
    assert store.read(keys("a"), 5)[1] == [0]
