"""A sweep is checked before anything starts, and its folder has all of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.experiments.sweep.prepare import apply_values, prepare_sweep, read_value
from ftapp.experiments.sweep.search import Search, load_search
from tests.support.recipe_files import MINIMAL

TABLE = """
[sweep]
trials = 7
[sweep.over]
phase.head.learning_rate = "log(1e-5, 1e-2)"
phase.finetune.layers = [["train last:1"], []]
"""
RATES = "phase.head.learning_rate=log(1e-5, 1e-2)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL.partition("[profile.small]")[0] + TABLE, "utf-8")
    return path


def prepare_at(file: Path, *over: str, **options: Any) -> Search:
    words: dict[str, Any] = {key: options.pop(key) for key in ("metric", "trials", "time", "repeats") if key in options}
    search = load_search(file, None, options.pop("overrides", ()), over, words, **options)
    return Search.of(prepare_sweep(search, file, None, file.parent / "runs", command=[]))


def refusals(file: Path, *over: str, **options: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        prepare_at(file, *over, **options)
    assert not (file.parent / "runs").exists()
    return [str(problem).replace(str(file), "mine.toml") for problem in caught.value.problems]


def test_the_table_of_the_recipe_says_all(file: Path) -> None:
    search = prepare_at(file)
    assert list(search.spaces) == ["phase.head.learning_rate", "phase.finetune.layers"]
    assert (search.sweep.trials, search.metric.name) == (7, "accuracy")
    assert search.base.evaluate.split == "validation"


def test_options_take_the_place_of_the_table(file: Path) -> None:
    search = prepare_at(file, "phase.head.batch_size=[8, 16]", metric="loss", trials=3)
    assert list(search.spaces) == ["phase.head.batch_size"]
    assert (search.sweep.trials, search.metric.name) == (3, "loss")


def test_a_key_that_the_table_has_in_two_ways_is_refused(file: Path) -> None:
    twice = TABLE.replace("phase.finetune.layers = ", '"phase.head.learning_rate" = ')
    file.write_text(file.read_text("utf-8").replace(TABLE, twice), "utf-8")
    (problem,) = refusals(file)
    assert problem.startswith(
        "mine.toml: sweep.over: phase.head.learning_rate is there twice, as phase.head.learning_rate and as "
        '"phase.head.learning_rate"'
    )


def test_a_run_does_not_read_the_table(file: Path) -> None:
    loaded = recipe.load(file)
    assert loaded.sweep is None
    assert "sweep" not in loaded.to_tables()


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("phase.hed.learning_rate=log(1e-5, 1)", "there is no phase 'hed'; did you mean 'head'?"),
        ("phase.head.learning_rat=log(1e-5, 1)", "unknown key; did you mean 'learning_rate'?"),
        ("phase.head.learning_rate=log(1e-5, 1000)", "the end 1000.0: 1000.0 is too large; the most is 100"),
        ("phase.head.batch_size=[8, 0]", "the choice 0: 0 is too small; the least is 1"),
        ("phase.head.layers=[['trian all'], []]", 'the choice ["trian all"]: '),
        ("phase.finetune.accumulate=[1, 3, 4]", "phase.finetune.accumulate: the choice 3: phase.finetune.steps: 10 "),
        ("phase.head.optimizer=['adam', 'adan']", "did you mean 'adam'?"),
        ("seed=int(1, 5)", "this key cannot be searched"),
        ("data.limit=[10, 20]", "measured on the same validation examples"),
        ("model.head=['softmax', 'linear-svm']", "changes what the loss is"),
        ("phase.head.name=['a', 'b']", "a name changes nothing in the training"),
        ("phase.head.learning_rate=lg(1, 2)", "did you mean 'log'?"),
        (".=[1, 2]", "is not key=value"),
        (f"{'a.' * 100}b=[1, 2]", "a key has at most"),
    ],
)
def test_keys_and_values_are_checked(file: Path, over: str, message: str) -> None:
    said, *_ = refusals(file, over, metric="loss")
    assert said.startswith("--over: ")
    assert message in said


@pytest.mark.parametrize(
    "other",
    [
        RATES,
        'phase."head".learning_rate=[1e-3, 1e-4]',
        "phase.head.learning_rate.pooler=log(1e-5, 1e-2)",
        "phase.head.epochs=[1, 2]",
    ],
)
def test_no_key_is_searched_that_overrides_another(file: Path, other: str) -> None:
    (said,) = refusals(file, RATES, "phase.head.steps=[10, 20]", other)
    assert said.startswith("--over: phase.")
    assert "given twice" in said or "is searched too" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 1}, "--trials: 1 is too small; the least is 2"),
        ({"repeats": 2}, "--repeats: 2 is too small; the least is 3"),
        ({"metric": "acuracy"}, "--metric: unknown value 'acuracy'; did you mean 'accuracy'?"),
        ({"metric": "rmse"}, "--metric: task = 'text-classification' has no metric 'rmse'"),
        ({"time": "2 hours"}, "--time: '2 hours' is no length of time above 0"),
        ({"overrides": ["data.validation=0"]}, "there is no validation split"),
        ({"overrides": ["data.folds=3"]}, "a sweep takes no folds"),
        ({"arm": "A"}, "there is no arm 'A'"),
    ],
)
def test_options_are_checked_and_named(file: Path, options: dict[str, Any], message: str) -> None:
    assert any(message in said for said in refusals(file, RATES, **options))


def test_a_missing_package_is_named_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusals(file) == [
        "the package 'optuna' is not installed; a sweep needs it: pip install 'ftapp[sweep]'",
    ]


def test_a_choice_whose_package_is_missing_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftapp.runs.environment.is_installed", lambda package: package != "torch")
    (said,) = refusals(file, "backend=['tensorflow', 'torch']")
    assert said.startswith('--over: backend: the choice "torch": ')


def test_values_of_a_trial_change_its_recipe_alone(file: Path) -> None:
    sweep = prepare_sweep(load_search(file, None, ()), file, None, file.parent / "runs", command=[])
    changed = apply_values(sweep, {"phase.head.learning_rate": 0.00123, "phase.finetune.layers": ["train last:1"]})
    assert read_value(changed, "phase.head.learning_rate") == 0.00123
    assert read_value(changed, "phase.finetune.layers") == ["train last:1"]
    assert changed.sweep is None
    own = Search.of(sweep).base
    assert read_value(own, "phase.finetune.layers") == []
    assert read_value(own, "phase.finetune.clip_norm") is None
