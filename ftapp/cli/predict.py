"""`ftapp predict`: the answers of a finished run's model to files, folders, tables and standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import UNANSWERED, fail_on_run_errors, fail_on_unwritable, refuse, refuse_bad_recipes
from ftapp.cli.input_arguments import EncodingOption, FormatOption, check_inputs, make_inputs
from ftapp.cli.options import RunArgument, RunsDirOption

if TYPE_CHECKING:
    from ftapp.rpc.prediction_table import TableFormat


def predict(
    name: RunArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders or - for standard input: images, texts (.txt, one a line), or tables (CSV, TSV, JSON "
            "lines, Parquet, Arrow), also compressed.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a .csv, .jsonl or .parquet file. [default: stdout]"),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option("--column", metavar="NAME", help="The column of texts or images. [default: the recipe's]"),
    ] = None,
    keeps: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", metavar="NAME", help="A column of the table to write beside the answers. Can be repeated."
        ),
    ] = None,
    format: FormatOption = None,
    encoding: EncodingOption = None,
    top: Annotated[int, typer.Option("--top-k", min=0, metavar="K", help="Add the K best classes.")] = 0,
    scores: Annotated[bool, typer.Option("--scores", help="Add the scores of all classes.")] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=65536, metavar="N", help="Inputs in a batch. [default: the recipe's]")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again, even if FILE.partial is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout.")] = False,
    runs_dir: RunsDirOption = None,
) -> None:
    """Predict inputs with a finished run's model.

    Each row has an input, its answer, the probability and an error, in the order of the inputs. After an interruption,
    the same command goes on where FILE.partial ends. Exit code 3: some inputs have no answer; their rows say why.
    """
    from ftapp.experiments.find_run import find_run
    from ftapp.rpc.prediction_messages import PredictQuestion

    written_as = _choose_format(output, as_json=as_json)
    check_inputs(inputs, encoding)
    files = [path for path, name in make_inputs(inputs) if name != "-"]
    if output and output.exists() and any(map(output.samefile, files)):
        refuse(f"'{output}' is an input too, which --output would replace; name another file")
    with refuse_bad_recipes(), fail_on_run_errors():
        run = find_run(name, runs_dir)
        from ftapp.cli.run_prediction import run_prediction

        question = PredictQuestion(
            inputs=make_inputs(inputs),
            column=column,
            keeps=list(keeps or ()),
            format=format.value if format else None,
            encoding=encoding,
            batch_size=batch_size,
            top=top,
            scores=scores,
        )
        with fail_on_unwritable(output):
            counts = run_prediction(run, question, output, written_as, anew=restart)
    print(counts, file=sys.stderr)
    if counts.problems:
        raise typer.Exit(UNANSWERED)


def _choose_format(output: Path | None, *, as_json: bool) -> TableFormat:
    if output is None:
        return "jsonl" if as_json else "csv"
    if as_json:
        refuse("--json and --output are both given; a file that ends in .jsonl gets JSON lines")
    from ftapp.rpc.prediction_rows import choose_table_format

    with fail_on_run_errors(2):
        return choose_table_format(output)
