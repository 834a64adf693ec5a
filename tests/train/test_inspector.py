"""The process behind the Configure screen, on tiny recipes: what it tells is what runs and plans do."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from PIL import Image

from ftapp import recipe
from ftapp.common.errors import RecipeError, RunError
from ftapp.data.encoded_splits import load_encoded
from ftapp.models import build
from ftapp.models.layers import describe_layers
from ftapp.recipe import Augment, Recipe, layer_rules
from ftapp.recipe.schedule import count_steps
from ftapp.recipe.structure import Structure
from ftapp.rpc import structure_cache
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.server import Request
from ftapp.training import cost_estimate
from ftapp.training.session import PhaseSession
from ftapp.workers.inspector import make_handlers
from ftapp.workers.recipe_cache import RecipeCache
from tests.support.plans import make_plan
from tests.support.presets import Tiny
from tests.unit.test_imports import KERAS, loaded


class Asked:
    """The handlers, called as the process calls them, in this one."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.folder = RecipeCache(), folder
        self.handlers = make_handlers(self.cache, folder)
        self.lines: list[dict[str, Any]] = []

    def __call__(self, kind: str, chosen: Recipe, **parameters: Any) -> Any:
        request = Request(1, kind, {}, self.lines.append)
        return self.handlers[kind](request, chosen.to_toml(), **parameters)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    folder = tmp_path / "previews"
    folder.mkdir()
    yield Asked(folder)
    keras.config.set_dtype_policy("float32")


@pytest.fixture(params=["image_recipe", "text_recipe", "lm_recipe"])
def each(request: pytest.FixtureRequest) -> Recipe:
    return recipe.parse(request.getfixturevalue(request.param))


def built(chosen: Recipe) -> tuple[build.Pretrained, Any]:
    pretrained = build.load_pretrained(chosen)
    return pretrained, build.build(chosen, pretrained, 2)


def test_a_structure_is_what_rules_see(each: Recipe, asked: Asked) -> None:
    structure = asked("structure", each)
    pretrained, model = built(each)
    descriptions = [layer.description for layer in describe_layers(model, pretrained.backbone)]
    assert list(structure.weighted_layers) == descriptions
    assert structure.blocks == descriptions[0].blocks
    assert structure.parameters == model.count_params()
    for phase in each.phase:
        plan = make_plan(model, pretrained.backbone, phase.layers)
        treatments, deciding = layer_rules.decide(phase.layers, structure.weighted_layers)
        assert treatments == [decision.treatment for decision in plan.decisions]
        assert deciding == [decision.rule for decision in plan.decisions]
        assert structure.count_trained(treatments) == plan.trainable_parameters
    paths = [layer.path for layer in structure.layers]
    assert all(paths.index(layer.parent) < paths.index(layer.path) for layer in structure.layers if layer.parent)


def test_containers_shapes_and_statistics(text_recipe: str, image_recipe: str, asked: Asked) -> None:
    structure = asked("structure", recipe.parse(text_recipe))
    layers = {layer.path: layer for layer in structure.layers}
    block = layers["transformer_layer_1"]
    assert (block.kind, block.weighted, block.parameters, block.block) == ("TransformerEncoder", False, 0, 1)
    assert block.shape == (16, 8)  # tokens, width
    query = layers["transformer_layer_1/self_attention_layer/query"]
    assert query.shape == (16, 2, 4)  # tokens, heads, their size
    assert query.flops == 2 * 16 * 8 * 8
    normalized = recipe.parse(image_recipe.replace("[data]", "normalize = true\n[data]"))
    found = asked("structure", normalized)
    norm = next(layer for layer in found.layers if layer.kind == "BatchNormalization")
    assert (norm.parameters, norm.trainable) == (2 * 6, 0)  # means and variances
    assert found.classes == 2


def test_a_kept_structure_needs_no_keras(each: Recipe, asked: Asked, tmp_path: Path) -> None:
    assert structure_cache.load(each) is None
    structure = asked("structure", each)
    assert structure_cache.load(each) == structure
    file = tmp_path / "kept.toml"
    file.write_text(each.to_toml(), encoding="utf-8")
    code = f"""
import asyncio
from pathlib import Path
from ftapp import recipe
from ftapp.rpc.inspector_client import InspectorClient
inspector = InspectorClient()
found = asyncio.run(inspector.describe_structure(recipe.parse(Path({str(file)!r}).read_text("utf-8"))))
assert len(found.layers) == {len(structure.layers)}
assert inspector._service is None
"""
    assert not loaded(code) & (KERAS | {"numpy"})


