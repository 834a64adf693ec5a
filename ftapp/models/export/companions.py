"""The files beside an exported model: what its inputs and outputs mean, and how they are made of texts and images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers

from ftapp import __version__
from ftapp.models.export.program import PROGRAM_FILE, Program, compose, make_snippet
from ftapp.models.export.request import ExportRequest
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.runs.export_formats import FORMATS

LABELS_FILE = "labels.json"
TOKENIZER_FILE = "tokenizer.json"
IMAGES_FILE = "preprocessor_config.json"

_SCORES = {
    "softmax": "probabilities that sum to 1",
    "one-vs-rest": "a probability for each label against all others",
    "linear-svm": "signed distances, positive on the side of the label",
    "linear": "one number",
}


def describe_model(trained: TrainedModel) -> dict[str, Any]:
    """Describe a model's outputs, as `labels.json` holds them."""
    if trained.causal_lm is not None:
        return {
            "task": trained.task,
            "scores": "logits of the next token",
            "end_token_id": trained.preprocessor.tokenizer.end_token_id,
            "prompt_template": trained.render_prompt("{prompt}"),
        }
    described: dict[str, Any] = {
        "task": trained.task,
        "labels": list(trained.classes),
        "scores": _SCORES[trained.head],
    }
    return described | ({"thresholds": list(trained.thresholds)} if trained.thresholds else {})


def describe_images(trained: TrainedModel) -> dict[str, Any]:
    """Describe how images are read, as `preprocessor_config.json` holds it: resized here, scaled in the graph."""
    resizing = trained.preprocessor.image_converter.resizing
    height, width = trained.preprocessor.image_size
    fit = "crop" if resizing.crop_to_aspect_ratio else "pad" if resizing.pad_to_aspect_ratio else "stretch"
    return {
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": height, "width": width},
        "fit": fit,
        "fill_value": resizing.fill_value,
        "interpolation": resizing.interpolation,
        "antialias": resizing.antialias,
        "do_rescale": False,
        "do_normalize": False,
    }


def write_companions(
    request: ExportRequest,
    name: str,
    folder: Path,
    program: Program,
    tokenizer: tokenizers.Tokenizer | None,
    notes: list[str],
) -> None:
    """Write what a user of an export needs beside the model.

    Args:
        request: What is exported.
        name: The format.
        folder: The folder of the export.
        program: The format's pieces of `predict.py`.
        tokenizer: The tokenizer of texts; None of images, and where the format brings its own.
        notes: What a user has to know of the model's files.
    """
    trained = request.trained
    has_images = TASKS[trained.task].inputs == "images"
    _write_json(folder / LABELS_FILE, describe_model(trained))
    if has_images and not (folder / IMAGES_FILE).exists():
        _write_json(folder / IMAGES_FILE, describe_images(trained))
    if tokenizer is not None:
        tokenizer.save(str(folder / TOKENIZER_FILE))
    text = compose(program, images=has_images, writes=trained.causal_lm is not None)
    (folder / PROGRAM_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_make_readme(request, name, program, notes), encoding="utf-8")


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _make_readme(request: ExportRequest, name: str, program: Program, notes: list[str]) -> str:
    trained, chosen = request.trained, FORMATS[name]
    has_images = TASKS[trained.task].inputs == "images"
    example = "photo.jpg" if has_images else "This is a text."
    packages = " ".join(dict.fromkeys([*chosen.runtime.split(), "numpy", "pillow" if has_images else "tokenizers"]))
    answers = f"Its labels: {', '.join(trained.classes)}." if 0 < len(trained.classes) <= 20 else ""
    listed = "".join(f"- {note[0].upper()}{note[1:]}.\n" for note in notes)
    return f"""# {TASKS[trained.task].title}, for {chosen.title}

A model that was fine-tuned from `{request.preset}` and exported by ftapp {__version__}\
{", in int8" if request.int8 else ""}. {answers}

```sh
pip install {packages}
python predict.py '{example}'
```

`predict.py` reads all files of this folder. In a program of your own, beside them:

```python
{make_snippet(program, example)}```

{listed}- `labels.json` says what the scores are, in the order of the model's outputs.
"""
