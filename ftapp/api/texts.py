"""Texts that a run's language model writes, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.api.run import Run
from ftapp.api.runs import get_run_folder
from ftapp.api.wait_for import wait_for
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc.prediction_messages import PredictQuestion, Sampling, WrittenText
from ftapp.rpc.predictor_client import PredictorClient
from ftapp.runs.run_folder import RunFolder


def generate(
    run: Run | str | Path,
    prompts: Sequence[str],
    *,
    tokens: int = 64,
    temperature: float = 0.8,
    top_k: int = 40,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    runs_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[WrittenText]:
    """Continue prompts with a finished run's language model, as `ftapp generate` does. A helper process computes.

    Args:
        run: The run, its folder, its name, the beginning of its name, or `last`.
        prompts: The beginnings of texts.
        tokens: How many tokens are written at most.
        temperature: How freely tokens are chosen; 0 always takes the likeliest.
        top_k: Among how many of the likeliest tokens is chosen.
        top_p: The probability that these tokens have together; 1 for all.
        seed: Decides the choices. All prompts have the same seed.
        stop: Texts before which a continuation ends.
        runs_dir: The folder of all runs.
        progress: Called with the activity in words, the work done, and the work in all (None where not known).

    Returns:
        For each prompt, in order: `prompt`, `text`, `tokens`, `end`, and `problem`, which says why it has no text.

    Raises:
        RecipeError: There is no such run.
        RunError: An option is out of its range, a prompt is empty, the run has no model, or it does not write text.
        TypeError: One text came in place of a list.
    """
    for name, texts in (("prompt", prompts), ("stop word", stop)):
        if isinstance(texts, str):
            raise TypeError(f"one {name} came in place of a list; give one, such as [{texts!r}]")
    if not all(map(str.strip, prompts)):
        raise RunError("a prompt is empty; a prompt has words")
    options = Sampling(tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, stop=list(stop))
    options.check()
    folder = get_run_folder(run, runs_dir)
    recipe = recipes.load(folder.recipe_file)
    check_writes(folder, recipe.task)

    async def ask() -> list[WrittenText]:
        async with (
            PredictorClient(recipe, folder.folder, offline=True) as client,
            aclosing(client.generate_all(prompts, PredictQuestion(inputs=[]), options, progress)) as texts,
        ):
            return [each async for each in texts]

    return wait_for(ask())


def check_writes(run: RunFolder, task: str) -> None:
    """Check that the model of a run writes text.

    Args:
        run: The run's folder.
        task: The name of its task.

    Raises:
        RunError: It does not.
    """
    if not TASKS[task].writes:
        raise RunError(
            f"this run's model does not write text; 'ftapp predict {run.folder.name} ...' asks for its answers"
        )
