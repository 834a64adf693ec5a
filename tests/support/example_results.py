"""Results of test examples, as a run leaves them."""

from __future__ import annotations

from ftapp.runs.example_results import ExampleResult, ExampleResults, write_example_results
from ftapp.runs.run_folder import RunFolder

FOUND = (
    ExampleResult(
        example="row 7",
        loss=4.25,
        truth="good",
        answer="bad",
        truth_score=0.0143,
        answer_score=0.9857,
        right=False,
        text="=never <b>again</b>\nI went",
    ),
    ExampleResult(
        example="row 3", loss=0.125, truth="bad", answer="bad", truth_score=0.88, answer_score=0.88, right=True
    ),
)


def write_examples(run: RunFolder, *found: ExampleResult, step: int | None = None) -> ExampleResults:
    """Write results into the folder of a run.

    Args:
        run: The run, with its result.
        found: The examples; two of a text classifier without them.
        step: The step that the file is of; that of the result without it.
    """
    result = run.history().result
    assert result is not None
    results = ExampleResults(result.step if step is None else step, result.split, 100, "probability", found or FOUND)
    write_example_results(run, results)
    return results
