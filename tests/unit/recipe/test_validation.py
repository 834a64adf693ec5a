"""What is wrong in a recipe is named with its key and the nearest choice, all at once, and nothing else comes of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.recipe import Recipe
from tests.support.recipe_files import MINIMAL, edited, problems


def test_all_errors_come_at_once(file: Path) -> None:
    text = (
        MINIMAL.replace("epochs = 3", "epoch = 3")
        .replace("tfds:imdb", "tdfs:imdb")
        .replace("bert_base_en_un", "brt_base_en_un")
    )
    file.write_text(text.replace('"train head"', '"trian head"'), encoding="utf-8")
    assert problems(file, "data.test=lots") == [
        "mine.toml: model.preset: unknown preset 'brt_base_en_uncased'; did you mean 'bert_base_en_uncased'?",
        "mine.toml: data.source: 'tdfs:imdb_reviews' has no scheme that is known; a source is SCHEME:NAME; "
        "did you mean 'tfds:'?",
        "--set data.test=lots: data.test: 'lots' is no number",
        "mine.toml: phase.head.layers.1: 'trian head' begins with neither 'freeze', 'train' nor 'lora:RANK'; did you "
        "mean 'train'?",
        "mine.toml: phase.head.epoch: unknown key; did you mean 'epochs'?",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modl.preset=x", "modl: unknown key; did you mean 'model'?"),
        ("task=text-clasification", "task: unknown value 'text-clasification'; did you mean 'text-classification'?"),
        ("phase.finetun.steps=3", "phase: there is no phase 'finetun'; did you mean 'finetune'?"),
        ("phase.head.learning_rate=-1", "phase.head.learning_rate: -1 is too small; the least is 1e-12"),
        (
            "phase.head.learning_rate=fast",
            "phase.head.learning_rate: 'fast' should be a number or a table of numbers such as "
            "{ backbone = 1e-5, head = 1e-3 }",
        ),
        ("phase.head.learning_rate=true", "phase.head.learning_rate: true is no number"),
        ("phase.head.learning_rate={}", "phase.head.learning_rate: {} has too few items; the least is 1"),
        ("phase.head.learning_rate.head=0", "phase.head.learning_rate.head: 0 is too small; the least is 1e-12"),
        ("phase.head.learning_rate={head = 'x'}", "phase.head.learning_rate.head: 'x' is no number"),
        (
            "phase.head.learning_rate={'lst:2' = 1e-3}",
            "phase.head.learning_rate.lst:2: 'lst:2' in 'lst:2' is no range; a range is first:N, last:N or blocks[A:B]",
        ),
        (
            "phase.head.learning_rate={'attention & ' = 1e-3}",
            "phase.head.learning_rate.attention & : 'attention & ' lacks a selection; every ',' and '&' stands",
        ),
        ("phase.head.layer_decay=0", "phase.head.layer_decay: 0 is too small; the least is 0.01"),
        ("phase.head.layer_decay=1.5", "phase.head.layer_decay: 1.5 is too large; the most is 1"),
        ("phase.head.optimizer=adamm", "phase.head.optimizer: unknown value 'adamm'; did you mean 'adam'?"),
        ("data.validation=inf", "data.validation: inf is no finite number"),
        ("phase.head.learning_rate=nan", "phase.head.learning_rate: nan is no finite number"),
        (
            "model.preset=~nobody-here/x",
            "model.preset: '~nobody-here/x' begins with ~nobody-here, a home folder that is not known",
        ),
        (
            "data.source=csv:~nobody-here/x",
            "data.source: '~nobody-here/x' begins with ~nobody-here, a home folder that is not known",
        ),
        ("model.dropot=", "model.dropot: unknown key; did you mean 'dropout'?"),
        ("model.dropot={}", "model.dropot: unknown key; did you mean 'dropout'?"),
        ("model.dropot.x=", "model.dropot: unknown key; did you mean 'dropout'?"),
        ("modl=", "modl: unknown key; did you mean 'model'?"),
        ("phase.head.epoch=", "phase.head.epoch: unknown key; did you mean 'epochs'?"),
        ("phase.hed.epochs=", "phase: there is no phase 'hed'; did you mean 'head'?"),
        ("phase.head=", "phase: None is no table; a phase is a table of keys such as phase.head.epochs"),
        ("arm.A full.seed=", "arm: there is no arm 'A full'; there is nothing to choose from"),
        ("profile=quick", "profile: --set changes no profile; --profile NAME chooses one"),
        ("phase.head.learning_rate.hed=", "phase.head.learning_rate.hed: this key is not there; there is nothing"),
        ("phase.head.batch_size=1000000000", "phase.head.batch_size: 1000000000 is too large; the most is 65536"),
        ("phase.head.learning_rate=1e308", "phase.head.learning_rate: 1e+308 is too large; the most is 100"),
        ("phase.head.learning_rate=1e-300", "phase.head.learning_rate: 1e-300 is too small; the least is 1e-12"),
        ("phase.head.epochs=true", "phase.head.epochs: true is no whole number"),
        (
            "model.hidden=[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
            "model.hidden: [1, 1, 1, 1, 1, 1, ...] has too",
        ),
        ("seed=-1", "seed: -1 is too small; the least is 0"),
        (f"seed={'9' * 3000}", "seed: 9999999999"),
        ("data.test=1e12", "data.test: 1e+12 examples are too many; the most are 1000000000"),
        ("data.limit=0x" + "f" * 9000, "data.limit: a number of thousands of digits is too large"),
        ("seed=1.5", "seed: 1.5 is no whole number"),
        (
            "data.test=1.5",
            "data.test: 1.5 is no size of a split; a size is a share below 1 or a whole number of examples",
        ),
        (
            "data.test=0",
            "data.test: there is no test split, since data.test = 0; the result needs one, such as data.test = 0.2",
        ),
        (
            "data.validation=0",
            "evaluate.split: there is no validation split, since data.validation = 0; did you mean 'test'?",
        ),
        (
            "data.validation=0.9",
            "data.test: 0.9 + 0.2 of the examples leave none to train on; both together are below 1",
        ),
        ("stop={ metric = 'acuracy', patience = 1 }", "stop.metric: unknown value 'acuracy'; did you mean 'accuracy'?"),
        ("keep.best=losses", "keep.best: unknown value 'losses'; did you mean 'loss'?"),
        ("stop={ patience = 0 }", "stop.patience: 0 is too small; the least is 1"),
        ("stop={ metric = 'loss' }", "stop.patience: this key is required and is missing"),
        ("model.pooling=max", "model.pooling: this key does not go with task = 'text-classification'"),
        ("augment.rotation=3.0", "augment.rotation: this key does not go with task = 'text-classification'"),
        ('data.classes=["a", "b", "a"]', "data.classes: 'a' is named twice; each class has a name of its own"),
        ('data.classes=["a", " b"]', "data.classes: ' b' is no name of a class; a name has signs to see, and no space"),
        ('data.classes=["a"]', "data.classes: ['a'] are too few classes; classification takes at least two"),
        ("data.source=sklearn:digts", "data.source: unknown data set 'digts' of scikit-learn; did you mean 'digits'?"),
        (
            "data.source=sklearn:digits",
            "data.source: 'sklearn:digits' is a source of images, and the task is 'text-classification'",
        ),
        (
            "model.preset=assets:nothing",
            "model.preset: unknown preset 'assets:nothing'; did you mean 'assets:gpt2_mini'?",
        ),
        (
            "model.preset=./nowhere",
            f"model.preset: '{Path.cwd()}/nowhere' is no preset; a local preset is a folder that",
        ),
        (
            "model.preset=pypi://x.whl/y",
            "model.preset: a file of a package index is pypi://FILE/MEMBER#sha256=HEX; got",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_the_nearest_choice(file: Path, override: str, message: str) -> None:
    found = problems(file, override)
    assert len(found) == 1
    start = f"--set {override}: " if len(override) <= 200 else f"--set {override[:200]}…: "
    assert found[0].startswith(start + message)
    assert len(found[0]) < 700


def test_labels_of_a_hinge_loss_are_not_smoothed(file: Path) -> None:
    found = problems(file, "model.label_smoothing=0.1", "model.head=linear-svm")
    assert len(found) == 1
    assert "this key does not go with head = 'linear-svm', which has no probabilities" in found[0]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("balance.class_weights=equal", "'equal' gives no weights; they are 'none', 'balanced', or a table of numbers"),
        ("balance.class_weights={}", "{} gives no weights; they are 'none', 'balanced', or a table of numbers"),
        ("balance.class_weights.cat=0", "0 is no weight of 'cat'; a weight is above 0 and at most 1,000,000"),
        ("balance.class_weights.cat='two'", "'two' is no weight of 'cat'; a weight is above 0 and at most 1,000,000"),
        ("balance.class_weights.cat=true", "True is no weight of 'cat'; a weight is above 0 and at most 1,000,000"),
        ("balance.focal_gamma=-1", "focal_gamma"),
        ("balance.sampling=even", "balanced"),
    ],
)
def test_how_classes_are_balanced_is_checked(file: Path, override: str, said: str) -> None:
    (found,) = problems(file, override)
    assert said in found


@pytest.mark.parametrize("key", ["data.split_column", "data.group_column", "data.order_column", "data.weight_column"])
def test_columns_of_splits_and_groups_go_with_tables(file: Path, key: str) -> None:
    found = problems(file, f"{key}=part", "data.source=sklearn:digits", "data.classes=")
    assert any(
        f"{key}: the source is 'sklearn:digits', and this key goes with csv: and jsonl:" in each for each in found
    )


def test_splits_by_time_exclude_other_splits(file: Path) -> None:
    table = file.with_name("a.csv")
    table.touch()
    found = problems(file, "data.order_column=day", "data.group_column=who", f"data.source=csv:{table}")
    assert any("data.order_column: this key does not go with data.group_column; take one of" in each for each in found)


def test_what_needs_probabilities_or_classes_is_refused_without_them(file: Path) -> None:
    (found,) = problems(file, "balance.focal_gamma=2.0", "model.head=linear-svm")
    assert "this key does not go with head = 'linear-svm', which has no probabilities" in found
    assert "balance.class_weights: this key does not go with task = 'causal-lm'" in "".join(
        problems(file, "task=causal-lm", "balance.class_weights=balanced")
    )


def test_a_local_file_that_is_missing_is_refused_with_its_nearest_neighbour(file: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").touch()
    missing = tmp_path / "review.csv"
    assert problems(file, f"data.source=csv:{missing}")[0].endswith(
        f"there is no file '{missing}'; did you mean 'reviews.csv'?"
    )


def test_paths_in_a_recipe_are_relative_to_its_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        (folder / "data").mkdir(parents=True)
    (there / "data/reviews.csv").touch()
    (here / "data/others.csv").touch()
    monkeypatch.chdir(here)
    moved = there / "mine.toml"
    text = re.sub(r'source = "[^"]*"', 'source = "csv:data/reviews.csv?kind=film"', file.read_text("utf-8"))
    moved.write_text(text + '[profile.other]\ndata.source = "csv:data/others.csv"\n', encoding="utf-8")
    assert recipe.load(moved).data.source == f"csv:{there}/data/reviews.csv?kind=film"
    # One on the command line is relative to the current folder.
    assert recipe.load(moved, None, ["data.source=csv:data/others.csv"]).data.source == f"csv:{here}/data/others.csv"
    with pytest.raises(RecipeError) as caught:
        recipe.load(moved, "other")
    assert str(caught.value).endswith(
        f"there is no file '{there}/data/others.csv'; paths in a recipe are relative to its file, and the current "
        "folder has one: --set data.source=csv:data/others.csv"
    )


def test_home_folders_and_variables_in_paths_are_filled_in(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reviews.csv").touch()
    (tmp_path / "in $DOLLARS.csv").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NOWHERE", raising=False)
    for written in ("~/reviews.csv", "$HOME/reviews.csv", "${HOME}/reviews.csv"):
        assert recipe.load(file, None, [f"data.source=csv:{written}"]).data.source == f"csv:{tmp_path}/reviews.csv"
    literal = f"csv:{tmp_path}/in $DOLLARS.csv"
    assert recipe.load(file, None, [f"data.source={literal}"]).data.source == literal
    message = "the variable $NOWHERE in '$NOWHERE/reviews.csv' is not set; set it, or write the path in full"
    assert message in problems(file, "data.source=csv:$NOWHERE/reviews.csv")[0]


def test_a_path_of_another_kind_is_named_with_the_source_that_it_is(file: Path, tmp_path: Path) -> None:
    part = tmp_path / "reviews.csv" / "part-0.csv"
    part.parent.mkdir()
    part.touch()
    os.mkfifo(tmp_path / "pipe")
    cases = {
        f"parquet:{part.parent}": f"the folder '{part.parent}' has no .parquet file; --set data.source=csv:{part}",
        f"folder:{part}": f"'{part}' is a file; images are in a folder or in a zip or tar archive; "
        f"--set data.source=csv:{part}",
        f"csv:{tmp_path}/pipe": f"'{tmp_path}/pipe' is a pipe; 'csv:' is followed by a file; name a file",
        "jsonl:/dev/zero": "'/dev/zero' is a device; 'jsonl:' is followed by a file; name a file",
        "text:/dev/zero": "'/dev/zero' is a device; 'text:' is followed by a file; name a file",
        str(part): f"'{part}' has no scheme that is known; a source is SCHEME:NAME; did you mean 'csv:{part}'?",
    }
    for source, message in cases.items():
        assert problems(file, f"data.source={source}")[0].endswith(message)


def test_a_sequence_too_long_for_a_local_preset_is_refused(file: Path, tmp_path: Path) -> None:
    preset = tmp_path / "preset"
    preset.mkdir()
    for config in ('{"config": {"max_sequence_length": 32}}', '{"max_position_embeddings": 32}'):
        (preset / "config.json").write_text(config, encoding="utf-8")
        assert problems(file, f"model.preset={preset}") == [
            f"--set model.preset={preset}: model.sequence_length: 64 tokens are too many; this model reads at most 32"
        ]


def test_a_phase_has_one_length(file: Path) -> None:
    assert problems(edited(file, "steps = 10", "steps = 10\nepochs = 2")) == [
        "mine.toml: phase.finetune: this phase has both, epochs = 2 and steps = 10; "
        "a phase has either 'epochs' or 'steps'"
    ]


def test_an_error_is_laid_at_the_profile_that_made_it(file: Path) -> None:
    edited(file, "data.limit = 100", "data.limit = 1")
    assert problems(file, profile="small") == ["mine.toml [profile.small]: data.limit: 1 is too small; the least is 2"]
    assert (
        problems(file, profile="smal")[0]
        == "mine.toml: profile: there is no profile 'smal' here; did you mean 'small'?"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"title = ", "this is not TOML: invalid value"),
        (b"title = '\xff'", "byte 9 is not UTF-8; a recipe is UTF-8 text"),
        (b"profile = 3", "3 is no profile; profiles are tables such as [profile.quick]"),
        (b"phase = 3", "phase: 3 is no list in square brackets"),
        (b"phase = [3]", "phase.0: 3 is no table of keys"),
        (b"[profile]\nquick = 3", "3 is no profile; profiles are tables such as [profile.quick]"),
    ],
)
def test_what_is_no_recipe_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    profile = "quick" if b"quick" in content else None
    assert any(message in problem for problem in problems(file, profile=profile))


def test_a_name_too_long_for_a_file_is_refused(file: Path) -> None:
    long = "x" * 5000
    assert "File name too long" in problems(file, f"data.source=csv:{long}")[0]
    with pytest.raises(RecipeError):
        recipe.find(f"{long}.toml")


def _keys(section: Any = Recipe, place: str = "") -> Iterator[str]:
    for name in section.model_fields:
        yield f"{place}{name}"
    inner = {"model": recipe.Model, "data": recipe.Data, "augment": recipe.Augment, "samples": recipe.Samples}
    inner |= {"frozen": recipe.Frozen, "evaluate": recipe.Evaluate, "phase.head": recipe.Phase}
    if section is Recipe:
        for name, part in inner.items():
            yield from _keys(part, f"{name}.")


VALUES = [
    *("", "{}", "[]", "[[]]", "{'' = 1}", "{x = {y = {}}}", "0", "-1", "nan", "-inf", "1e999", "1e308", "5e-324"),
    *("9" * 400, "9" * 5000, "-" + "9" * 30, "0x" + "f" * 9000, "1979-05-27", "true", "~", "a.b", "'x", '"', "csv:"),
    *("[" * 3000, "{a=" * 3000, "text:/*", "text:[", "csv:~", "pypi://", "hf://", "x" * 20_000, "\n", "\0", "\ud800"),
    *("[1, 'a', [2]]", "['', '', '']", "[nan, inf]", "{ all = nan }", "{ 'lst:1' = 1 }", "'''"),
]


def test_whatever_is_in_a_recipe_nothing_but_a_refusal_comes_of_it(file: Path) -> None:
    random = np.random.default_rng(0)
    words = [*VALUES, "phase", "[a]", "a" + ".a" * 3000, "=", "#"]
    more = ["", "phase", "phase.head", "profile", "arm.A", "arm.A.seed", "model.preset.x", "a" + ".a" * 5000]
    keys = [*_keys(), *more]
    refused = longest = 0
    for _ in range(600):
        text = bytearray(MINIMAL.encode())
        for _ in range(random.integers(0, 3)):
            start, length = int(random.integers(len(text))), int(random.integers(0, 12))
            text[start : start + length] = words[random.integers(len(words))].encode("utf-8", "surrogatepass")
        file.write_bytes(bytes(text))
        override = f"{keys[random.integers(len(keys))]}={VALUES[random.integers(len(VALUES))]}"
        try:
            recipe.load(file, str(random.choice(["small", "none"])), [override])
        except RecipeError as error:
            refused += 1
            longest = max(longest, len(str(error)))
    assert refused > 400
    assert longest < 20_000


@pytest.mark.parametrize("key", list(_keys()))
def test_no_value_of_a_key_leaves_as_another_error(key: str, file: Path) -> None:
    """What is taken reads back the same."""
    longest = 0
    for value in VALUES:
        try:
            taken = recipe.load(file, None, [f"{key}={value}"])
        except RecipeError as error:
            longest = max(longest, len(str(error)))
        else:
            assert recipe.parse(taken.to_toml()) == taken
    assert longest < 2_000


def test_every_number_of_a_recipe_has_bounds() -> None:
    def check(name: str, schema: dict[str, Any]) -> None:
        if schema.get("type") in ("number", "integer"):
            assert {"minimum", "exclusiveMinimum"} & set(schema), name
            assert {"maximum", "exclusiveMaximum"} & set(schema), name
        for each in (*schema.get("anyOf", []), schema.get("items"), schema.get("additionalProperties")):
            if isinstance(each, dict):
                check(name, each)

    whole = recipe.Recipe.model_json_schema()
    apart = {"validation", "test", "at_least", "at_most"}  # sizes of splits have a check of their own
    for each in (whole, *whole["$defs"].values()):
        for name, field in each.get("properties", {}).items():
            if name not in apart:
                check(name, field)


def test_tables_in_tables_without_end_are_refused(file: Path) -> None:
    for text in ("[a" + ".a" * 3000 + "]\n", "[title" + ".a" * 3000 + "]\n", "x = " + "[" * 200 + "]" * 200 + "\n"):
        file.write_text(text, encoding="utf-8")
        assert "the tables are nested too deeply; a recipe has at most 32 levels" in problems(file)[0]


@pytest.mark.parametrize(
    ("override", "key"),
    [("stop={ patience = 2, metric = 'accuracy' }", "stop.metric"), ("keep.best=macro-f1", "keep.best")],
)
def test_a_metric_that_the_task_lacks_is_refused(override: str, key: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipe.load(recipe.find("gpt2-full"), None, [override])
    [problem] = error.value.problems
    assert problem.key == key
    assert "task = 'causal-lm' has no metric" in problem.message
    assert problem.message.endswith("choose from 'loss'")
