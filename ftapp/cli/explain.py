"""`ftapp explain`: what a finished run's answers rest on: maps of images, and shares of words."""

from __future__ import annotations

import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import UNANSWERED, fail_on_run_errors, fail_on_unwritable, refuse, refuse_bad_recipes
from ftapp.cli.input_arguments import EncodingOption, FormatOption, check_inputs, make_inputs
from ftapp.cli.options import RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.cli.explanation_output import ExplanationOutput
    from ftapp.common.downloads import Progress
    from ftapp.rpc.explanation_messages import ExplainQuestion
    from ftapp.rpc.predictor_client import PredictorClient
    from ftapp.runs.run_folder import RunFolder


@dataclass
class ExplainedCounts:
    """How many inputs there are, and how many of them have no answer."""

    inputs: int = 0
    problems: int = 0

    def __str__(self) -> str:
        from ftapp.common.formatting import format_quantity

        without = f"; {self.problems:,} without an answer" if self.problems else ""
        return f"{format_quantity(self.inputs, 'input')}{without}"


def explain(
    name: RunArgument,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Files, folders or - for standard input, as of `ftapp predict`."),
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="A text to explain. Can be repeated.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a .png (an image), .svg (a text), .html or .json file, or a folder.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="LABEL", help="The class to explain. [default: the predicted one]")
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Explain the N best classes.")] = 1,
    column: Annotated[
        str | None,
        typer.Option("--column", metavar="NAME", help="The column of texts or images. [default: the recipe's]"),
    ] = None,
    format: FormatOption = None,
    encoding: EncodingOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout.")] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Explain a finished run's answers: where in an image, or in which words, the evidence is.

    Convolution nets are explained by Grad-CAM, transformers by integrated gradients. The answers are those of `ftapp
    predict`. Exit code 3: some inputs have no answer.
    """
    from ftapp.experiments.find_run import find_run

    if not inputs and not texts:
        refuse("there is nothing to explain; name an INPUT, or give a text by --text TEXT")
    if not all(map(str.strip, texts or ())):
        refuse("--text is empty; a text has words")
    if label is not None and top > 1:
        refuse("--class and --top are both given; --class explains one class, and --top the best ones")
    check_inputs(inputs or [], encoding)
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        from ftapp.cli.explanation_output import open_output
        from ftapp.rpc.explanation_messages import ExplainQuestion
        from ftapp.rpc.prediction_messages import PredictQuestion

        if as_json and output:
            refuse("--json and --output are both given; a file that ends in .json gets the same data")
        with fail_on_unwritable(output):
            written = open_output(output, run, as_json=as_json)
            question = ExplainQuestion(
                inputs=PredictQuestion(
                    inputs=make_inputs(inputs or []),
                    column=column,
                    format=format.value if format else None,
                    encoding=encoding,
                ),
                texts=list(texts or ()),
                label=label,
                top=top,
                figures=written.wants_figures,
            )
            counts = _explain(run, question, written)
    print(counts, file=sys.stderr)
    if counts.problems:
        raise typer.Exit(UNANSWERED)


def _explain(run: RunFolder, question: ExplainQuestion, written: ExplanationOutput) -> ExplainedCounts:
    """Explain inputs, and write what comes."""
    import msgspec

    from ftapp import recipe as recipes
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.cli.piped_input import pipe_standard_input
    from ftapp.rpc.predictor_client import PredictorClient

    recipe = recipes.load(run.recipe_file)
    with pipe_standard_input(question.inputs) as piped:
        asked = msgspec.structs.replace(question, inputs=piped)

        async def ask(client: PredictorClient, progress: Progress) -> ExplainedCounts:
            loaded = await client.load(progress)
            counts = ExplainedCounts()
            async with aclosing(client.explain(asked, progress)) as rows:
                async for row in rows:
                    counts.inputs += 1
                    counts.problems += bool(row.problem)
                    if written.on_screen:
                        progress("", 0, None)  # its display would stand among the rows
                    written.write(row, loaded.head)
            written.close()
            return counts

        return ask_helper("the model", PredictorClient(recipe, run.folder, offline=True), ask)
