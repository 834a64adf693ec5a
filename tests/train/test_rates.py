"""Learning rates by group and moments over phases, in whole runs on tiny models."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from ftapp.runs.run_folder import RunFolder
from tests.conftest import Do
from tests.support.presets import Tiny

# One step of plain descent: momentum has no part in an optimizer's first step.
ONE_STEP = ("phase.finetune.steps=1", "phase.finetune.optimizer=sgd", 'phase.finetune.layers=["train all"]')


def changes(run: RunFolder, preset: Any) -> dict[str, Any]:
    """How much each weight of the backbone has changed over a run."""
    before, after = (
        {variable.path: keras.ops.convert_to_numpy(variable) for variable in backbone.weights}
        for backbone in (
            keras_hub.models.Backbone.from_preset(str(preset)),
            keras_hub.models.Backbone.from_preset(str(run.model_folder / "preset")),
        )
    )
    return {path: after[path] - value for path, value in before.items()}


@pytest.mark.slow
def test_each_layer_moves_at_its_own_rate(do: Do, text_recipe: str, tiny: Tiny) -> None:
    table = "phase.finetune.learning_rate={ all = 0.1, 'attention & last:1' = 0.05 }"
    _, _, even = do(text_recipe, *ONE_STEP, "phase.finetune.learning_rate=0.1")
    code, history, scaled = do(text_recipe, *ONE_STEP, table, "phase.finetune.layer_decay=0.5")
    assert code == 0
    assert [step.rate for step in history.steps] == [0.1]
    # Two blocks: 0.5 to the power of 3 for the embeddings, 2 for the first block, 1 for the last, 0 for the pooler.
    expected = {"embedding": 0.125, "transformer_layer_0": 0.25, "transformer_layer_1": 0.5, "pooled_dense": 1.0}
    one, other = changes(even, tiny.bert), changes(scaled, tiny.bert)
    for path, change in one.items():
        rate = next(rate for name, rate in expected.items() if name in path)
        if "transformer_layer_1/self_attention_layer/" in path:
            rate *= 0.5
        np.testing.assert_allclose(other[path], rate * change, rtol=2e-2, atol=1e-6, err_msg=path)
    assert max(np.abs(change).max() for change in one.values()) > 1e-3


@pytest.mark.slow
def test_weights_that_go_on_training_keep_their_momentum(do: Do, text_recipe: str, tiny: Tiny) -> None:
    # In a second phase whose rate is next to nothing, only what is left of the first one's momentum moves weights.
    first = text_recipe.replace("[evaluate]", 'optimizer = "sgd"\n[evaluate]')
    second = (
        first.partition("[[phase]]")[2]
        .partition("[evaluate]")[0]
        .replace("finetune", "second")
        .replace("steps = 12", "steps = 1")
        .replace("learning_rate = 0.003", "learning_rate = 1e-12")
        .replace('"freeze embeddings", "freeze attention"', '"freeze embeddings", "freeze mlp & last:1"')
    )
    both = first.replace("[evaluate]", f"[[phase]]{second}[evaluate]")
    sets = ("phase.finetune.steps=1", "phase.finetune.learning_rate=0.1")
    alone = changes(do(first, *sets)[2], tiny.bert)
    code, history, run = do(both, *sets)
    assert code == 0
    assert [phase.phase for phase in history.phases] == ["finetune", "second"]
    after = changes(run, tiny.bert)
    mlp = "transformer_layer_{}/feedforward_output_dense/kernel"
    assert np.abs(alone[mlp.format(0)]).max() > 1e-4
    np.testing.assert_allclose(after[mlp.format(0)], 1.9 * alone[mlp.format(0)], rtol=1e-2, atol=1e-6)
    np.testing.assert_array_equal(after[mlp.format(1)], alone[mlp.format(1)])
    assert not after["transformer_layer_0/self_attention_layer/query/kernel"].any()


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ("{ all = 1e-4, attentoin = 1e-3 }", "'attentoin' matches no layer of this model; did you mean 'attention'?"),
        ("{ backbone = 1e-4 }", "no selection reaches 'classifier'; put 'all' first"),
    ],
)
def test_rates_that_do_not_fit_the_model_are_refused(do: Do, text_recipe: str, rates: str, message: str) -> None:
    code, history, _ = do(text_recipe, f"phase.finetune.learning_rate={rates}")
    assert code == 2
    assert history.ended is not None
    ((_, key, found),) = history.ended.problems
    assert key == "phase.finetune.learning_rate"
    assert message in found
    assert not history.steps
