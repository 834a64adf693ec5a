"""Labels: words for a missing value, labels that look alike, labels that are no classes, and numbers with names."""

from __future__ import annotations

import tomllib

import pytest

from ftapp.data import labels


def said(*found: str, named: list[str] | None = None, merge: bool = False) -> list[str]:
    return [trouble.message for trouble in labels.find_troubles(dict.fromkeys(found, 3), named, merge=merge)]


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "N/A", "null", "None", "-", "?", "#N/A", "<NA>", "NaT", "#REF!"])
def test_words_for_a_missing_value_are_no_classes_unless_named(word: str) -> None:
    (message,) = said("neg", "pos", word)
    assert message.startswith(f"'{word}' stands for a missing label, and is no class")
    assert message.endswith(labels.override_classes(["neg", "pos", word]))
    assert said("neg", "pos", word, named=["neg", "pos", word]) == []
    assert said("neg", "pos", word, merge=True)


def test_an_empty_label_is_missing_and_cannot_be_named() -> None:
    assert said("neg", "pos", "") == ["the label is missing"]


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ("neg", "Neg", "letter case"),
        ("STRASSE", "straße", "letter case"),
        ("1", "1.0", "the way of writing a number"),
        ("1", "01", "the way of writing a number"),
        ("1", "+1", "the way of writing a number"),
        ("1,5", "1.50", "the way of writing a number"),
        ("pos", "pos\u200b", "characters that cannot be seen"),
        ("pos", "\ufeffpos", "characters that cannot be seen"),
        ("pos", "po\u00ads", "characters that cannot be seen"),
        ("été", "e\u0301te\u0301", "the Unicode form of their letters"),
        ("pos", "ｐｏｓ", "the Unicode form of their letters"),
        ("not spam", "not\u00a0spam", "the Unicode form of their letters"),
        ("not spam", "not  spam", "spaces"),
        ("pos", "'pos'", "quotes"),
        ("pos", "“pos”", "quotes"),
        ("pos", '" pos "', "quotes"),
        ("not_spam", "not spam", "dashes and underscores"),
        ("co-op", "co–op", "dashes and underscores"),
        ("pos", "p\u043es", "letters of another alphabet"),
    ],
)
def test_labels_that_look_alike_are_refused_with_the_way_to_merge_or_keep_them(
    one: str, other: str, difference: str
) -> None:
    (message,) = said(one, other, "something else")
    assert f"differ only in {difference}" in message
    assert "to merge them, --set data.merge_labels=true" in message
    assert message.endswith(f"to keep them apart, {labels.override_classes([one, other, 'something else'])}")
    assert said(one, other, named=[one, other]) == []
    assert said(one, other, merge=True) == []
    assert len(labels.merge_labels({one: 2, other: 1})) == 1
    assert labels.find_positions([one, other], [other], merge=True) == {one: 0, other: 0}


@pytest.mark.parametrize(
    "alike",
    [
        ("yes", "Y"),
        ("No", "n"),
        ("true", "1"),
        ("false", "0.0"),
        ("T", "TRUE"),
        ("yes", "true"),
        ("yes", "y", "1", "True"),
    ],
)
def test_labels_that_mean_the_same_are_refused_with_the_way_to_merge_or_keep_them(alike: tuple[str, ...]) -> None:
    (message,) = said(*alike, "maybe")
    assert message.startswith(" and ".join(f"'{label}' (3)" for label in alike) + " mean the same; ")
    assert "to merge them, --set data.merge_labels=true" in message
    assert message.endswith(f"to keep them apart, {labels.override_classes([*alike, 'maybe'])}")
    assert said(*alike, named=list(alike)) == []
    assert said(*alike, merge=True) == []
    assert len(labels.merge_labels(dict.fromkeys(alike, 1))) == 1
    assert labels.find_positions(alike, [alike[0]], merge=True) == dict.fromkeys(alike, 0)


