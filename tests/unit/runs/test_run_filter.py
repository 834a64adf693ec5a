"""Filters of runs: what they keep, and what is wrong with a filter that cannot be understood."""

from __future__ import annotations

import threading

import pytest

from ftapp.runs import run_filter
from ftapp.runs.run_filter import Facts, FilterError, parse_filter

RUNS: dict[str, Facts] = {
    "bert": {
        **{"run": "20260101-000000-bert-full-quick-0001", "recipe": "bert-full", "profile": "quick"},
        **{"status": "done", "model": "bert_tiny_en_uncased", "data": "csv:/data/Reviews.csv", "task": "text"},
        **{"tag": ("night", "lr-1e-4"), "note": "steady, two words", "accuracy": 0.91, "loss": 0.2, "steps": 300},
    },
    "vgg": {
        **{"run": "20260102-000000-vgg16-0002", "recipe": "vgg16", "profile": "standard", "status": "failed"},
        **{"model": "vgg_16_imagenet", "data": "folder:photos", "tag": (), "note": "", "loss": 1.5, "steps": 20},
        **{"arm": None, "fold": 2, "perplexity": 4.0},
    },
}


def kept(text: str) -> list[str]:
    found = parse_filter(text, {"perplexity"})
    return [name for name, facts in RUNS.items() if found.keeps(facts)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["bert", "vgg"]),
        ("night", ["bert"]),
        ("BERT done", ["bert"]),
        ("bert vgg", []),
        ("bert_full", ["bert"]),  # hyphens and underscores are alike
        ("-night", ["vgg"]),
        ('"two words"', ["bert"]),
        ("csv:/data/reviews", ["bert"]),
        ("tag=night", ["bert"]),
        ("tag=nigh", []),
        ("tag!=night", ["vgg"]),
        ("-tag=night", ["vgg"]),
        ("tag~^lr", ["bert"]),
        ("model~bert|vgg", ["bert", "vgg"]),
        ("model!~bert|gpt2", ["vgg"]),
        ('note~"two w"', ["bert"]),
        ("~^20260102", ["vgg"]),
        ("accuracy>0.9", ["bert"]),
        ("accuracy>=91%", ["bert"]),
        ("accuracy<1", ["bert"]),  # vgg has none
        ("-accuracy<1", ["vgg"]),
        ("loss<=0.2 steps>100", ["bert"]),
        ("fold=2", ["vgg"]),
        ("perplexity!=3", ["vgg"]),
        ("-", ["bert", "vgg"]),  # a word that is in both names
    ],
)
def test_a_filter_keeps_the_runs_that_match_all_of_it(text: str, names: list[str]) -> None:
    assert kept(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy>0.9", "runs have no 'acuracy'; did you mean 'accuracy'"),
        ("accuracy>", "'accuracy>' has no value behind >; such as accuracy>0.9"),
        ("tag=", "has no value behind =; such as tag=night"),
        ("accuracy>high", "'high' is not a number, such as 0.9 or 90%"),
        ("accuracy~9", "accuracy is a number; compare it by"),
        ("model>3", "model is a text; model~PATTERN and model=TEXT test a text"),
        ("model~(", r"'\(' is not a regular expression: missing \)"),
        (">3", "a name is missing"),
        ("status=dnoe", "no run has the status 'dnoe'; did you mean 'done'"),
        ('note="two', "a quotation mark is open"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        parse_filter(text)


def test_a_pattern_that_takes_long_is_refused() -> None:
    found = parse_filter("note~(a|a)+$")
    assert found.keeps({"note": "aaa"})
    for _ in range(3):  # again at once
        with pytest.raises(FilterError, match="takes too long to search"):
            found.keeps({"note": f"{'a' * 60}!"})
    with pytest.raises(FilterError, match="too many parts within each other"):
        parse_filter(f"note~{'(' * 5000}{')' * 5000}")


def test_a_pattern_is_not_refused_because_other_threads_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_filter, "_PATIENCE", 0.02)
    has_ended = threading.Event()

    def work() -> None:
        while not has_ended.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        found = parse_filter("note~of.the.day")
        assert all(found.keeps({"note": f"run {number} of the day"}) for number in range(5000))
    finally:
        has_ended.set()
        thread.join()
