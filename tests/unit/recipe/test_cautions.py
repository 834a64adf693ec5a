"""Cautions: what is valid and likely to go wrong, and nothing of the recipes that come with ftapp."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.cli.app import app
from ftapp.recipe import cautions
from ftapp.recipe.layer_rules import WeightedLayer

LAYERS = [
    WeightedLayer("embeddings", frozenset({"backbone", "embeddings"}), None, 2),
    *(WeightedLayer(f"layer_{index}", frozenset({"backbone", "attention"}), index, 2) for index in range(2)),
    WeightedLayer("pooled_dense", frozenset({"backbone", "pooler"}), None, 2),
    WeightedLayer("classifier", frozenset({"head"}), None, 2),
]


def ids(
    name: str, *overrides: str, sizes: dict[str, int] | None = None, layers: list[WeightedLayer] | None = None
) -> list[str]:
    loaded = recipe.load(recipe.find(name), "quick", overrides)
    return [caution.id for caution in cautions.find_cautions(loaded, sizes, layers)]


@pytest.mark.parametrize("name", list(recipe.bundled()))
def test_recipes_that_come_with_ftapp_need_no_caution(name: str) -> None:
    for profile in (None, *recipe.list_profiles(recipe.find(name))):
        loaded = recipe.load_experiment(recipe.find(name), profile)
        for each in (loaded.base, *loaded.arms.values()):
            assert cautions.find_cautions(each) == []


@pytest.mark.parametrize(
    ("name", "override", "found"),
    [
        ("vgg16-two-phase", "phase.finetune.learning_rate=0.01", "pretrained-rate"),
        ("vgg16-two-phase", "phase.finetune.learning_rate={ all = 1e-2, head = 1e-3 }", "pretrained-rate"),
        ("vgg16-two-phase", "phase.finetune.learning_rate={ head = 1e-2, backbone = 1e-2 }", "pretrained-rate"),
        ("vgg16-two-phase", "phase.finetune.learning_rate={ all = 1e-5, block5 = 1e-2 }", "pretrained-rate"),
        ("bert-full", "phase.finetune.learning_rate=1e-3", "pretrained-rate"),
        ("bert-full", "phase.finetune.optimizer=lion", None),
        ("bert-full", "phase.finetune.learning_rate={ backbone = 1e-5, head = 1e-2 }", None),
        ("bert-full", "phase.finetune.learning_rate={ all = 1e-2, backbone = 1e-5 }", None),
        ("bert-head-only", "phase.finetune.learning_rate=0.01", None),
        ("bert-head-only", "phase.finetune.layers=['freeze all', 'train pooler, head']", None),
        ("bert-head-only", "phase.finetune.layers=['freeze all', 'train last:1']", "head-frozen"),
        ("bert-head-only", "phase.finetune.layers=['freeze head']", "head-frozen"),
        ("bert-head-only", "phase.finetune.layers=['train all', 'freeze classifier']", "head-frozen"),
        ("vgg16-two-phase", "phase.finetune.layers=['freeze head']", None),  # phase 1 has trained it
        ("vgg16-two-phase", "phase.head.layers=['freeze all', 'train block5']", "head-frozen"),
        ("gpt2-targeted", "phase.finetune.learning_rate=0.01", "pretrained-rate"),
        ("bert-full", "phase.finetune.steps=4", "few-steps"),
        ("vgg16-two-phase", "data.validation=7", "few-validation"),
        ("bert-full", "data.test=7", "few-test"),
        ("bert-full", "evaluate.examples=5", "few-evaluated"),
        ("bert-full", "evaluate.every=5000", "never-evaluated"),
        ("bert-full", "phase.finetune.learning_rate=1e-9", "rate-too-small"),
        ("bert-full", "model.dropout=0.95", "much-noise"),
        ("vgg16-two-phase", "augment.flip=horizontal", "flipped-digits"),
    ],
)
def test_what_is_likely_to_go_wrong_is_told_by_the_recipe_alone(name: str, override: str, found: str | None) -> None:
    assert ids(name, override)[:1] == ([found] if found else [])


@pytest.mark.parametrize(
    ("template", "found"),
    [("{prompt} Answer: {completion}", ["space-before-completion"]), ("{prompt} Answer:{completion}", [])],
)
def test_a_space_before_the_completion_is_told(template: str, found: list[str], tmp_path: Path) -> None:
    table = tmp_path / "a.jsonl"
    table.touch()
    task = ("task=completion-lm", f"data.source=jsonl:{table}")
    assert ids("gpt2-full", *task, f'data.template="{template}"', "samples.prompts=") == found


def test_sizes_and_layers_make_cautions_exact() -> None:
    sizes = {"train": 20, "validation": 3, "test": 200}
    assert ids("vgg16-two-phase", sizes=sizes) == ["few-steps", "batch-of-all", "batch-of-all", "few-validation"]
    by_name = "phase.finetune.learning_rate={ all = 1e-5, 'layer_1' = 1e-2 }"
    assert ids("bert-full", by_name, layers=LAYERS) == ["pretrained-rate"]
    assert ids("bert-full", by_name, "phase.finetune.layers=['freeze layer_1']", layers=LAYERS) == []
    assert ids("bert-full", "phase.finetune.layers=['freeze all', 'train layer_0']", layers=LAYERS) == ["head-frozen"]


def test_advice_on_few_examples_names_a_number_only_where_one_was_set() -> None:
    sizes = {"train": 38, "validation": 40, "test": 10}
    loaded = recipe.load(recipe.find("vgg16-two-phase"), "quick", ["data.test=0.2"])
    assert [each.advice for each in cautions.find_cautions(loaded, sizes) if each.id == "few-test"] == [
        "bring more examples, or hold out a larger share (data.test)"
    ]
    loaded = recipe.load(recipe.find("vgg16-two-phase"), "quick", ["data.test=10"])
    assert [each.advice for each in cautions.find_cautions(loaded, sizes) if each.id == "few-test"] == [
        "hold out 30 or more, for example --set data.test=0.2"
    ]


@pytest.mark.parametrize("name", ["vgg16-two-phase", "bert-full", "gpt2-full"])
def test_the_advice_on_a_rate_can_be_copied_and_helps(name: str) -> None:
    path, rate = recipe.find(name), "phase.finetune.learning_rate=0.05"
    (caution,) = cautions.find_cautions(recipe.load(path, "quick", [rate]))
    command = re.search(r"--set '(.*)'", str(caution))
    assert command
    assert cautions.find_cautions(recipe.load(path, "quick", [rate, command[1]])) == []


def test_validate_tells_cautions_and_the_recipe_stays_valid(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = recipe.find("bert-head-only").read_text("utf-8")
    file.write_text(text.replace('"train head"', '"train last:1"'), encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", str(file)])
    assert (done.exit_code, done.stdout) == (0, f"{file}: valid\n")
    assert f"{file}: caution: in phase 'finetune' classifier keeps its random first weights" in done.stderr
    assert "profile quick: in phase 'finetune'" in done.stderr


STOP = "stop={ patience = 2 }"


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["evaluate.split=test", "keep={ best = 'loss' }"], ["test-decides"]),
        (["evaluate.split=test", STOP, "evaluate.every=2"], ["test-decides"]),
        (["evaluate.split=test"], []),
        (["evaluate.split=validation", "data.validation=40", STOP, "evaluate.every=2"], []),
        # Of 40 steps, evaluations before the last one are after 13, 26 and 39.
        (
            [
                "evaluate.split=validation",
                "data.validation=40",
                "phase.finetune.steps=40",
                "evaluate.every=13",
                "stop={ patience = 3 }",
            ],
            [],
        ),
        (
            [
                "evaluate.split=validation",
                "data.validation=40",
                "phase.finetune.steps=39",
                "evaluate.every=13",
                "stop={ patience = 3 }",
            ],
            ["patience-too-long"],
        ),
    ],
)
def test_what_decides_about_the_weights_is_watched(overrides: list[str], found: list[str]) -> None:
    ours = {"test-decides", "patience-too-long"}
    assert [each for each in ids("bert-full", *overrides) if each in ours] == found


def test_patience_of_a_later_phase_counts_from_its_first_evaluation() -> None:
    lengths = ("phase.head.epochs=1", "phase.finetune.epochs=4")
    assert "patience-too-long" not in ids("vgg16-two-phase", *lengths, STOP)
    assert "patience-too-long" in ids("vgg16-two-phase", *lengths, "stop={ patience = 3 }")


def test_batches_that_devices_cannot_share_are_cautioned() -> None:
    assert ids("gpt2-full", "backend=jax", "devices=3") == ["undivided-batch"]
    assert ids("gpt2-full", "backend=jax", "devices=4") == []
    shared = recipe.load(recipe.find("gpt2-full"), "quick", ["backend=jax", "devices=3"])
    assert "--set phase.finetune.batch_size=9" in cautions.find_cautions(shared)[0].advice
    assert cautions.find_cautions(shared.model_copy(update={"parallel": "model"})) == []