def test_another_model_has_another_structure(image_recipe: str, asked: Asked, tiny: Tiny) -> None:
    asked("structure", recipe.parse(image_recipe))
    assert structure_cache.load(recipe.parse(image_recipe.replace("epochs = 3", "epochs = 4"))) is not None
    assert structure_cache.load(recipe.parse(image_recipe.replace("[data]", "hidden = [4]\n[data]"))) is None
    (tiny.photos / "neither").mkdir()
    try:
        assert structure_cache.load(recipe.parse(image_recipe)) is None
    finally:
        (tiny.photos / "neither").rmdir()


def test_broken_data_spoils_no_structure(image_recipe: str, asked: Asked, tmp_path: Path, tiny: Tiny) -> None:
    broken = tmp_path / "broken"
    for name in ("a", "b"):
        (broken / name).mkdir(parents=True)
        (broken / name / "0.png").write_bytes(b"no image")
    chosen = recipe.parse(image_recipe.replace(str(tiny.photos), str(broken)))
    structure = asked("structure", chosen)
    assert structure.classes is None
    assert structure_cache.load(chosen) is None
    with pytest.raises(RecipeError, match=r"0\.png: .*this image cannot be decoded"):
        asked("data", chosen, examples=2)
    costs = asked("costs", chosen, phase=0, layers=None)
    assert "this image cannot be decoded" in costs.data_error
    assert costs.choice is None
    assert costs.estimate.flops > 0


def test_costs_are_those_of_a_plan(each: Recipe, asked: Asked) -> None:
    asked("structure", each)  # chooses the precision
    pretrained, model = built(each)
    splits = load_encoded(each, pretrained.preprocessor, lambda *message: None)
    calls = cost_estimate.list_calls(each, model)
    of_head = [] if each.task == "causal-lm" else [["freeze all", "train head"]]  # a language model has no new head
    for layers in (None, *of_head, ["train all"], ["freeze all", "train last:1"]):
        costs = asked("costs", each, phase=0, layers=layers)
        rules = [layer_rules.Rule(text) for text in layers] if layers else each.phase[0].layers
        phase = each.phase[0].model_copy(update={"layers": rules})
        plan = make_plan(model, pretrained.backbone, phase.layers)
        chosen = each.model_copy(update={"phase": [phase, *each.phase[1:]]})
        with PhaseSession(chosen, 0, model, plan, splits, calls=calls) as made:
            assert costs.choice == made.choice
            # Of the frozen half for itself; a session finds its calls among those of the whole model.
            below = cost_estimate.list_calls(each, made.halves.frozen) if made.halves else []
            assert costs.estimate == cost_estimate.estimate_cost(
                *(each, phase, calls, plan, below), cached=made.choice.cached
            )
            assert costs.estimate == made.estimate()
        assert costs.examples == len(splits.train)
        assert (costs.steps, costs.steps / costs.epochs) == count_steps(phase, len(splits.train))
        assert costs.trainable == plan.trainable_parameters
        assert (costs.step, costs.basis) == (None, None)


def test_rules_that_do_not_fit_are_told(image_recipe: str, asked: Asked) -> None:
    chosen = recipe.parse(image_recipe)
    for layers, message in (
        (["freeze all", "train haed"], "did you mean 'head'?"),
        (["freeze all"], "a phase trains at least one layer"),
        (["fries all"], "did you mean 'freeze'?"),
    ):
        with pytest.raises(RecipeError, match=message.replace("?", r"\?")) as caught:
            asked("costs", chosen, phase=0, layers=layers)
        assert caught.value.problems[0].key == "phase.head.layers"
    with pytest.raises(RunError, match=r"there is no phase 1; .* numbered from 0 to 0"):
        asked("costs", chosen, phase=1, layers=None)


def test_a_timed_step_is_measured_and_others_follow_from_it(each: Recipe, asked: Asked) -> None:
    if each.task == "text-classification":  # without cached features
        head = [layer_rules.Rule(text) for text in ("freeze all", "train head")]
        phase, frozen = (
            each.phase[0].model_copy(update={"layers": head}),
            each.frozen.model_copy(update={"cache": False}),
        )
        each = each.model_copy(update={"phase": [phase], "frozen": frozen})
    asked("structure", each)
    held = asked.cache._model._value
    assert held is not None
    before = [np.array(variable) for variable in held.model.weights]
    timing = asked("timing", each, phase=0)
    assert all((np.array(after) == old).all() for after, old in zip(held.model.weights, before, strict=True))
    assert timing.step > 0
    costs = asked("costs", each, phase=0, layers=None)
    assert (costs.step, costs.basis) == (timing.step, "measured")
    assert costs.estimate.flops == timing.step_flops
    other = asked("costs", each, phase=0, layers=["train all"])
    assert other.basis == "derived"
    assert other.step > 0


