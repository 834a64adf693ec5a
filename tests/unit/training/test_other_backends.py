"""What holds of optimizers, random layers, costs, copies, resumed runs and explanations holds on other backends too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backends import BACKENDS, FIGURES, quick_environment
from tests.unit.models.test_flops import figures

FILES = [
    str(Path(__file__).parent / name)
    for name in (
        "test_optimizers.py",
        "test_random_layers.py",
        "test_completion_loss.py",
        "test_instrumented_model.py",
        "../models/test_layers.py",
        "../models/test_flops.py::test_each_backend_gives_the_same_figures",
        "../explain/test_grad_cam.py::test_the_map_points_at_the_square_that_makes_the_class",
        "../../train/test_adapters.py::test_adapters_go_on_exactly_on_other_backends",
        "../../train/test_early_stop.py::test_best_weights_and_an_early_end_are_exact_on_other_backends",
        "../../train/test_golden_losses.py::test_golden_losses_of_texts_on_other_backends",
        "../../train/test_mixing.py::test_mixed_steps_go_on_exactly_on_other_backends",
        "../explain/test_integrated_gradients.py::test_attributions_of_words_add_up_to_the_difference_of_the_scores",
    )
]


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the costs that TensorFlow tells."""
    file = tmp_path_factory.mktemp("costs") / "figures.json"
    file.write_text(json.dumps(figures()), encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_training_is_the_same_on_the_other_backends(backend: str, costs: Path) -> None:
    # One process for all: most of the time goes into importing a backend.
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *FILES]
    environment = quick_environment(backend) | {FIGURES: str(costs)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for file in FILES:
        assert f"{Path(file.partition('::')[0]).name} ." in done.stdout
