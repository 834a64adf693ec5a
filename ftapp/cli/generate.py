"""`ftapp generate`: continuations of prompts by a finished run's language model."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftapp.cli.failure import UNANSWERED, fail_on_run_errors, refuse, refuse_bad_recipes
from ftapp.cli.input_arguments import EncodingOption, FormatOption, check_inputs, make_inputs
from ftapp.cli.options import RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.common.downloads import Progress
    from ftapp.rpc.prediction_messages import PredictQuestion, Sampling
    from ftapp.rpc.predictor_client import PredictorClient
    from ftapp.runs.run_folder import RunFolder


def generate(
    name: RunArgument,
    prompts: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", metavar="TEXT", help="A prompt. Can be repeated.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="A .txt file with a prompt a line, a table, or - for standard input. Can be repeated.",
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of prompts in a table. [default: the recipe's]")
    ] = None,
    format: FormatOption = None,
    encoding: EncodingOption = None,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Write at most N tokens.")] = 64,
    temperature: Annotated[
        float, typer.Option(min=0, metavar="T", help="How freely tokens are chosen; 0 always takes the likeliest.")
    ] = 0.8,
    top_k: Annotated[int, typer.Option(min=1, metavar="K", help="Choose among the K likeliest tokens.")] = 40,
    top_p: Annotated[
        float,
        typer.Option(metavar="P", help="Choose among the likeliest tokens whose probabilities add up to P."),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Decides the choices. All prompts have the same seed."),
    ] = 0,
    stop: Annotated[
        list[str] | None, typer.Option("--stop", metavar="WORD", help="End before this text. Can be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout.")] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Continue prompts with a finished run's language model.

    The continuation of one prompt is printed while it is written. Several prompts give JSON lines. Exit code 3: some
    prompts have no continuation, for example because they are too long; their lines say why.
    """
    from ftapp.experiments.find_run import find_run

    if not prompts and not files:
        refuse("there is no prompt; --prompt TEXT gives one, and --file FILE many")
    if not all(map(str.strip, prompts or ())):
        refuse("--prompt is empty; a prompt has words")
    from ftapp.rpc.prediction_messages import PredictQuestion, Sampling

    sampling = Sampling(
        tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, stop=list(stop or ())
    )
    with fail_on_run_errors(2):
        sampling.check()
    check_inputs(files or [], encoding)
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        question = PredictQuestion(
            inputs=make_inputs(files or []), column=column, format=format.value if format else None, encoding=encoding
        )
        if files or as_json or len(prompts or ()) > 1:
            problems = _write_lines(run, prompts or [], question, sampling)
        else:
            problems = _write_text(run, (prompts or [""])[0], sampling)
    if problems:
        raise typer.Exit(UNANSWERED)


def _write_text(run: RunFolder, prompt: str, sampling: Sampling) -> int:
    """Print the continuation of a prompt as it is written."""

    async def ask(client: PredictorClient, progress: Progress) -> int:
        async with aclosing(client.generate(prompt, sampling, progress=progress)) as pieces:
            async for piece in pieces:
                progress("", 0, None)  # its display would stand in the text
                print(piece if isinstance(piece, str) else "", end="" if isinstance(piece, str) else "\n", flush=True)
        return 0

    return _ask(run, ask)


def _write_lines(run: RunFolder, prompts: list[str], question: PredictQuestion, sampling: Sampling) -> int:
    """Print the continuations of prompts as JSON lines. Returns how many have none."""
    from ftapp.cli.piped_input import pipe_standard_input

    with pipe_standard_input(question) as piped_question:

        async def ask(client: PredictorClient, progress: Progress) -> int:
            await client.load(progress)
            problems, shows_lines = 0, sys.stdout.isatty()
            if shows_lines:
                progress("", 0, None)  # its display would stand among the lines
            async with aclosing(
                client.generate_all(prompts, piped_question, sampling, None if shows_lines else progress)
            ) as texts:
                async for each in texts:
                    problems += bool(each.problem)
                    line = {"prompt": each.prompt, "text": each.text, "tokens": each.tokens, "end": each.end or None}
                    print(json.dumps(line | {"error": each.problem or None}), flush=True)
            return problems

        return _ask(run, ask)


def _ask(run: RunFolder, ask: Any) -> int:
    from ftapp import recipe as recipes
    from ftapp.api.texts import check_writes
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.rpc.predictor_client import PredictorClient

    recipe = recipes.load(run.recipe_file)
    check_writes(run, recipe.task)
    return int(ask_helper("the model", PredictorClient(recipe, run.folder, offline=True), ask))
