"""Frozen layers paid once: runs that keep their outputs train as those that do not, share them, and survive a kill."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from ftapp import recipe
from ftapp.data import encoded
from ftapp.data.encoded_splits import load_encoded
from ftapp.freezing import feature_cache, freeze
from ftapp.models import build
from ftapp.runs.history import History
from ftapp.training.session import PhaseSession
from tests.conftest import Do, Finished
from tests.support.plans import make_plan
from tests.support.presets import Tiny, set_weights
from tests.support.quick_starts import make_command
from tests.support.recipes import without_samples

LAST_BLOCK = 'phase.finetune.layers=["freeze all", "train last:1, pooler, head"]'


def losses(history: History) -> list[float]:
    return [step.loss for step in history.steps] + [one.loss for one in history.evaluations]


def resnet_recipe(text: str, tiny: Tiny, folder: Path) -> str:
    """The image recipe on a small network with skips and batch normalization, of which the last block trains."""
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        [64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(None, None, 3)
    )
    set_weights(backbone, 4)
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.ResNetImageConverter(image_size=(32, 32), scale=1 / 255)
    keras_hub.models.ResNetImageClassifierPreprocessor(converter).save_to_preset(str(folder))
    changed = text.replace(str(tiny.vgg), str(folder)).replace("[16, 16]", "[32, 32]")
    return changed.replace('"train head"', '"train last:1, head"').replace("0.01", "0.001")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vgg", "bert", "gpt2", "resnet"])
def test_results_with_and_without_the_cache_agree(
    kind: str, do: Do, tiny: Tiny, image_recipe: str, text_recipe: str, lm_recipe: str, tmp_path: Path
) -> None:
    text, overrides = {
        "vgg": (image_recipe, ["model.normalize=true"]),
        "bert": (text_recipe, [LAST_BLOCK, "phase.finetune.steps=24"]),
        "gpt2": (without_samples(lm_recipe), ["phase.finetune.epochs=2"]),
        "resnet": (image_recipe, []),
    }[kind]
    if kind == "resnet":
        text = resnet_recipe(text, tiny, tmp_path / "resnet")
    # In bfloat16 a batch of another size is rounded otherwise, and by more than the losses may differ here.
    overrides.append("precision=float32")
    kept, computed = (do(text, *overrides, *more)[1] for more in ([], ["frozen.cache=false"]))
    for history, cached in ((kept, True), (computed, False)):
        choice = history.phases[0].cache
        assert choice is not None
        assert choice.cached is cached
        assert (history.ended_phases[0].preparing > 0) is cached
    assert kept.phases[0].cache is not None
    assert kept.phases[0].cache.layers[0] in ("block1_conv1", "token_embedding", "conv1_conv")
    assert losses(kept) == pytest.approx(losses(computed), rel=1e-4)
    assert kept.ended_phases[0].digest == computed.ended_phases[0].digest
    # The second run finds everything there, and its losses are the same bit by bit.
    again = do(text, *overrides)[1]
    assert losses(again) == losses(kept)
    assert kept.ended_phases[0].seconds_saved == 0
    assert again.ended_phases[0].seconds_saved > 0


def test_a_run_ends_with_a_proof_for_each_phase(do: Do, image_recipe: str) -> None:
    second = '[[phase]]\nname = "block"\nlayers = ["freeze all", "train block2, head"]\nsteps = 12\nbatch_size = 8\n'
    code, history, _ = do(image_recipe + second)
    assert code == 0
    head, block = history.ended_phases
    assert (head.frozen, head.changed, head.moved, head.still) == (6, [], 2, [])
    assert (block.frozen, block.changed, block.moved, block.still) == (2, [], 6, [])
    assert head.seconds >= head.preparing + head.training + head.evaluating
    cut = [phase.cache.layers for phase in history.phases if phase.cache]
    assert cut == [["block1_conv1", "block2_conv1", "block2_conv2"], ["block1_conv1"]]
    proof = history.summary()["phases"][0]["proof"]
    assert proof["digest"] == head.digest


def test_a_frozen_weight_that_moves_fails_the_run(do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = freeze.apply

    def forgetful(model: Any, plan: Any) -> None:
        apply(model, plan)
        model.get_layer("block2_conv2").trainable = True

    monkeypatch.setattr(freeze, "apply", forgetful)
    code, history, run = do(image_recipe, "frozen.cache=false")  # else the layer lies in the half that never trains
    assert code == 1
    assert history.ended_phases[0].changed == ["block2_conv2/kernel", "block2_conv2/bias"]
    assert history.ended is not None
    assert history.ended.error is not None
    assert "frozen weights changed in phase 'head': block2_conv2/kernel" in history.ended.error
    # What was trained is kept, and says what is wrong with it.
    marks = json.loads((run.model_folder / "ftapp.json").read_text("utf-8"))
    assert (marks["status"], marks["proof"], marks["step"]) == ("failed", "failed", len(history.steps))
    assert marks["error"] == history.ended.error
    assert history.saved is not None
    assert history.saved.flaw == history.ended.error


def test_a_weight_that_does_not_train_fails_the_run(do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = freeze.apply

    def overzealous(model: Any, plan: Any) -> None:
        apply(model, plan)
        model.get_layer("block2_conv2").trainable = False

    monkeypatch.setattr(freeze, "apply", overzealous)
    code, history, _ = do(image_recipe, 'phase.head.layers=["freeze all", "train block2_conv2, head"]')
    assert code == 1
    assert history.ended is not None
    assert history.ended_phases[0].still == ["block2_conv2/kernel", "block2_conv2/bias"]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["frozen.cache=false"], "the recipe says so"),
        (['phase.finetune.layers=["train all"]'], "nothing is frozen at the bottom: token_embedding trains"),
        (["phase.finetune.steps=4", LAST_BLOCK], "the phase sees each example once"),
        (["phase.finetune.steps=24"], "computing them is as fast as reading them"),
        (["phase.finetune.steps=24", LAST_BLOCK, "frozen.dropout=true"], "computing them is as fast"),
    ],
)
def test_it_says_why_nothing_is_kept_and_encodes_no_text_for_it(
    text_recipe: str, tmp_path: Path, overrides: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> Any:
        pytest.fail("texts were encoded")

    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe, encoding="utf-8")
    chosen = recipe.load(file, None, overrides)
    pretrained = build.load_pretrained(chosen)
    splits = load_encoded(chosen, pretrained.preprocessor, lambda *message: None)
    model = build.build(chosen, pretrained, 2)
    plan = make_plan(model, pretrained.backbone, chosen.phase[0].layers)
    monkeypatch.setattr(encoded, "encode_texts", refuse)
    with PhaseSession(chosen, 0, model, plan, splits) as made:
        assert not made.choice.cached
        assert reason in made.choice.reason


def test_a_quota_that_is_too_small_is_told_and_the_run_goes_on(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_FEATURES_GIB", "0")
    code, history, _ = do(image_recipe)
    assert code == 0
    assert history.phases[0].cache is not None
    assert "the quota is 0 B" in history.phases[0].cache.reason


def test_phases_with_other_cuts_and_augmented_views(do: Do, image_recipe: str) -> None:
    text = image_recipe + "[augment]\nrotation = 90.0\nviews = 2\n"
    code, history, _ = do(text, "phase.head.epochs=4")
    assert code == 0
    assert history.phases[0].cache is not None
    assert "2 augmented views of each example are cached, each is used 2 times" in history.phases[0].cache.reason
    assert losses(do(text, "phase.head.epochs=4")[1]) == losses(history)
    once = do(text, "phase.head.epochs=2")[1]
    assert once.phases[0].cache is not None
    assert "sees each augmented view of each example once" in once.phases[0].cache.reason


def test_an_augmentation_that_changes_nothing_reads_the_features_that_are_kept(do: Do, image_recipe: str) -> None:
    _, plain, _ = do(image_recipe)
    _, zero, _ = do(image_recipe + '[augment]\nflip = "none"\nrotation = 0.0\nviews = 3\n')
    assert plain.phases[0].cache is not None
    assert plain.phases[0].cache.cached
    assert zero.phases[0].cache == plain.phases[0].cache
    assert losses(zero) == losses(plain)


def test_a_checked_cache_tells_what_it_found(do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_VERIFY_CACHE", "1")
    _, history, _ = do(image_recipe)
    # All 40 pictures are fewer than the sample.
    assert [(one.examples, one.checked) for one in history.verified] == [(40, 40)]
    assert history.verified[0].difference < 1e-5
    (entry,) = feature_cache.list_entries()
    kept = entry.folder / "features_0"
    kept.write_bytes(bytes(len(kept.read_bytes())))
    code, again, _ = do(image_recipe)
    assert code == 0
    assert [(one.examples, one.checked) for one in again.verified] == [(40, 40)]
    assert losses(again) == pytest.approx(losses(history), rel=1e-5)
    assert ["are damaged (their checksums differ)" in note for note in again.summary()["notes"]] == [True] * 3


def test_a_cache_that_cannot_be_written_is_told_and_the_run_goes_on(
    do: Do, image_recipe: str, finished: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, _ = finished
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "file"))
    code, history, _ = do(image_recipe)
    assert code == 0
    assert history.phases[0].cache is not None
    assert "cannot be written: Not a directory" in history.phases[0].cache.reason
    assert losses(history) == pytest.approx(losses(kept), rel=1e-4)


def start(file: Path, runs: Path, *arguments: str, is_real: bool = False) -> subprocess.Popen[str]:
    words = ["ftapp.cli", "run", str(file), "--runs-dir", str(runs), "--json", *arguments]
    command = [sys.executable, "-m", *words] if is_real else make_command(*words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    outcome: dict[str, Any] = json.loads(stdout)
    return outcome


def killed_while_it_keeps(file: Path, folder: Path) -> int:
    """Kill a run once it has kept some features; the bytes of its index."""
    process = start(file, folder, is_real=True)
    deadline = time.monotonic() + 240
    while not any(path.stat().st_size for path in feature_cache.folder().glob("*/index")):
        assert time.monotonic() < deadline, "it keeps nothing"
        time.sleep(0.005)
    for worker in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    process.communicate()
    (entry,) = feature_cache.list_entries()
    return (entry.folder / "index").stat().st_size


@pytest.mark.slow
def test_a_kill_in_the_middle_and_two_runs_at_once(do: Do, image_recipe: str, tmp_path: Path) -> None:
    text = image_recipe.replace("[16, 16]", "[256, 256]")
    file = tmp_path / "many.toml"
    file.write_text(text, encoding="utf-8")
    kept = 0
    while not 0 < kept < 40 * 32:  # again where the run was through before it could be killed
        shutil.rmtree(feature_cache.folder(), ignore_errors=True)
        kept = killed_while_it_keeps(file, tmp_path / "killed")
    runs = [start(file, tmp_path / name, "--verify-cache") for name in ("first", "second")]
    first, second = map(result, runs)
    assert first["history"] == second["history"]
    assert first["phases"][0]["cache"]["cached"]
    assert len(feature_cache.list_entries()) == 1
    alone = do(text, "frozen.cache=false", f"precision={first['precision']}")[1].result
    assert alone is not None
    assert alone.loss == pytest.approx(first["metrics"]["loss"], rel=1e-4)
