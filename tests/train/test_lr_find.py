"""`ftapp lr-find` on tiny recipes: it trains as a run does, suggests what learns, and leaves everything as it was."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from ftapp import recipe
from ftapp.freezing import proof
from ftapp.training import build_model, lr_range_test, setup
from tests.conftest import Do
from tests.support.backends import BACKENDS, QUICK_XLA
from tests.support.presets import Tiny
from tests.support.quick_starts import make_command
from tests.support.recipes import without_samples
from tests.train.test_cached import resnet_recipe

SECOND = """
[[phase]]
name = "block"
layers = ["freeze all", "train block2", "train head"]
epochs = 2
batch_size = 8
learning_rate = { all = 0.001, head = 0.002 }
"""


def words(folder: Path, text: str, *arguments: str) -> list[str]:
    """The module and the arguments of a test of a recipe's text."""
    file = folder / "tested.toml"
    file.write_text(text, encoding="utf-8")
    return ["ftapp.cli", "lr-find", str(file), *arguments]


def found(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FTAPP_RUNS": str(folder / "runs"), "XLA_FLAGS": QUICK_XLA}
    return subprocess.run(
        make_command(*words(folder, text, *arguments)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env=environment,
    )


def outcome(folder: Path, text: str, index: int, rates: tuple[float, float], steps: int, *overrides: str) -> Any:
    """The result of a test in this process."""
    file = folder / "tested.toml"
    file.write_text(text, encoding="utf-8")
    points: list[tuple[float, float]] = []
    tested = recipe.load(file, None, overrides)
    result = lr_range_test.test(tested, index, rates, steps, lambda *_: None, lambda *point: points.append(point))
    assert points == list(zip(result["curve"]["rates"], result["curve"]["losses"], strict=True))
    return result


@pytest.mark.parametrize("backend", BACKENDS)
def test_command_suggests_and_leaves_nothing(backend: str, image_recipe: str, tmp_path: Path) -> None:
    wide = ["--from", "1e-5", "--to", "1e4", "--set", "model.hidden=[16]"]
    wide += ["--set", "model.label_smoothing=0.1"]  # else separable examples end with a loss of 0 at any rate
    done = found(tmp_path, image_recipe, "--json", "--backend", backend, "--plot", "curve.svg", *wide)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "range test" in done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    assert set(made) == {
        *("recipe", "profile", "phase", "trained_before", "optimizer", "batch_size", "backend", "precision", "reason"),
        *("cache", "steps", "ended", "seconds", "curve", "own_rate", "suggestions", "rate", "sentences", "weights"),
        *("arm", "override"),
    }
    assert (made["recipe"], made["phase"], made["backend"], made["steps"]) == ("tested", "head", backend, 100)
    curve = made["curve"]
    assert len(curve["rates"]) == len(curve["losses"]) == len(curve["centers"]) == len(curve["smoothed"])
    assert curve["rates"][0] == pytest.approx(1e-5)
    ratios = [after / before for before, after in zip(curve["rates"], curve["rates"][1:], strict=False)]
    assert ratios == pytest.approx([10 ** (9 / 99)] * len(ratios))
    assert made["cache"]["cached"], "the phase keeps features, so the test does too"
    assert {row["rule"] for row in made["suggestions"]} == {"steep", "minimum", "valley"}
    assert made["ended"] == "diverged"
    assert made["rate"] < curve["rates"][-1] / 10
    assert made["override"] == f"phase.head.learning_rate={made['rate']:g}"
    assert made["weights"]["before"] == made["weights"]["after"]
    assert not (tmp_path / "runs").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"tested.toml", "curve.svg", "cache"}
    assert {path.name.partition("-")[0] for path in (tmp_path / "cache").iterdir()} <= {"features", "bfloat16", "logs"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vgg", "bert", "gpt2", "resnet"])
def test_steps_are_those_of_a_run_and_everything_is_put_back(
    kind: str,
    do: Do,
    tiny: Tiny,
    image_recipe: str,
    text_recipe: str,
    lm_recipe: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text, overrides = {
        "vgg": (image_recipe, ["model.normalize=true", "model.hidden=[4]", "model.dropout=0.2"]),
        "bert": (text_recipe, []),
        "gpt2": (without_samples(lm_recipe), []),
        "resnet": (image_recipe, []),
    }[kind]
    if kind == "resnet":
        text = resnet_recipe(text, tiny, tmp_path / "resnet")
    _, history, _ = do(text, *overrides)
    built: list[Any] = []
    build = build_model.build_model

    def kept(*given: Any) -> Any:
        built.append(build(*given))
        return built[-1]

    monkeypatch.setattr(setup, "build_model", kept)
    own = history.steps.rate[0]
    made = outcome(tmp_path, text, 0, (own, own * (1 + 1e-9)), 20, *overrides)
    count = min(20, len(history.steps))
    assert made["curve"]["losses"][:count] == pytest.approx(list(history.steps.loss[:count]), rel=1e-5)
    assert history.model is not None
    assert made["weights"]["before"] == history.model.digest
    assert made["weights"]["after"] == history.model.digest
    assert proof.combine(proof.digest_weights(built[0][2][0])) == history.model.digest


def test_a_later_phase_starts_where_a_run_would(do: Do, image_recipe: str, tmp_path: Path) -> None:
    text = image_recipe + SECOND
    _, history, _ = do(text)
    first = history.phases[1].first_step - 1
    losses = list(history.steps.loss[first:])
    made = outcome(tmp_path, text, 1, (0.002, 0.002 * (1 + 1e-9)), 20)
    assert made["trained_before"] == ["head"]
    assert made["own_rate"] == 0.002
    assert made["curve"]["losses"][: len(losses)] == pytest.approx(losses[:20], rel=1e-5)
    assert made["weights"]["before"] == made["weights"]["after"]
    assert history.model is not None
    assert made["weights"]["before"] != history.model.digest


def test_a_loss_that_is_not_finite_ends_the_test(do: Do, text_recipe: str, tmp_path: Path) -> None:
    made = outcome(tmp_path, text_recipe, 0, (1e10, 1e30), 40, "phase.finetune.optimizer=sgd")
    assert made["ended"] in ("not finite", "diverged")
    assert made["rate"] is None
    assert "No suggestion" in made["sentences"][0]
    assert all(map(math.isfinite, made["curve"]["losses"]))
    assert made["weights"]["before"] == made["weights"]["after"]


@pytest.mark.parametrize(
    ("old", "new", "arguments", "message"),
    [
        ("", "", ["--phase", "haed"], "--phase: there is no phase 'haed'; did you mean 'head'?"),
        ("", "", ["--from", "1", "--to", "0.1"], "did you mean --from 0.1 --to 1?"),
        ("", "", ["--steps", "5"], "--steps"),
        ('"train head"', '"train haed"', [], "did you mean 'head'?"),
        ("epochs = 3", "epoch = 3", [], "did you mean 'epochs'?"),
    ],
)
def test_what_cannot_be_is_refused(
    image_recipe: str, tmp_path: Path, old: str, new: str, arguments: Sequence[str], message: str
) -> None:
    done = found(tmp_path, image_recipe.replace(old, new) if old else image_recipe, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_it_at_once(number: signal.Signals, image_recipe: str, tmp_path: Path) -> None:
    arguments = words(tmp_path, image_recipe, "--steps", "1000000", "--from", "1e-9", "--to", "1e-8")
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("range test"):
                break
        children = psutil.Process(process.pid).children()
        assert children
        process.send_signal(number)
        output = process.stderr.read()
        assert process.wait(timeout=240) == 130
    assert "Traceback" not in output
    assert not psutil.wait_procs(children, timeout=30)[1]