@pytest.mark.slow
def test_adapters_are_costed_and_timed_and_leave_the_model_as_it_was(image_recipe: str, asked: Asked) -> None:
    second = '[[phase]]\nname = "later"\nlayers = ["freeze all", "train adapters, head"]\nsteps = 2\n'
    chosen = recipe.parse(image_recipe.replace('"train head"', '"lora:2 last:1", "train head"') + second)
    structure = asked("structure", chosen)
    before = [asked("costs", chosen, phase=index, layers=None) for index in (0, 1)]
    assert [each.trainable for each in before] == [before[0].trainable] * 2
    assert asked("timing", chosen, phase=0).step > 0
    assert asked("timing", chosen, phase=1).step > 0
    after = [asked("costs", chosen, phase=index, layers=None) for index in (0, 1)]
    assert [(each.trainable, each.parameters) for each in after] == [
        (each.trainable, each.parameters) for each in before
    ]
    assert [each.basis for each in after] == ["measured", "measured"]
    assert asked("structure", chosen) == structure
    with pytest.raises(RecipeError, match="no layer has an adapter yet"):
        asked("costs", chosen, phase=0, layers=["freeze all", "train adapters"])


def test_previews_of_images(image_recipe: str, asked: Asked) -> None:
    preview = asked("data", recipe.parse(image_recipe), examples=3)
    assert preview.sizes == {"train": 22, "validation": 8, "test": 10}
    assert preview.classes == ("across", "down")
    assert {name: sum(counts) for name, counts in preview.counts.items()} == preview.sizes
    assert len(preview.examples) == 3
    for example in preview.examples:
        assert example.label in preview.classes
        assert example.size == (24, 20)
        with Image.open(example.file) as image:
            assert (image.mode, image.size) == ("RGB", (24, 20))


