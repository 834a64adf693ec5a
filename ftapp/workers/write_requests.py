"""Requests to continue prompts, with a run's model and with the model before training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc.messages import Generated
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import Run
from ftapp.workers.run_models import RunModels


class WriteRequests:
    """The handlers of requests to write. Their run is the path of its folder."""

    def __init__(self, models: RunModels) -> None:
        """Prepare the handlers.

        Args:
            models: The models of the last run.
        """
        self._models = models

    def generate_trained(self, request: Request, run: str, **parameters: Any) -> Generated:
        """Continue a prompt with the trained model, and say the pieces as they are written.

        Args:
            request: Is told of progress.
            run: The folder of the run.
            parameters: `prompt`, `tokens`, `temperature`, `top_k` and `seed`.

        Raises:
            RunError: The model does not write.
        """
        trained = self._models.load(request, run)
        if trained.causal_lm is None:
            raise RunError(f"this run's task is '{trained.task}'; only a causal language model writes text")
        return _generate(request, trained.causal_lm, trained.render_prompt, **parameters)

    def generate_base(self, request: Request, run: str, **parameters: Any) -> Generated:
        """Continue a prompt with the model before training, as `generate_trained` does.

        Args:
            request: Is told of progress.
            run: The folder of the run.
            parameters: `prompt`, `tokens`, `temperature`, `top_k` and `seed`.

        Raises:
            RunError: The model does not write, or cannot be loaded.
        """
        recipe = recipes.load(Run(Path(run)).recipe_file)
        if not TASKS[recipe.task].writes:
            raise RunError(f"this run's task is '{recipe.task}'; only a causal language model writes text")
        base = self._models.load_base(request, run, recipe)
        return _generate(request, base, recipe.render_prompt, **parameters)


def _generate(
    request: Request,
    causal_lm: Any,
    render: Callable[[str], str],
    prompt: str,
    tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> Generated:
    from ftapp.models import generation

    request.report_progress("reading the prompt")

    def on_piece(piece: str) -> None:
        if piece:
            request.say(piece=piece)
        else:
            request.check()

    made = generation.stream(
        causal_lm, render(prompt), on_piece, tokens=tokens, temperature=temperature, top_k=top_k, seed=seed
    )
    return Generated(**asdict(made))
