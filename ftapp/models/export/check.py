"""The check of an export: its own program answers test examples in a process without ftapp, beside the model itself."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from ftapp.common.errors import RunError
from ftapp.common.processes import make_child_environment, make_script_command
from ftapp.models.export.request import ExportCheck
from ftapp.models.export.tokenizer_json import count_equal, encode_prompt
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS, Backend

# float32 sums in another order: VGG16 and MiniLM differ by 1e-6 and less. Scores far from 1 differ in proportion.
_TOLERANCE = 1e-3
# In int8 answers decide: of 50, two may differ. A number agrees within a tenth of the spread of all.
_LEAST_AGREEMENT, _SPREAD = 0.95, 0.1
_PROMPTS, _CONTINUED = 5, 16  # texts that are continued, and the tokens that are written after the longest one
_POLL_SECONDS = 0.2
_LAST_LINES = 8

# -I leaves out the current folder, PYTHONPATH and the user's packages; an installed ftapp must not be found either.
# Python's garbage collector takes a quarter of an import of Keras, and batches of another size are traced anew.
_DRIVER = """
import gc, json, sys
sys.modules["ftapp"] = None
folder, given, found = sys.argv[1:]
sys.path.insert(0, folder)
gc.disable()
import numpy
import predict
gc.enable()
task = json.loads(open(given, encoding="utf-8").read())
given = task["examples"]
size = next((each for each in (10, 9, 8, 7, 6) if len(given) % each == 0), 8)
scores = numpy.concatenate([predict.predict(given[start : start + size]) for start in range(0, len(given), size)])
texts = [predict.generate(prompt, task["length"]) for prompt in task["prompts"]]
numpy.savez(found, scores=scores, texts=numpy.array(texts, dtype=str))
"""


def check_export(
    trained: TrainedModel,
    folder: Path,
    examples: Sequence[Any],
    labels: NDArray[Any] | None,
    *,
    int8: bool,
    backend: Backend,
    tokenizer: Tokenizer | None,
    on_wait: Callable[[], None],
) -> ExportCheck:
    """Compare the answers of an export with those of the model.

    Args:
        trained: The model, in float32.
        folder: The export.
        examples: Texts, RGB images, or paths of image files; at least one.
        labels: Their labels, as `ftapp.data.examples.Examples` has them; None of language models.
        int8: Whether the export is in int8.
        backend: What the program's Keras computes with, if it uses Keras.
        tokenizer: What the export's `tokenizer.json` holds; None where it has none.
        on_wait: Called while the program runs; what it raises ends the program.

    Returns:
        The comparison.

    Raises:
        RunError: The program failed.
    """
    prompts = list(examples[:_PROMPTS]) if trained.causal_lm is not None else []
    with tempfile.TemporaryDirectory(prefix="ftapp-export-") as name:
        place = Path(name)
        length = max((len(encode_prompt(trained, each)) for each in prompts), default=0) + _CONTINUED
        length = min(length, trained.preprocessor.sequence_length) if prompts else 0
        given = {"examples": [_name(each, place) for each in examples], "prompts": prompts, "length": length}
        (place / "given.json").write_bytes(msgspec.json.encode(given))
        _run_program(folder, place, backend, on_wait)
        with np.load(place / "found.npz") as found:
            scores, texts = found["scores"], found["texts"].tolist()
    wanted = _compute_scores(trained, examples)
    if scores.shape != wanted.shape:
        raise RunError(f"the export answers with scores of shape {scores.shape}, and the model with {wanted.shape}")
    tokens = None
    if tokenizer is not None:
        tokens = count_equal(trained, tokenizer, examples)
    continuations = None
    if trained.causal_lm is not None:
        ours = trained.causal_lm.generate(prompts, max_length=length)
        continuations = sum(map(str.__eq__, texts, ours)), len(prompts)
    metric, before, after = _measure(trained, wanted, scores, labels)
    return ExportCheck(
        examples=len(examples),
        agreeing=int(_compare(trained, wanted, scores, int8=int8).sum()),
        difference=float(np.abs(scores - wanted).max()),
        tolerance=None if int8 else _TOLERANCE * max(1.0, float(np.abs(wanted).max())),
        least_agreement=_LEAST_AGREEMENT if int8 else 1.0,
        tokens=tokens,
        metric=metric,
        before=before,
        after=after,
        continuations=continuations,
    )


def _name(example: Any, place: Path) -> str:
    """Return what the program takes for an example: a text, or the name of an image file, written if need be."""
    if isinstance(example, str | Path):
        return str(example)
    file = place / f"{len(list(place.iterdir()))}.png"
    Image.fromarray(example).save(file)
    return str(file)


def _run_program(folder: Path, place: Path, backend: Backend, on_wait: Callable[[], None]) -> None:
    """Run an export's program on what lies in a folder, and have it write what it found there."""
    environment = make_child_environment(
        {"KERAS_BACKEND": backend, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    )
    command = make_script_command(_DRIVER, str(folder), *(str(place / each) for each in _FILES))
    with (place / "log").open("w+b") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            while process.poll() is None:
                on_wait()
                try:
                    process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
            raise RunError("the export was written, but its own runtime cannot read it: " + "\n".join(lines))


_FILES = ("given.json", "found.npz")


def _compute_scores(trained: TrainedModel, examples: Sequence[Any]) -> NDArray[np.float32]:
    """Compute a model's scores, or the logits of the token that follows each text."""
    if trained.causal_lm is None:
        return np.asarray(trained.predict(examples), np.float32)
    rows = []
    for text in examples:
        ids = np.array([encode_prompt(trained, text)], np.int32)
        given = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
        rows.append(trained.model.predict_on_batch(given)[0, -1])
    return np.stack(rows).astype(np.float32)


def _compare(trained: TrainedModel, wanted: NDArray[Any], found: NDArray[Any], *, int8: bool) -> NDArray[np.bool_]:
    """Compare the answers to each example, bool (examples,)."""
    labels = TASKS[trained.task].labels
    if labels == "numbers":
        spread = float(wanted.std()) or float(np.abs(wanted).max()) or 1.0
        within = _SPREAD * spread if int8 else _TOLERANCE * max(1.0, float(np.abs(wanted).max()))
        close: NDArray[np.bool_] = np.abs(wanted - found)[:, 0] <= within
        return close
    equal: NDArray[np.bool_]
    if labels == "sets":
        thresholds = np.array(trained.thresholds)
        equal = ((wanted >= thresholds) == (found >= thresholds)).all(axis=1)
    else:
        equal = wanted.argmax(axis=-1) == found.argmax(axis=-1)
    return equal


def _measure(
    trained: TrainedModel, wanted: NDArray[Any], found: NDArray[Any], labels: NDArray[Any] | None
) -> tuple[str, float | None, float | None]:
    """Measure the model and the export on the labels: (name, of the model, of the export)."""
    if labels is None:
        return "", None, None
    kind = TASKS[trained.task].labels

    def measure(scores: NDArray[Any]) -> float:
        if kind == "numbers":
            return float(np.abs(scores[:, 0] - labels).mean())
        if kind == "sets":
            return float(((scores >= np.array(trained.thresholds)) == labels).all(axis=1).mean())
        return float((scores.argmax(axis=-1) == labels).mean())

    return "mean absolute error" if kind == "numbers" else "accuracy", measure(wanted), measure(found)
