"""Requests to the predictor: answers of a finished run's model. Imports no Keras."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ftapp.common.downloads import Progress
from ftapp.recipe import Recipe
from ftapp.rpc.client import HelperClient, pass_on
from ftapp.rpc.evaluation_messages import Remeasured
from ftapp.rpc.explanation_messages import ExplainedRow, ExplainQuestion
from ftapp.rpc.messages import Generated, HeldOut, Loaded, Prediction
from ftapp.rpc.prediction_messages import PredictedRow, PredictedRows, PredictQuestion, Sampling, WrittenText
from ftapp.runs.explanations import Explanation

_Item = TypeVar("_Item")


class PredictorClient(HelperClient):
    """A finished run's model, to try it (`ftapp.workers.predictor`). Methods raise as InspectorClient's do.

    Args:
        recipe: The run's recipe.
        folder: The run's folder, where its recipe and `model` folder are.
        offline: Whether the process makes no network call.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.predictor", offline=offline)
        self._backend, self._run = recipe.backend, str(folder.absolute())

    async def load(self, progress: Progress | None = None) -> Loaded:
        """Load the trained model ahead of the first question."""
        return await self._ask(self._backend, Loaded, "load", progress, run=self._run)

    async def classify(
        self, *, text: str | None = None, image: Path | None = None, progress: Progress | None = None
    ) -> Prediction:
        """Classify a text or an image file, whichever the run's task takes.

        Args:
            text: The text.
            image: The image file.
            progress: Called with what is being done.

        Returns:
            The prediction.
        """
        parameters = {"run": self._run, "text": text, "image": image and str(image)}
        return await self._ask(self._backend, Prediction, "classify", progress, **parameters)

    async def classify_held_out(self, count: int, progress: Progress | None = None) -> tuple[HeldOut, ...]:
        """Classify examples of the run's test split.

        Args:
            count: How many of the first examples.
            progress: Called with what is being done.

        Returns:
            The examples with the classifier's answers, mistakes first.
        """
        return await self._ask(self._backend, tuple[HeldOut, ...], "held-out", progress, run=self._run, count=count)

    async def predict(
        self, question: PredictQuestion, progress: Progress | None = None
    ) -> AsyncGenerator[PredictedRows, None]:
        """Predict many inputs. Close the generator to stop it.

        Args:
            question: The inputs, and what is asked of them.
            progress: Called with what is being done.

        Yields:
            The inputs with their answers in order, some at a time.
        """
        asked = msgspec.to_builtins(question)
        async with aclosing(self._stream(PredictedRows, "predict", "predicted", progress, question=asked)) as parts:
            async for part in parts:
                yield part

    async def answer(
        self, inputs: Sequence[Any], batch_size: int, *, has_scores: bool = False, progress: Progress | None = None
    ) -> list[PredictedRow]:
        """Answer inputs in one batch.

        Args:
            inputs: Texts, or the bytes of image files in base64, whichever the model reads. Other values are damaged.
            batch_size: The inputs of a batch at most.
            has_scores: Whether the scores of all classes come with each answer.
            progress: Called with what is being done.

        Returns:
            The answers in order.
        """
        parameters = {"inputs": list(inputs), "batch_size": batch_size, "scores": has_scores}
        return await self._ask(self._backend, list[PredictedRow], "answer", progress, run=self._run, **parameters)

    async def explain(
        self, question: ExplainQuestion, progress: Progress | None = None
    ) -> AsyncGenerator[ExplainedRow, None]:
        """Explain the answers to many inputs. Close the generator to stop it.

        Args:
            question: The inputs, and what is asked of them.
            progress: Called with what is being done.

        Yields:
            The inputs with their answers and what these rest on, in order.
        """
        asked = msgspec.to_builtins(question)
        async with aclosing(self._stream(ExplainedRow, "explain", "explained", progress, question=asked)) as rows:
            async for row in rows:
                yield row

    async def explain_one(
        self, *, text: str | None = None, image: Path | None = None, progress: Progress | None = None
    ) -> Explanation:
        """Explain the answer to a text or an image file, whichever the run's task takes.

        Args:
            text: The text.
            image: The image file.
            progress: Called with what is being done.
        """
        parameters = {"run": self._run, "text": text, "image": image and str(image)}
        return await self._ask(self._backend, Explanation, "explain-one", progress, **parameters)

    async def explain_test(self, examples: Sequence[str], progress: Progress | None = None) -> dict[str, Explanation]:
        """Explain the answers to examples of the run's test split.

        Args:
            examples: Their places in their source.
            progress: Called with what is being done.

        Returns:
            The explanations by the places. Examples that are not there any more are left out.
        """
        parameters = {"run": self._run, "examples": list(examples)}
        return await self._ask(self._backend, dict[str, Explanation], "explain-test", progress, **parameters)

    async def evaluate(
        self, other: Recipe | None = None, split: str | None = None, progress: Progress | None = None
    ) -> Remeasured:
        """Evaluate the model on the run's test split again, or on other data.

        Args:
            other: The run's recipe with the other data; None for the run's own.
            split: Which of the source's own splits; None for the usual one, "all" for all examples.
            progress: Called with what is being done.

        Returns:
            The measures.
        """
        parameters = {"recipe": other and other.to_toml(), "split": split}
        return await self._ask(self._backend, Remeasured, "evaluate", progress, run=self._run, **parameters)

    async def write_parquet(
        self, lines: Path, file: Path, columns: Mapping[str, str], progress: Progress | None = None
    ) -> None:
        """Write the rows of a file of JSON lines to a Parquet file.

        Args:
            lines: The file of JSON lines.
            file: The Parquet file.
            columns: The columns with their types (`ftapp.data.parquet_output.Kind`).
            progress: Called with what is being done.
        """
        parameters = {"lines": str(lines.absolute()), "file": str(file.absolute()), "columns": dict(columns)}
        await self._ask(self._backend, type(None), "write-parquet", progress, **parameters)

    async def generate_all(
        self,
        prompts: Sequence[str],
        question: PredictQuestion,
        sampling: Sampling,
        progress: Progress | None = None,
    ) -> AsyncGenerator[WrittenText, None]:
        """Continue many prompts. Close the generator to stop it.

        Args:
            prompts: Prompts.
            question: Files with more prompts.
            sampling: How tokens are chosen.
            progress: Called with what is being done.

        Yields:
            The prompts with their continuations in order.
        """
        asked = {"question": msgspec.to_builtins(question), "options": msgspec.to_builtins(sampling)}
        stream = self._stream(WrittenText, "generate-all", "written", progress, prompts=list(prompts), **asked)
        async with aclosing(stream) as texts:
            async for text in texts:
                yield text

    async def generate(
        self,
        prompt: str,
        sampling: Sampling,
        *,
        model: Literal["trained", "base"] = "trained",
        progress: Progress | None = None,
    ) -> AsyncGenerator[str | Generated, None]:
        """Continue a prompt. Close the generator to stop it.

        Args:
            prompt: The beginning of the text.
            sampling: How tokens are chosen.
            model: The trained model, or the model before training.
            progress: Called with what is being done.

        Yields:
            Pieces of text as they are written, and the whole continuation at the end.
        """
        service = await self._start(self._backend)
        options = msgspec.to_builtins(sampling)
        async with aclosing(service.stream(f"generate-{model}", run=self._run, prompt=prompt, **options)) as lines:
            async for line in lines:
                if "piece" in line:
                    yield str(line["piece"])
                elif "answer" in line:
                    yield msgspec.convert(line["answer"], Generated)
                elif progress:
                    pass_on(progress)(line)

    async def _stream(
        self, item: type[_Item], kind: str, key: str, progress: Progress | None, **parameters: object
    ) -> AsyncGenerator[_Item, None]:
        """Yield the items that a request says before its answer.

        Args:
            item: Their type.
            kind: The kind of the request.
            key: The key of the lines that hold an item.
            progress: Called with what is being done.
            parameters: The parameters of the request beside the run.
        """
        service = await self._start(self._backend)
        async with aclosing(service.stream(kind, run=self._run, **parameters)) as lines:
            async for line in lines:
                if key in line:
                    yield msgspec.convert(line[key], item)
                elif progress and "progress" in line:
                    pass_on(progress)(line)