def test_yes_and_no_in_two_ways_of_writing_are_two_classes_when_merged() -> None:
    counts = {"yes": 40, "Y": 3, "no": 50, "N": 2}
    assert len(said(*counts)) == 2
    assert labels.merge_labels(counts) == ("no", "yes")
    assert labels.find_positions(counts, ["no", "yes"], merge=True) == {"yes": 1, "Y": 1, "no": 0, "N": 0}


def test_single_letters_and_numbers_without_a_word_are_classes_of_their_own() -> None:
    assert said(*"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == []
    assert said("0", "1", "no idea", "yes sir") == []


@pytest.mark.parametrize(
    "different", [("-1", "1"), ("00", "01"), ("naive", "naïve"), ("c", "c++"), ("a", "b"), ("9" * 5000, "1" * 5000)]
)
def test_labels_that_differ_are_left_alone(different: tuple[str, str]) -> None:
    assert said(*different) == []


def test_the_way_to_keep_labels_apart_is_an_override_that_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    names = ["pos", "pos\u200b", "it's", 'a "b" \\', "e\u0301"]
    flag, value = shlex.split(labels.override_classes(names))
    assert flag == "--set"
    assert value.isprintable()
    key, _, text = value.partition("=")
    assert key == "data.classes"
    assert sorted(tomllib.loads(f"value = {text}")["value"]) == sorted(names)


def test_the_most_frequent_way_of_writing_names_a_merged_class() -> None:
    assert labels.merge_labels({"Neg": 1, "neg": 3, "pos": 2, "POS": 2}) == ("neg", "pos")
    assert labels.merge_labels({"1.0": 3, "1": 3, "10": 1, "2": 1}) == ("1", "2", "10")


def test_names_of_numbers_count_from_zero_or_from_one() -> None:
    names = ["awful", "poor", "fine"]
    assert labels.find_positions(["0", "1", "2"], names) == {"0": 0, "1": 1, "2": 2}
    assert labels.find_positions(["1", "2", "3"], names) == {"1": 0, "2": 1, "3": 2}
    assert labels.find_positions(["1.0", "2.0", "3.0"], names) == {"1.0": 0, "2.0": 1, "3.0": 2}
    assert labels.find_positions(["1", "2"], names) == {}  # from 0 without the first, or from 1 without the last
    assert labels.find_positions(["-1", "1"], ["bad", "good"]) == {}
    assert labels.find_positions(["2", "3"], ["3", "2"]) == {"2": 1, "3": 0}
    known = labels.find_positions(["1", "2", "3"], names)
    assert labels.describe_numbers(known, names) == "labels are numbers: 1 = awful, 2 = poor, 3 = fine"
    assert labels.describe_numbers({"poor": 1}, names) == ""


def test_ids_and_measurements_are_no_classes() -> None:
    ids = labels.explain_no_classes({f"id{number}": 1 for number in range(240)})
    assert ids.startswith("240 different labels in 240 examples ('id0', 'id1', 'id2', …) look like ids or texts")
    assert "look like measurements" in labels.explain_no_classes({f"{number / 3:.2f}": 4 for number in range(60)})
    assert "look like numbers" in labels.explain_no_classes({str(number): 1 for number in range(60)})
    assert labels.explain_no_classes({f"intent {number}": 5 for number in range(200)}) == ""
    assert labels.explain_no_classes({str(number): 100 for number in range(77)}) == ""
    assert labels.explain_no_classes({"3.5": 10, "4.0": 12, "4.5": 9}) == ""


def test_merged_labels_that_look_the_same_are_written_with_escapes() -> None:
    sentence = labels.describe_merges({"cafe\u0301": 0, "caf\u00e9": 0, "TEA": 1}, ["caf\u00e9", "tea"])
    assert sentence == [r"labels merged: 'cafe\u0301' as 'caf\xe9'", "labels merged: 'TEA' as 'tea'"]
