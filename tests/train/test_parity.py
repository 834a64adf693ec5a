"""`ftapp parity`: what rounding explains is let pass, and what it does not explain is found."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.analysis.parity import find_differences
from ftapp.recipe import Backend
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.runs.backend_trial import Trial
from ftapp.training import parity_trial
from tests.support.backends import QUICK_XLA
from tests.support.quick_starts import make_command

STEPS = 4
# JAX pads each batch to these tokens, and the others short texts to 16.
WIDE_SETS = ("model.sequence_length=32", "precision=float32")
IMAGE_SETS = ("model.hidden=[4]", "model.normalize=true", "model.dropout=0.3", "precision=float32")
LATER = """
[[phase]]
name = "block"
layers = ["freeze all", "train block2", "lora:2 block1", "train head"]
steps = 6
batch_size = 8
learning_rate = 0.001
clip_norm = 1.0
[augment]
flip = "horizontal"
rotation = 10
translation = [0.1, 0.1]
"""


def load(text: str, folder: Path, *overrides: str) -> recipe.Recipe:
    file = folder / "tried.toml"
    file.write_text(text, encoding="utf-8")
    return recipe.load(file, None, overrides)


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed")


def run(tried: recipe.Recipe, folder: Path, *, is_reference: bool) -> Trial:
    """A trial in this process."""
    folder.mkdir(exist_ok=True)
    return parity_trial.run_trial(tried, STEPS, folder, is_reference=is_reference, progress=lambda *_: None)


@pytest.mark.slow
def test_a_backend_equals_itself_and_other_settings_are_found(
    image_recipe: str, own_precision: None, tmp_path: Path
) -> None:
    whole = image_recipe + LATER
    files = tmp_path / "files"
    reference = run(load(whole, tmp_path, *IMAGE_SETS), files, is_reference=True)
    head, block = reference.phases
    assert (head.name, head.planned, len(head.losses), len(head.seconds)) == ("head", 9, STEPS, STEPS)
    assert (head.update, head.evaluated) == (None, 8)
    assert set(head.metrics) == {"loss", "accuracy", "macro-f1", "auc"}
    # Kernel and bias of two new layers, two statistics and two factors.
    assert (reference.redrawn, reference.unequal) == (8, ())
    again = run(load(whole, tmp_path, *IMAGE_SETS), files, is_reference=False)
    assert [phase.losses for phase in again.phases] == [phase.losses for phase in reference.phases]
    assert [phase.metrics for phase in again.phases] == [phase.metrics for phase in reference.phases]
    assert [phase.update.share for phase in again.phases if phase.update] == [0, 0]
    assert find_differences(again, reference) == []
    # One in a hundred of the learning rate of the second phase.
    other = run(load(whole, tmp_path, *IMAGE_SETS, "phase.block.learning_rate=0.00101"), files, is_reference=False)
    found = find_differences(other, reference)
    assert any(re.match(r"phase block: the changes of weights differ by 0\.01", each) for each in found), found
    assert not any(each.startswith("phase head") for each in found)
    seeded = run(load(whole, tmp_path, *IMAGE_SETS, "seed=1"), files, is_reference=False)
    assert "phase head: the batches are not equal" in find_differences(seeded, reference)
    assert block.batches != seeded.phases[1].batches


def ask(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`ftapp parity` on the recipe in the folder."""
    return subprocess.run(
        make_command("ftapp.cli", "parity", str(folder / "tried.toml"), *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env={**os.environ, "XLA_FLAGS": QUICK_XLA, "TMPDIR": str(folder), "FTAPP_RUNS": str(folder / "runs")}
        | environment,
    )


@pytest.mark.slow
@pytest.mark.backends
@needs("jax", "torch")
def test_backends_differ_by_rounding_alone_in_every_task(
    image_recipe: str,
    text_recipe: str,
    lm_recipe: str,
    completion_recipe: str,
    tagged_recipe: str,
    rated_recipe: str,
    quickly_started: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One process a backend, for all tasks."""
    monkeypatch.setenv("XLA_FLAGS", QUICK_XLA)
    texts = {
        **{"images": image_recipe + LATER, "texts": text_recipe, "book": lm_recipe, "pairs": completion_recipe},
        **{"labels": tagged_recipe, "numbers": rated_recipe},
    }
    sets = dict.fromkeys(texts, WIDE_SETS) | {"images": IMAGE_SETS, "book": ("precision=float32",)}
    with (tmp_path / "stars.csv").open("a", encoding="utf-8") as table:
        table.writelines(f"{'good ' * count}bad,{1000 + 500 * count}\n" for count in range(17, 25))
    tried = {name: load(text, tmp_path, *sets[name]) for name, text in texts.items()}
    assert {each.task for each in tried.values()} >= {"image-classification", "text-regression", "completion-lm"}
    trials: dict[Backend, dict[str, Trial]] = {"tensorflow": {}, "jax": {}, "torch": {}}

    async def try_on(backend: Backend) -> None:
        async with InspectorClient() as client:
            for name, each in tried.items():
                files = tmp_path / name
                files.mkdir(exist_ok=True)
                own = each.model_copy(update={"backend": backend})
                is_reference = backend == "tensorflow"
                trials[backend][name] = await client.run_trial(own, STEPS, files, is_reference=is_reference)
            if backend == "jax":
                other = load(texts["numbers"], tmp_path, *sets["numbers"], "phase.finetune.learning_rate=0.00303")
                own = other.model_copy(update={"backend": backend})
                trial = await client.run_trial(own, STEPS, tmp_path / "numbers", is_reference=False)
                trials[backend]["other rate"] = trial

    async def try_all() -> None:
        await try_on("tensorflow")
        await asyncio.gather(try_on("jax"), try_on("torch"))

    asyncio.run(try_all())
    for backend in ("jax", "torch"):
        for name, reference in trials["tensorflow"].items():
            found = trials[backend][name]
            assert find_differences(found, reference) == [], (backend, name)
            for phase, expected in zip(found.phases, reference.phases, strict=True):
                # Tiny models round less than the tolerances allow, which are for large ones.
                assert phase.losses == pytest.approx(expected.losses, rel=1e-5), (backend, name)
                assert phase.update is not None
                assert phase.update.share < 1e-3, (backend, name)
                assert phase.cached == expected.cached
    said = find_differences(trials["jax"]["other rate"], trials["tensorflow"]["numbers"])
    assert any(each.startswith("phase finetune: the changes of weights differ by ") for each in said)


@pytest.mark.backends
@needs("jax")
def test_command_tells_of_a_backend_that_fails_and_leaves_nothing(image_recipe: str, tmp_path: Path) -> None:
    load(image_recipe, tmp_path)
    pair = ("--backends", "tensorflow,jax", "--steps", "3")
    done = ask(tmp_path, *pair, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["reference"], list(result["backends"]), result["differences"]) == (
        "tensorflow",
        ["tensorflow", "jax"],
        {"jax": []},
    )
    assert (result["precision"], result["failures"]) == ("float32", {})
    failed = ask(tmp_path, *pair, JAX_PLATFORMS="abacus")
    assert failed.returncode == 1
    assert re.search(r"^✗ jax failed: .*abacus", failed.stdout, re.MULTILINE)
    assert "phase head: the first 3 of 9 steps, on cached features" in failed.stdout
    # TensorFlow imports a file of its own here.
    left = {each.name for each in tmp_path.iterdir() if "autograph" not in each.name} - {"__pycache__"}
    assert left == {"tried.toml", "cache"}


@pytest.mark.backends
@needs("jax")
def test_command_that_is_interrupted_shows_what_it_has(image_recipe: str, tmp_path: Path) -> None:
    load(image_recipe, tmp_path)
    command = make_command("ftapp.cli", "parity", str(tmp_path / "tried.toml"), "--backends", "tensorflow,jax")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("jax: "):
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"^tensorflow .* reference", out, re.MULTILINE)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("ftapp-")]
