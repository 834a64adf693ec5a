"""`ftapp advise` on tiny pretrained models, in real processes, and the surveys that it rests on."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest

from ftapp import data, recipe
from ftapp.analysis import transfer_probe
from ftapp.common.errors import RecipeError
from ftapp.data.encoded import Images
from ftapp.freezing.layer_plan import plan_phases
from ftapp.models import build
from ftapp.models.layers import block_ends, describe_layers
from ftapp.recipe import Recipe
from ftapp.training.build_model import check_phases
from tests.support.presets import Tiny, few_photos
from tests.support.quick_starts import make_command


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = make_command("ftapp.cli", "advise", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def of_command(line: str) -> Recipe:
    """The recipe that `ftapp run ...` would run."""
    words = shlex.split(line)
    overrides = [word for flag, word in itertools.pairwise(words) if flag == "--set"]
    profile = words[words.index("--profile") + 1] if "--profile" in words else None
    assert words[:2] == ["ftapp", "run"]
    return recipe.load(recipe.find(words[2]), profile, overrides)


@pytest.fixture
def blind(tiny: Tiny, tmp_path: Path) -> Path:
    """The tiny VGG whose last block puts out the same whatever it sees."""
    backbone = keras_hub.models.Backbone.from_preset(str(tiny.vgg))
    layer = backbone.get_layer("block2_conv2")
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    folder = tmp_path / "blind"
    backbone.save_to_preset(str(folder))
    preprocessor = keras_hub.models.ImageClassifierPreprocessor.from_preset(str(tiny.vgg))
    preprocessor.save_to_preset(str(folder))
    return folder


def test_late_features_that_tell_nothing_lead_to_early_ones(blind: Path, tiny: Tiny) -> None:
    given = ("--set", f"model.preset={blind}", "--set", "model.image_size=[16, 16]")
    done = ran("--source", f"folder:{tiny.photos}", *given, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["survey"]["classes"] == ["across", "down"]
    assert result["survey"]["counts"] == [14, 14]
    assert result["survey"]["examples"] == 40
    assert [probe["block"] for probe in result["survey"]["probes"]] == ["block1", "block2"]
    assert result["survey"]["probes"][1]["right"] <= 0.5
    assert (result["size"], result["fit"]) == ("small", "different")
    assert result["best"]["recipe"] == "vgg16-early-layers"
    advised = of_command(result["best"]["command"])
    assert advised.model.features == "block1_pool"
    assert advised.model.preset == str(blind)
    check_fit(advised)


def check_fit(advised: Recipe) -> None:
    """Check that the phases of a recipe fit its model of two classes."""
    pretrained = build.load_pretrained(advised)
    model = build.build(advised, pretrained, 2)
    check_phases(advised, plan_phases(advised, describe_layers(model, pretrained.backbone)), model)


def test_texts(text_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text_recipe, encoding="utf-8")
    done = ran(str(file))
    assert done.returncode == 0, done.stderr
    assert "80 examples, 56 of them to train on" in done.stdout
    assert "transformer_layer_1" in done.stdout
    assert "pooled_dense, which a new classifier reads" in done.stdout
    assert "Method: a linear classifier" in done.stdout
    assert "computing the features of a sample" in done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("ftapp run ")]
    for line in lines:
        advised = of_command(line)
        assert advised.data.source == recipe.parse(text_recipe).data.source
        check_fit(advised)
    assert lines


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("data.label_column=text2", 2, "there is no column 'text2'; the columns are 'text', 'label'; --set"),
        ("model.sequence_length=64", 2, "64 tokens are too many; this model reads at most 32"),
    ],
)
def test_what_is_wrong_is_said(text_recipe: str, tmp_path: Path, change: str, code: int, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text_recipe, encoding="utf-8")
    done = ran(str(file), "--set", change)
    assert done.returncode == code
    assert message in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


def surveyed(chosen: Recipe) -> Any:
    pretrained = build.load_pretrained(chosen)
    splits = data.load(chosen.data, chosen.task, chosen.seed)
    reports: list[str] = []
    found = transfer_probe.survey_data(
        chosen, pretrained.backbone, pretrained.preprocessor, splits, lambda what, done, total: reports.append(what)
    )
    assert "computing the features of a sample" in reports
    return found, pretrained, splits


def test_too_few_examples(tiny: Tiny, image_recipe: str, tmp_path: Path) -> None:
    few = few_photos(tiny, tmp_path / "few")
    with pytest.raises(
        RecipeError, match="two classes or more with 5 examples each beside those held out; 'across' has"
    ):
        surveyed(recipe.parse(image_recipe.replace(str(tiny.photos), str(few))))


def test_blocks_end_where_the_next_begins(tiny: Tiny, image_recipe: str, text_recipe: str) -> None:
    vgg = build.load_pretrained(recipe.parse(image_recipe)).backbone
    assert {name: layer.name for name, layer in block_ends(vgg).items()} == {
        "block1": "block1_pool",
        "block2": "block2_pool",
    }
    bert = build.load_pretrained(recipe.parse(text_recipe)).backbone
    assert list(block_ends(bert)) == ["transformer_layer_0", "transformer_layer_1"]


def test_a_survey_is_the_same_again(text_recipe: str) -> None:
    chosen = recipe.parse(text_recipe)
    found, _, splits = surveyed(chosen)
    assert surveyed(chosen)[0] == found
    assert found.counts == tuple(np.bincount(splits.train.labels))
    assert found.head.layer == "pooled_dense"
    assert found.positions is None
    # Good and bad words lie in the embeddings, so a linear classifier finds them in the average of the tokens.
    assert found.probes[0].right > 0.9


def test_features_are_averages_without_padding(text_recipe: str, tmp_path: Path) -> None:
    chosen = recipe.parse(text_recipe)
    pretrained = build.load_pretrained(chosen)
    splits = data.load(chosen.data, chosen.task, chosen.seed)
    read = transfer_probe._read_features(
        chosen, pretrained.backbone, pretrained.preprocessor, splits.test, lambda *_: None
    )
    inputs = pretrained.preprocessor([str(splits.test[3])])
    (layer, values), mask = read["transformer_layer_1"], np.asarray(inputs["padding_mask"])[0]
    assert layer.name == "transformer_layer_1"
    tokens = np.asarray(pretrained.backbone.predict(inputs, verbose=0)["sequence_output"])[0]
    np.testing.assert_allclose(values[3], tokens[mask.astype(bool)].mean(axis=0), atol=1e-5)


def test_blocks_inside_of_an_encoder_are_read(image_recipe: str, tmp_path: Path) -> None:
    backbone = keras_hub.models.ViTBackbone((16, 16, 3), (4, 4), num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16)
    backbone.save_to_preset(str(tmp_path / "vit"))
    converter = keras_hub.layers.ViTImageConverter(image_size=(16, 16), scale=1 / 255)
    keras_hub.models.ViTImageClassifierPreprocessor(converter).save_to_preset(str(tmp_path / "vit"))
    (tmp_path / "vit.toml").write_text(image_recipe, encoding="utf-8")
    chosen = recipe.load(tmp_path / "vit.toml", None, [f"model.preset={tmp_path / 'vit'}"])
    found, pretrained, splits = surveyed(chosen)
    names = [f"vit_encoder/transformer_block_{number}" for number in (1, 2, 3)]
    assert [(probe.block, probe.layer) for probe in found.probes] == [(name, None) for name in names]
    read = transfer_probe._read_features(
        chosen, pretrained.backbone, pretrained.preprocessor, splits.test, lambda *_: None
    )
    tokens = pretrained.backbone.get_layer("vit_patching_and_embedding")(
        Images(splits.test, pretrained.preprocessor, None).make_inputs(np.arange(len(splits.test)), None)
    )
    for name, block in zip(names, pretrained.backbone.get_layer("vit_encoder").encoder_layers, strict=True):
        tokens = block(tokens)
        np.testing.assert_allclose(read[name][1], np.asarray(tokens).mean(axis=1), atol=1e-5)


def test_very_rare_classes_are_left_out_and_large_ones_cut() -> None:
    from ftapp.data.examples import Splits, Subset, Texts

    labels = np.array([0] * 50 + [1] * 30 + [2] * 4, np.int32)
    texts = Texts([f"text {number}" for number in range(len(labels))], labels, ("a", "b", "c"))
    train = Subset(texts, np.random.default_rng(0).permutation(len(labels)))
    none = Subset(texts, np.zeros(0, np.int64))
    chosen = transfer_probe._draw_sample(Splits(train, none, none, texts.classes, 0), size=40)
    assert np.bincount(chosen.labels).tolist() == [20, 20]
    assert len(set(chosen.indices.tolist())) == 40


def test_a_lead_holds_what_is_true() -> None:
    """Of two classifiers on the same examples: 95% of the intervals hold the truth from below and from above."""
    random = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(2000):
        hard = random.random(200)
        one, other = hard < 0.85 + 0.1 * random.normal(size=200), hard < 0.80 + 0.1 * random.normal(size=200)
        low, high = transfer_probe._estimate_lead(one, other, 1)
        held += low <= 0.05, high >= 0.05
    assert (held / 2000 > 0.93).all()
    narrow, wide = transfer_probe._estimate_lead(one, other, 1), transfer_probe._estimate_lead(one, other, 4)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    same = transfer_probe._estimate_lead(one, one, 1)
    assert same[0] == -same[1]
    assert 0 < same[1] < 0.01