def test_previews_of_texts(text_recipe: str, lm_recipe: str, asked: Asked, tiny: Tiny) -> None:
    chosen = recipe.parse(text_recipe.replace("sequence_length = 16", "sequence_length = 8"))
    preview, tokens = asked("data", chosen, examples=4), asked("tokens", chosen, examples=4)
    rows = dict(row.split(",") for row in tiny.reviews.read_text("utf-8").splitlines()[1:])
    assert [rows[example.text] for example in preview.examples] == [example.label for example in preview.examples]
    # Nine words, one of them "n7", unknown as a whole; [CLS] and [SEP].
    assert all(count >= 10 + 2 for count in tokens.counts)
    assert tokens.length == 8
    language = recipe.parse(lm_recipe)
    book, tokens = asked("data", language, examples=4), asked("tokens", language, examples=4)
    splits = load_encoded(language, build.load_preprocessor(language), lambda *message: None)
    assert tokens.sequences == {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    assert tiny.book.read_text("utf-8").startswith(book.examples[0].text[:500])
    assert book.characters["train"] == book.examples[0].characters


def test_a_file_that_has_changed_is_read_again(text_recipe: str, asked: Asked, tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "growing.csv"
    rows = tiny.reviews.read_text("utf-8")
    file.write_text(rows, encoding="utf-8")
    chosen = recipe.parse(text_recipe.replace(str(tiny.reviews), str(file)))
    before = asked("data", chosen, examples=1)
    file.write_text(rows + "a film that i found very fine,positive\n", encoding="utf-8")
    assert sum(asked("data", chosen, examples=1).sizes.values()) == sum(before.sizes.values()) + 1
    file.write_text(rows + "one field\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="row 82: 1 field, and the header has 2"):
        asked("data", chosen, examples=1)


def test_a_grid_follows_the_values(image_recipe: str, asked: Asked) -> None:
    chosen = recipe.parse(image_recipe)

    def grid(augment: Augment | None) -> Any:
        found = asked("augment", chosen.model_copy(update={"augment": augment}), images=2, views=3)
        assert found.size == (16, 16)
        assert set(found.labels) <= {"across", "down"}
        return np.array([[np.asarray(Image.open(file)) for file in row] for row in found.rows])

    plain = grid(None)
    turned = grid(Augment(rotation=40.0))
    again = grid(Augment(rotation=40.0))
    further = grid(Augment(rotation=90.0, flip="both"))
    assert plain.shape == (2, 1, 16, 16, 3)
    assert turned.shape == (2, 4, 16, 16, 3)
    assert (grid(Augment(views=2)) == plain).all()  # all values are 0: there is nothing to see
    assert (turned == again).all()
    assert (turned[:, 0] == plain[:, 0]).all()
    assert all((turned[:, view] != plain[:, 0]).any() for view in range(1, 4))
    assert (turned[:, 1:] != further[:, 1:]).any()
    assert len(list(asked.folder.glob("grid-*"))) == 2


def test_texts_are_rewritten_as_the_values_say(text_recipe: str, asked: Asked) -> None:
    chosen = recipe.parse(text_recipe)

    def marks(augment: Augment) -> list[tuple[set[str], set[str]]]:
        found = asked("rewrite", chosen.model_copy(update={"augment": augment}), texts=3)
        whole = asked("data", chosen, examples=3).examples
        for text, example in zip(found, whole, strict=True):
            before = "".join(span.text for span in text.before).strip()
            assert before == re.sub(r"n\d+", "[UNK]", example.text)  # words that the vocabulary lacks
            assert text.label == example.label
        return [({span.mark for span in text.before}, {span.mark for span in text.after}) for text in found]

    assert marks(Augment()) == [({""}, {""})] * 3
    assert all(after <= {"", "moved"} for _, after in marks(Augment(word_swap=0.5)))
    assert any("moved" in after for _, after in marks(Augment(word_swap=0.5)))
    assert all(after == {""} for _, after in marks(Augment(token_dropout=0.5)))
    assert any("left out" in before for before, _ in marks(Augment(token_dropout=0.5)))
    with pytest.raises(RunError, match="classifiers with"):
        asked("rewrite", chosen, texts=3)


def test_a_large_image_is_augmented_small(image_recipe: str, asked: Asked) -> None:
    large = recipe.parse(image_recipe.replace("[16, 16]", "[448, 224]"))
    assert asked("augment", large, images=1, views=1).size == (112, 224)


@pytest.mark.slow
def test_in_its_own_process(image_recipe: str, tmp_path: Path) -> None:
    """Data comes before Keras is loaded; what was asked at once comes too; no file stays behind."""
    chosen = recipe.parse(image_recipe)

    async def ask() -> tuple[Structure, list[str], str]:
        client, reports = InspectorClient(), list[str]()
        structure = asyncio.create_task(
            client.describe_structure(chosen, lambda activity, done, total: reports.append(activity))
        )
        preview = await client.preview_data(chosen, examples=1)
        grid, costs, again = await asyncio.gather(
            client.augment(chosen), client.estimate_costs(chosen, 0), client.describe_structure(chosen)
        )
        assert Path(grid.rows[0][0]).is_file()
        assert preview.examples[0].file is not None
        assert costs.examples == preview.sizes["train"]
        assert again == await structure
        await client.close()
        return again, reports, preview.examples[0].file

    structure, reports, file = asyncio.run(ask())
    assert structure_cache.load(chosen) == structure
    assert reports.index("reading the data") < reports.index("loading Keras")
    assert not Path(file).exists()


def test_data_needs_no_keras_in_the_process(text_recipe: str, tmp_path: Path) -> None:
    line = msgspec.json.encode({"id": 7, "kind": "data", "recipe": recipe.parse(text_recipe).to_toml(), "examples": 1})
    code = f"""
import os, sys, threading
from pathlib import Path
from ftapp.workers import inspector
from ftapp.workers.recipe_cache import RecipeCache
from ftapp.rpc import server
from ftapp.rpc.server import Request
lines = []
handlers = inspector.make_handlers(RecipeCache(), Path({str(tmp_path)!r}))
import msgspec
given = msgspec.json.decode({line!r})
preview = handlers["data"](Request(7, "data", {{}}, lines.append), given["recipe"], given["examples"])
assert preview.sizes["train"] == 52
"""
    assert not loaded(code) & KERAS


def test_it_leaves_nothing_when_its_stdin_ends(tmp_path: Path) -> None:
    folder = tmp_path / "previews"
    command = [sys.executable, "-m", "ftapp.workers.inspector", str(folder)]
    process = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=240)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert not folder.exists()
