"""Names of folders: they tell when each was made, also of those that are made in one second."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from ftapp.runs.run_names import is_name, make_name, make_sort_key, parse_name


def test_the_names_of_what_is_made_one_after_another_sort_so_whatever_it_is() -> None:
    names = []
    for rest in ("b", "z-quick", "a", "c", "a-quick-00ff"):
        names.append(make_name(rest))
        time.sleep(0.001)
    assert sorted(names, key=make_sort_key) == names
    assert all(older != newer for older, newer in pairwise(names))


@pytest.mark.parametrize("rest", ["mine", "lesson-vgg16-two-phase-quick", "a-00ff"])
def test_a_name_tells_what_was_made_and_when(rest: str) -> None:
    before = time.time()
    name = make_name(rest)
    assert is_name(name)
    found, created = parse_name(name)
    assert found == rest
    assert created is not None
    assert before - 1 <= created <= time.time()


@pytest.mark.parametrize("name", ["mine", "20260102-030405-mine", "20269999-030405-mine-00FF", ""])
def test_a_folder_of_another_name_tells_no_time(name: str) -> None:
    assert parse_name(name) == (name, None)
    assert not is_name(name)


def test_a_time_that_no_clock_shows_is_none() -> None:
    assert parse_name("20269999-030405-mine-00ff") == ("mine", None)


def test_folders_sort_by_the_time_in_their_names_or_by_the_one_that_is_given() -> None:
    older, newer = make_name("a"), "29990103-030405-a-0000"
    names = [newer, older, "zeta"]
    assert sorted(names, key=make_sort_key, reverse=True) == names
    assert sorted(names, key=lambda name: make_sort_key(name, time.time()), reverse=True) == [newer, "zeta", older]
