"""Requests to continue prompts, with a run's model and with the model before training."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc.messages import Generated
from ftapp.rpc.prediction_messages import PredictQuestion, Sampling, WrittenText
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run_models import RunModels

if TYPE_CHECKING:
    from ftapp.data.input_rows import InputRow
    from ftapp.models.saved_model import TrainedModel


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
            request: Receives the progress.
            run: The folder of the run.
            parameters: `prompt`, and the options of `Sampling` by name.

        Raises:
            RunError: The model does not write.
        """
        trained = self._models.load(request, run)
        return _generate(request, _get_writer(trained), trained.render_prompt, **parameters)

    def generate_base(self, request: Request, run: str, **parameters: Any) -> Generated:
        """Continue a prompt with the model before training, as `generate_trained` does.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            parameters: `prompt`, and the options of `Sampling` by name.

        Raises:
            RunError: The model does not write, or cannot be loaded.
        """
        recipe = recipes.load(RunFolder(Path(run)).recipe_file)
        if not TASKS[recipe.task].writes:
            raise RunError(f"this run's task is '{recipe.task}'; only a causal language model writes text")
        base = self._models.load_base(request, run, recipe)
        return _generate(request, base, recipe.render_prompt, **parameters)

    def generate_all(
        self, request: Request, run: str, prompts: list[str], question: dict[str, Any], options: dict[str, Any]
    ) -> int:
        """Continue many prompts with the trained model, and say each continuation, as `WrittenText`.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            prompts: Prompts.
            question: Files with more prompts, as a `PredictQuestion`.
            options: Those of `Sampling`.

        Returns:
            How many prompts there are.

        Raises:
            RecipeError: A file is not there or cannot be read.
            RunError: The model does not write.
        """
        asked, sampling = msgspec.convert(question, PredictQuestion), msgspec.convert(options, Sampling)
        trained = self._models.load(request, run)
        causal_lm = _get_writer(trained)
        recipe = recipes.load(RunFolder(Path(run)).recipe_file)
        from ftapp.data.input_rows import Input, InputReader, InputRow

        usual = recipe.data.prompt_column if TASKS[recipe.task].labels == "completions" else recipe.data.text_column
        inputs = [Input(Path(path), name) for path, name in asked.inputs]
        encoding = asked.encoding or recipe.data.encoding
        reader = InputReader(inputs, "texts", asked.column or usual, format=asked.format, encoding=encoding)
        given = (InputRow(prompt, "--prompt", prompt) for prompt in prompts)
        count = 0
        for count, row in enumerate(itertools.chain(given, reader.read()), start=1):
            request.report_progress("writing", count - 1)
            request.say(written=msgspec.to_builtins(_continue(request, trained, causal_lm, row, sampling)))
        return count


def _get_writer(trained: TrainedModel) -> Any:
    if trained.causal_lm is None:
        raise RunError(f"this run's task is '{trained.task}'; only a causal language model writes text")
    return trained.causal_lm


def _continue(
    request: Request, trained: TrainedModel, causal_lm: Any, row: InputRow, sampling: Sampling
) -> WrittenText:
    if row.content is None:
        return WrittenText(prompt=row.name, problem=f"{row.place}: {row.problem}")
    from ftapp.models import generation

    prompt = trained.render_prompt(str(row.content))
    options = msgspec.structs.asdict(sampling)
    try:
        made = Generated(**asdict(generation.stream(causal_lm, prompt, lambda piece: request.check(), **options)))
    except RunError as error:  # the prompt is too long, for instance
        return WrittenText(prompt=row.name, problem=f"{row.place}: {error}")
    return WrittenText(prompt=row.name, text=made.text, tokens=made.tokens, end=made.end)


def _generate(request: Request, causal_lm: Any, render: Callable[[str], str], prompt: str, **options: Any) -> Generated:
    from ftapp.models import generation

    request.report_progress("reading the prompt")
    sampling = msgspec.convert(options, Sampling)

    def on_piece(piece: str) -> None:
        if piece:
            request.say(piece=piece)
        else:
            request.check()

    made = generation.stream(causal_lm, render(prompt), on_piece, **msgspec.structs.asdict(sampling))
    return Generated(**asdict(made))
