"""The process behind Try it, which answers with a finished run's model, and with the model before training beside it.

It answers the requests of `ftapp.rpc.predictor_client`, each with the run's folder, and keeps the models of the last
run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.common.quick_imports import quick_imports
from ftapp.recipe import TASKS
from ftapp.rpc import server
from ftapp.rpc.messages import Generated, HeldOut, Loaded, Meaning, Prediction
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import Run

if TYPE_CHECKING:
    from ftapp.data.examples import Subset
    from ftapp.models.saved_model import TrainedModel

_BATCH = 16  # examples of the test split at a time; other questions are answered between
_MEANINGS: dict[str, Meaning] = {
    "softmax": "probabilities",
    "one-vs-rest": "one-vs-rest",
    "linear-svm": "decision values",
    "linear": "number",
}


class Predictor:
    """The handlers of the process."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # for images that come from no files
        self._trained: server.Last[TrainedModel] = server.Last()
        self._base: server.Last[Any] = server.Last()
        self._lock = threading.Lock()

    def load(self, request: Request, run: str) -> Loaded:
        """Load the trained model of the run in a folder."""
        trained = self._load(request, run)
        return Loaded(
            task=trained.task,
            classes=trained.classes,
            head=trained.head,
            no_base=None
            if trained.causal_lm is not None
            else "before training a classifier's head is random, so there is nothing to compare with",
        )

    def classify(self, request: Request, run: str, text: str | None, image: str | None) -> Prediction:
        """Classify a text or an image file, whichever the run's task takes.

        Args:
            request: Is told of progress.
            run: The folder of the run.
            text: The text.
            image: The path of the image file.

        Raises:
            RunError: The model does not classify, or takes the other kind of example.
        """
        trained = self._load(request, run)
        if trained.causal_lm is not None:
            raise RunError("this run's model writes text and does not classify")
        wants_image = TASKS[trained.task].inputs == "images"
        given = image if wants_image else text
        if given is None:
            kind = "image file" if wants_image else "text"
            raise RunError(f"no {kind} is given; this run's model classifies {kind}s")
        example: Any = _read_pixels(given, trained.preprocessor) if wants_image else given
        tokens, length = None, None
        if not wants_image:
            from ftapp.data.encoding import count_tokens
            from ftapp.data.texts import prepare

            if not prepare(given).strip():
                raise RunError("the text is empty; a text to classify has words")
            length = trained.preprocessor.sequence_length
            tokens = count_tokens([given], trained.preprocessor)[0]
        with self._lock:
            scores = trained.predict([example])[0]
        return msgspec.structs.replace(_make_prediction(trained, scores), tokens=tokens, length=length)

    def classify_held_out(self, request: Request, run: str, count: int) -> tuple[HeldOut, ...]:
        """Classify the first examples of the run's test split.

        Args:
            request: Is told of progress.
            run: The folder of the run.
            count: How many examples are classified at most.

        Returns:
            The examples with their predictions, confident mistakes or large errors first.

        Raises:
            RunError: The model does not classify, or the data cannot be read.
        """
        trained = self._load(request, run)
        recipe = recipes.load(Run(Path(run)).recipe_file)
        from ftapp import data
        from ftapp.data.encoding import get_longer_side

        splits = data.read(recipe, request.report_progress)
        if trained.causal_lm is not None or isinstance(splits, data.DocumentSplits):
            raise RunError("this run's model writes text and does not classify")
        test, found = splits.test, list[HeldOut]()

        def read(position: int) -> Any:
            if TASKS[trained.task].inputs == "images":
                return test.read_image(position, get_longer_side(trained.preprocessor))
            return test[position]

        total = min(count, len(test))
        for start in range(0, total, _BATCH):
            request.report_progress("trying the test split", start, total)
            positions = range(start, min(start + _BATCH, total))
            with self._lock:
                scores = trained.predict([read(position) for position in positions])
            for position, row in zip(positions, scores, strict=True):
                example = test[position]
                found.append(
                    HeldOut(
                        label=test.describe_label(position),
                        prediction=_make_prediction(trained, row),
                        number=None if trained.classes else float(test.labels[position]),
                        text=example if isinstance(example, str) else None,
                        file=None if isinstance(example, str) else self._find_image_file(test, position),
                    )
                )
        if not trained.classes:
            return tuple(sorted(found, key=lambda each: -(each.error or 0.0)))
        return tuple(sorted(found, key=lambda each: (each.is_right, -each.prediction.best[1])))

    def _find_image_file(self, test: Subset, position: int) -> str:
        """Find the file of an image: its own where it comes from one, else a file of this process."""
        from PIL import Image

        if own := test.find_file(position):
            return str(own)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="ftapp-predictor-")
        file = Path(self._folder.name) / f"test-{position}.png"
        if not file.exists():
            image = test[position]
            assert not isinstance(image, str)
            Image.fromarray(image).save(file)
        return str(file)

    def close(self) -> None:
        """Remove the files that have been written."""
        if self._folder:
            self._folder.cleanup()

    def generate_trained(self, request: Request, run: str, **parameters: Any) -> Generated:
        """Continue a prompt with the trained model, and say the pieces as they are written.

        Args:
            request: Is told of progress.
            run: The folder of the run.
            parameters: `prompt`, `tokens`, `temperature`, `top_k` and `seed`.

        Raises:
            RunError: The model does not write.
        """
        trained = self._load(request, run)
        if trained.causal_lm is None:
            raise RunError(f"this run's task is '{trained.task}'; only a causal language model writes text")
        return self._generate(request, trained.causal_lm, trained.render_prompt, **parameters)

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
        _begin(request)
        from ftapp.models import build, generation

        def make() -> Any:
            request.report_progress("loading the model before training")
            base = build.load_pretrained(recipe, request.report_progress).causal_lm
            generation.quicken(base)
            return base

        return self._generate(request, self._base.get(run, make), recipe.render_prompt, **parameters)

    def _generate(
        self,
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

    def _load(self, request: Request, run: str) -> TrainedModel:
        folder = Run(Path(run)).model_folder
        if not (folder / "ftapp.json").is_file():
            raise RunError(f"there is no model in {folder}; a model can be tried once its run has saved it")
        _begin(request)
        from ftapp.models import backend, generation, saved_model

        def make() -> TrainedModel:
            request.report_progress("loading the trained model")
            trained = saved_model.load(folder)
            trained.model.compile(jit_compile=backend.jit_compile())
            if trained.causal_lm is not None:
                generation.quicken(trained.causal_lm)
            return trained

        return self._trained.get((run, (folder / "ftapp.json").stat().st_mtime_ns), make)


def _make_prediction(trained: TrainedModel, scores: Any) -> Prediction:
    return Prediction(
        classes=trained.classes,
        scores=tuple(map(float, scores)),
        meaning=_MEANINGS[trained.head],
        thresholds=trained.thresholds,
    )


def _begin(request: Request) -> None:
    if "keras_hub" not in sys.modules:
        request.report_progress("loading Keras")
    from ftapp.models import backend

    with quick_imports():  # it imports Keras
        backend.device()


def _read_pixels(file: str, preprocessor: Any) -> Any:
    """Read the RGB image in a file as in training: uint8 (height, width, 3)."""
    from ftapp.data import images
    from ftapp.data.encoding import get_longer_side

    try:
        return images.read(Path(file).expanduser(), get_longer_side(preprocessor))
    except images.BrokenImageError as error:
        raise RunError(f"'{file}' cannot be decoded: {error}") from error


def main() -> None:
    """Answer until stdin ends."""
    handlers = Predictor()
    try:
        server.serve(
            {
                "load": handlers.load,
                "classify": handlers.classify,
                "held-out": handlers.classify_held_out,
                "generate-trained": handlers.generate_trained,
                "generate-base": handlers.generate_base,
            }
        )
    finally:
        handlers.close()


if __name__ == "__main__":
    main()
    # Backends' threads and requests that nobody waits for would only delay the end.
    os._exit(0)
