"""Runs whose cached features OpenVINO computes: they train as those of Keras do, and never mix the two."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.freezing import feature_cache
from ftapp.runs.environment import check_installed
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.narration import narrate
from ftapp.runs.phase_events import CacheChoice
from ftapp.workers import run as run_worker
from tests.conftest import Do
from tests.support.checkpoints import cut_back
from tests.support.recipes import without_samples

pytest.importorskip("openvino")

TWICE = "phase.finetune.epochs=2"
FLOAT32 = "precision=float32"
OPENVINO = "frozen.engine=openvino"


def losses(history: History) -> list[float]:
    return [step.loss for step in history.steps] + [one.loss for one in history.evaluations]


def choice(history: History) -> CacheChoice:
    found = history.phases[0].cache
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "overrides"), [("image", ["model.normalize=true"]), ("lm", [TWICE])])
def test_a_run_on_openvino_trains_as_one_on_keras(
    kind: str, overrides: list[str], do: Do, image_recipe: str, lm_recipe: str
) -> None:
    text = {"image": image_recipe, "lm": without_samples(lm_recipe)}[kind]
    keras, openvino = (do(text, FLOAT32, *overrides, *more)[1] for more in ([], [OPENVINO]))
    assert (choice(keras).engine, choice(openvino).engine) == ("keras", "openvino")
    assert losses(openvino) == pytest.approx(losses(keras), rel=1e-4)
    assert openvino.ended_phases[0].digest == keras.ended_phases[0].digest
    # Neither takes the other's features for its own, and each finds its own again.
    assert openvino.ended_phases[0].seconds_saved == 0
    assert len(feature_cache.list_entries()) == 2
    again = do(text, FLOAT32, *overrides, OPENVINO)[1]
    assert losses(again) == losses(openvino)
    assert again.ended_phases[0].seconds_saved > 0


INT8 = (OPENVINO, "frozen.dtype=int8", FLOAT32)
LAST_BLOCK = 'phase.finetune.layers=["freeze all", "train last:1, pooler, head"]'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        ("image", ["model.normalize=true"]),
        ("text", [LAST_BLOCK, "phase.finetune.steps=24"]),
        ("lm", [TWICE]),
    ],
)
def test_a_head_that_trained_on_int8_is_measured_on_the_float_model(
    kind: str, overrides: list[str], do: Do, image_recipe: str, text_recipe: str, lm_recipe: str
) -> None:
    text = {"image": image_recipe, "text": text_recipe, "lm": without_samples(lm_recipe)}[kind]
    code, int8, run = do(text, *overrides, *INT8)
    assert code == 0
    check = choice(int8).quantization
    assert check is not None, choice(int8)
    assert check.accepted, check
    assert choice(int8).is_quantized
    result = int8.result
    assert result is not None
    assert result.quantized.keys() == result.values.keys()
    assert result.quantized != result.values
    # The saved model is the float one, and its weights below the cut are those of the preset.
    assert int8.ended_phases[0].digest == do(text, FLOAT32, *overrides)[1].ended_phases[0].digest
    outcome = int8.summary()
    assert outcome["int8_metrics"] == result.quantized
    assert outcome["metrics"] == result.values
    lines = "\n".join(line for event in read(run.events_file) for line in narrate(event))
    assert "OpenVINO computes them in int8: cosine" in lines
    assert "the same on int8 features: " in lines


@pytest.mark.slow
def test_quantized_features_are_bitwise_the_same_again(do: Do, image_recipe: str) -> None:
    first = losses(do(image_recipe, *INT8)[1])
    kept = [entry.folder for entry in feature_cache.list_entries()]
    quantized = [folder for folder in kept if (folder / "int8.xml").exists()]
    assert len(quantized) == 1
    for file in (*quantized[0].glob("features_*"), quantized[0] / "index"):
        file.unlink()
    assert losses(do(image_recipe, *INT8)[1]) == first, "with the graph that was kept"
    for folder in kept:
        shutil.rmtree(folder)
    assert losses(do(image_recipe, *INT8)[1]) == first, "quantized anew"


def coarse(graph: Any, cut: Any, dataset: Any, indices: Any) -> Any:
    """A graph whose features have lost half of their values."""
    import openvino
    from openvino import opset13

    changed = graph.clone()
    results = []
    for port in changed.outputs:
        source = port.get_node().input_value(0)
        results.append(opset13.result(opset13.relu(opset13.subtract(source, opset13.reduce_mean(source, [0, 1])))))
        results[-1].output(0).get_tensor().set_names(port.get_names())
    return openvino.Model(results, changed.get_parameters(), "coarse")


def test_features_that_int8_changes_too_much_are_computed_in_float(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftapp.freezing.quantize.quantize", coarse)
    code, history, run = do(image_recipe, *INT8)
    assert code == 0
    check = choice(history).quantization
    assert check is not None
    assert not check.accepted
    assert (choice(history).engine, choice(history).is_quantized) == ("openvino", False)
    assert losses(history) == losses(do(image_recipe, OPENVINO, FLOAT32)[1])
    assert history.result is not None
    assert history.result.quantized == {}
    lines = [line for event in read(run.events_file) for line in narrate(event)]
    assert any("in float, since int8 differs too much: cosine" in line for line in lines)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["frozen.dtype=int8"], "'int8' does not go with engine = 'keras'; OpenVINO computes in int8"),
        ([*INT8, "frozen.cache=false"], "'int8' does not go with cache = false"),
    ],
)
def test_int8_needs_openvino_and_the_cache(
    image_recipe: str, tmp_path: Path, overrides: list[str], message: str
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        recipe.load(file, None, overrides)


def test_keras_computes_what_openvino_cannot(do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cut: Any) -> Any:
        raise RuntimeError("no rule for Fold")

    monkeypatch.setattr("ftapp.freezing.openvino_engine.convert", fail)
    code, history, _ = do(image_recipe, OPENVINO)
    assert code == 0
    assert choice(history).cached
    assert choice(history).engine == "keras"
    assert choice(history).engine_reason == "OpenVINO cannot convert these layers: no rule for Fold"


def test_a_missing_package_is_told_before_the_run(
    image_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else object())
    check_installed(recipe.load(file))
    with pytest.raises(RecipeError, match=r"frozen.engine: the package 'openvino' is not installed.*ftapp\[openvino"):
        check_installed(recipe.load(file, None, [OPENVINO]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else object())
    check_installed(recipe.load(file, None, [OPENVINO]))
    with pytest.raises(RecipeError, match=r"frozen.engine: the package 'nncf' is not installed"):
        check_installed(recipe.load(file, None, INT8))


@pytest.mark.slow
def test_a_resumed_run_says_why_its_features_are_of_another_kind(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, history, run = do(image_recipe, *INT8, "checkpoint.every_steps=1", "checkpoint.keep=9")
    assert code == 0
    step = len(history.steps) - 1
    same, declined = cut_back(run, step), cut_back(run, step - 1)
    assert run_worker.main(same.folder) == 0
    resumed = History.of(read(same.events_file)).summary()
    assert (resumed["weights"], resumed["metrics"]) == (history.summary()["weights"], history.summary()["metrics"])
    shutil.rmtree(feature_cache.folder())
    monkeypatch.setattr("ftapp.freezing.quantize.quantize", coarse)
    assert run_worker.main(declined.folder) == 1
    ended = History.of(read(declined.events_file)).ended
    assert ended is not None
    assert ended.error is not None
    assert ended.error.startswith(
        "the phase trained on int8 features of OpenVINO before; OpenVINO computes them in float, since int8 differs "
        "too much: cosine"
    )


def test_int8_features_are_verified_in_int8(do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_VERIFY_CACHE", "1")
    code, history, _ = do(image_recipe, *INT8)
    assert code == 0
    assert history.verified[0].difference < 1e-4, "of the largest feature; those in float differ by more"
    check = choice(history).quantization
    assert check is not None
    assert max(check.error.values()) > 1e-3
