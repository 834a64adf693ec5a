"""Completions in whole runs: the result is over their tokens alone, and prompts go through the template."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from ftapp import data, recipe
from ftapp.cli.app import app
from ftapp.data.completions import Completions
from ftapp.data.encoded_completions import encode_rows
from ftapp.models import saved_model
from ftapp.rpc.server import Request
from ftapp.runs.example_results import read_example_results
from ftapp.workers.run_models import RunModels
from ftapp.workers.write_requests import WriteRequests
from tests.conftest import Do
from tests.support.recipes import without_samples

_TEMPLATE = "data.template={prompt} {completion}."


def measure_losses(model: Any, tokens: NDArray[np.int32], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The losses of the learned tokens of one example, without padding."""
    ids = tokens[None, :-1]
    found = model.predict_on_batch({"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)})
    logits = keras.ops.convert_to_numpy(found)[0].astype(float)
    log = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses: NDArray[np.float64] = -log[np.arange(ids.shape[1]), tokens[1:]][learned[1:]]
    return losses


@pytest.mark.slow
def test_completions_are_learned_and_measured_by_token(do: Do, completion_recipe: str) -> None:
    code, history, run = do(
        completion_recipe,
        *(_TEMPLATE, "precision=float32", "phase.finetune.epochs=6", "phase.finetune.learning_rate=0.02"),
        *("evaluate.batch_size=5",),
    )
    assert code == 0
    result = history.result
    assert result is not None
    assert result.loss < history.evaluations[0].loss - 0.3
    assert history.phases[0].cache is not None
    assert history.phases[0].cache.cached
    trained = saved_model.load(run.model_folder)
    loaded = recipe.load(run.recipe_file)
    splits = data.read(loaded)
    assert isinstance(splits, data.Splits)
    examples = splits.test.examples
    assert isinstance(examples, Completions)
    rows = encode_rows([examples.exchanges[at] for at in splits.test.indices], trained.preprocessor.tokenizer)
    losses = [measure_losses(trained.model, *row) for row in rows]
    assert result.loss == pytest.approx(np.concatenate(losses).mean(), rel=1e-4)

    results = read_example_results(run, result)
    assert results is not None
    worst = results.found[0]
    assert worst.loss == pytest.approx(max(map(np.mean, losses)), rel=1e-4)
    place = next(at for at in map(int, splits.test.indices) if examples.locate(at) == worst.example)
    worst_exchange = examples.read_exchange(place)
    assert (worst.text, worst.truth) == worst_exchange

    assert CliRunner().invoke(app, ["report", str(run.folder)]).exit_code == 0
    assert '- Template of prompts: `"{prompt} {completion}."`' in (run.folder / "MODEL_CARD.md").read_text("utf-8")
    assert all(escape(part.strip()) in (run.folder / "report.html").read_text("utf-8") for part in worst_exchange)
    assert worst.truth in CliRunner().invoke(app, ["errors", str(run.folder)]).output

    watched = [examples.exchanges[at][0].prompt for at in splits.validation.indices[:3]]
    assert [sample.prompt for sample in history.samples[:3]] == watched
    assert all(sample.text.startswith(sample.prompt) for sample in history.samples)


@pytest.mark.slow
def test_cached_features_change_no_loss(do: Do, completion_recipe: str) -> None:
    text = without_samples(completion_recipe)
    _, cached, _ = do(text, "precision=float32")
    _, whole, _ = do(text, "precision=float32", "frozen.cache=false")
    assert cached.phases[0].cache is not None
    assert cached.phases[0].cache.cached
    np.testing.assert_allclose([step.loss for step in cached.steps], [step.loss for step in whole.steps], rtol=1e-5)


@pytest.mark.slow
def test_prompts_are_tried_in_the_template(do: Do, completion_recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, history, run = do(
        completion_recipe,
        *(_TEMPLATE, "phase.finetune.epochs=1", 'samples.prompts=["7a?"]', "samples.common=5", "samples.draws=2"),
    )
    assert code == 0
    assert {sample.prompt for sample in history.samples} == {"7a? "}
    assert history.samples[0].text.startswith("7a? ")
    assert len(history.token_shares) > 0
    trained = saved_model.load(run.model_folder)
    assert trained.causal_lm is not None
    assert trained.generate(["7a?"], 9) == list(trained.causal_lm.generate(["7a? "], max_length=9))
    prompts = list(_watch_prompts(run.folder, monkeypatch))
    assert prompts == ["7a? ", "7a? "]


def _watch_prompts(folder: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The prompts that the models of Try it get, trained and before training."""
    from ftapp.models import generation

    seen: list[str] = []

    def stream(causal_lm: Any, prompt: str, *rest: Any, **more: Any) -> generation.GeneratedText:
        seen.append(prompt)
        return generation.GeneratedText("", 0, 0.0, ended=True, limit=None)

    monkeypatch.setattr(generation, "stream", stream)
    request, requests = Request(1, "generate", {}, lambda line: None), WriteRequests(RunModels())
    for generate in (requests.generate_trained, requests.generate_base):
        generate(request, str(folder), prompt="7a?", tokens=4, temperature=1.0, top_k=1, seed=0)
    yield from seen
