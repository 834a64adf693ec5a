"""Requests to classify single examples with a run's model, as Try it does: a text, an image, some of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftapp import recipe as recipes
from ftapp.common import confinement
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc.messages import HeldOut, Loaded, Meaning, Prediction
from ftapp.rpc.server import Request
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.run_models import RunModels

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


class ClassifyRequests:
    """The handlers of requests to classify. Their run is the path of its folder."""

    def __init__(self, models: RunModels, folder: Path) -> None:
        """Prepare the handlers.

        Args:
            models: The models of the last run.
            folder: For images that come from no files.
        """
        self._models, self._folder = models, folder

    def load(self, request: Request, run: str) -> Loaded:
        """Load the trained model of the run in a folder."""
        trained = self._models.load(request, run)
        from ftapp.models.generation import get_longest

        return Loaded(
            task=trained.task,
            classes=trained.classes,
            head=trained.head,
            no_base=None
            if trained.causal_lm is not None
            else "before training a classifier's head is random, so there is nothing to compare with",
            longest=get_longest(trained.causal_lm.backbone) if trained.causal_lm else None,
        )

    def classify(self, request: Request, run: str, text: str | None, image: str | None) -> Prediction:
        """Classify a text or an image file, whichever the run's task takes.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            text: The text.
            image: The path of the image file.

        Raises:
            RunError: The model does not classify, or takes the other kind of example.
        """
        trained = self._models.load(request, run)
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
        with self._models.lock:
            scores = trained.predict([example])[0]
        return msgspec.structs.replace(_make_prediction(trained, scores), tokens=tokens, length=length)

    def classify_held_out(self, request: Request, run: str, count: int) -> tuple[HeldOut, ...]:
        """Classify the first examples of the run's test split.

        Args:
            request: Receives the progress.
            run: The folder of the run.
            count: How many examples are classified at most.

        Returns:
            The examples with their predictions, confident mistakes or large errors first.

        Raises:
            RunError: The model does not classify, or the data cannot be read.
        """
        trained = self._models.load(request, run)
        recipe = recipes.load(RunFolder(Path(run)).recipe_file)
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
            with self._models.lock:
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
        file = self._folder / f"test-{position}.png"
        if not file.exists():
            image = test[position]
            assert not isinstance(image, str)
            Image.fromarray(image).save(file)
        return str(file)


def _make_prediction(trained: TrainedModel, scores: Any) -> Prediction:
    return Prediction(
        classes=trained.classes,
        scores=tuple(map(float, scores)),
        meaning=_MEANINGS[trained.head],
        thresholds=trained.thresholds,
    )


def find_allowed_file(file: str) -> Path:
    """Return the path of an image file, which the person who uses this process may name.

    Raises:
        RunError: The person is a student, and the file is outside of the folders of the class.
    """
    path = Path(file).expanduser()
    if obstacle := confinement.find_obstacle(path):
        raise RunError(obstacle)
    return path


def _read_pixels(file: str, preprocessor: Any) -> Any:
    """Read the RGB image in a file as in training: uint8 (height, width, 3)."""
    from ftapp.data import images
    from ftapp.data.encoding import get_longer_side

    try:
        return images.read(find_allowed_file(file), get_longer_side(preprocessor))
    except images.BrokenImageError as error:
        raise RunError(f"'{file}' cannot be decoded: {error}") from error
