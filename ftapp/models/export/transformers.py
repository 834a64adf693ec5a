"""Exports to Hugging Face Transformers: classifiers of BERT's and ViT's kinds, and what KerasHub itself exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors.numpy import save_file

from ftapp.models.export.companions import describe_images
from ftapp.models.export.linear_head import ACTIVATIONS, fold_head
from ftapp.models.export.program import READ_IMAGES, RESIZE_IMAGES, Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.tokenizer_json import make_tokenizer
from ftapp.models.export.transformers_families import FAMILIES, Family
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.runs.export_formats import UnfitError

_NAME = "transformers"
# How Transformers' pipelines bring logits into the range of scores.
_PROBLEMS = {
    "softmax": "single_label_classification",
    "sigmoid": "multi_label_classification",
    "linear": "regression",
}
_COMPUTE = '''
MODEL = AutoModelFor{kind}.from_pretrained(FOLDER).eval()
ACTIVATIONS = {{"single_label_classification": torch.nn.Softmax(-1), "multi_label_classification": torch.nn.Sigmoid()}}


@torch.no_grad()
def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    logits = MODEL(**inputs).logits
    activation = ACTIVATIONS.get(MODEL.config.problem_type)
    return (activation(logits) if activation else logits).numpy()
'''
_TEXTS = Program(
    encode='''
from transformers import AutoTokenizer

TOKENIZER = AutoTokenizer.from_pretrained(FOLDER)


def encode(texts):
    """Encode texts."""
    return TOKENIZER(list(texts), padding=True, truncation=True, return_tensors="pt")
''',
    compute="import torch\nfrom transformers import AutoModelForSequenceClassification\n"
    + _COMPUTE.format(kind="SequenceClassification"),
)
_IMAGES = Program(
    encode=READ_IMAGES
    + RESIZE_IMAGES
    + '''

def encode(files):
    """Encode image files. They are resized as in the training; the processor itself would smooth them."""
    resized = np.stack([resize(read_image(file)) for file in files])
    return PROCESSOR(resized, do_resize=False, input_data_format="channels_last", return_tensors="pt")
''',
    compute="import torch\nfrom transformers import AutoImageProcessor, AutoModelForImageClassification\n"
    + "\nPROCESSOR = AutoImageProcessor.from_pretrained(FOLDER)"
    + _COMPUTE.format(kind="ImageClassification"),
)
_WRITES = Program(
    encode='''
from transformers import AutoTokenizer

TOKENIZER = AutoTokenizer.from_pretrained(FOLDER)


def encode(texts):
    """Encode texts."""
    return TOKENIZER(list(texts), return_tensors="pt", return_token_type_ids=False)
''',
    compute='''
import torch
from transformers import AutoModelForCausalLM

MODEL = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


@torch.no_grad()
def compute_scores(inputs):
    """Compute the logits of encoded texts."""
    return MODEL(**inputs).logits.numpy()
''',
    generate='''
def generate(prompt, length=64):
    """Continue a prompt with the likeliest tokens, up to so many tokens in all."""
    ids = MODEL.generate(**encode([prompt]), max_length=length, do_sample=False)
    return TOKENIZER.decode(ids[0], skip_special_tokens=True)
''',
)


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `config.json`, `model.safetensors` and the files of a tokenizer or an image processor.

    Args:
        request: What is exported.
        folder: Where to.

    Raises:
        UnfitError: Transformers has no such model, or KerasHub does not export it.
    """
    trained = request.trained
    if trained.causal_lm is not None:
        return _write_language_model(trained, folder)
    backbone = request.load_backbone()
    family = FAMILIES.get(type(backbone).__name__)
    if family is None:
        known = ", ".join(FAMILIES)
        raise UnfitError(
            _NAME, f"its backbone is a {type(backbone).__name__}, and classifiers go over of {known}", "onnx"
        )
    if fault := family.find_fault(backbone.get_config()):
        raise UnfitError(_NAME, fault, "onnx")
    if request.features is not None:
        raise UnfitError(_NAME, f"its head stands on the inner layer '{request.features}'", "onnx")
    _write_weights(trained, folder, family, backbone)
    if TASKS[trained.task].inputs == "images":
        return _write_image_processor(trained, folder)
    return _write_tokenizer(trained, folder)


def _write_weights(trained: TrainedModel, folder: Path, family: Family, backbone: Any) -> None:
    head = fold_head(trained)
    if head is None:
        raise UnfitError(_NAME, f"its head has hidden layers, and that of {family.architecture} is one layer", "onnx")
    config = backbone.get_config()
    weights = {each.path: keras.ops.convert_to_numpy(each.value) for each in backbone.weights}
    found = family.convert(weights, config)
    found["classifier.weight"], found["classifier.bias"] = head[0].T, head[1]
    labels = trained.classes or ("number",)
    described = family.configure(config) | {
        "architectures": [family.architecture],
        "problem_type": _PROBLEMS[ACTIVATIONS[trained.head]],
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})


def _write_tokenizer(trained: TrainedModel, folder: Path) -> WrittenModel:
    tokenizer = trained.preprocessor.tokenizer
    made = make_tokenizer(trained)
    if made is None:
        raise UnfitError(_NAME, f"its {type(tokenizer).__name__} has no file tokenizer.json", "keras-hub")
    made.save(str(folder / "tokenizer.json"))
    special = {name: getattr(tokenizer, name, None) for name in ("cls_token", "sep_token", "pad_token", "mask_token")}
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trained.preprocessor.sequence_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "unk_token": tokenizer.oov_token,
        **{name: token for name, token in special.items() if token},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return WrittenModel(_TEXTS, ["read it with transformers.pipeline('text-classification', FOLDER)"], True)


def _write_image_processor(trained: TrainedModel, folder: Path) -> WrittenModel:
    converter = trained.preprocessor.image_converter
    scale = np.ones(3) if converter.scale is None else np.broadcast_to(converter.scale, 3).astype(float)
    offset = np.zeros(3) if converter.offset is None else np.broadcast_to(converter.offset, 3).astype(float)
    # (x * factor - mean) / std = x * scale + offset, with factor = 1 / 255.
    std = 1 / (255 * scale)
    described = describe_images(trained) | {
        "image_processor_type": "ViTImageProcessor",
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": (-offset * std).tolist(),
        "image_std": std.tolist(),
    }
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    note = (
        "read it with transformers.pipeline('image-classification', FOLDER) too; it smooths images as it makes them "
        "smaller, which the training did not, so its scores differ somewhat from those of predict.py"
    )
    return WrittenModel(_IMAGES, [note])


def _write_language_model(trained: TrainedModel, folder: Path) -> WrittenModel:
    try:
        trained.causal_lm.export_to_transformers(str(folder))  # type: ignore[union-attr]
    except (ValueError, NotImplementedError) as error:
        raise UnfitError(_NAME, f"KerasHub does not export it ({str(error).splitlines()[0]})", "onnx") from error
    made = make_tokenizer(trained)
    if made is not None:
        made.save(str(folder / "tokenizer.json"))
        file = folder / "tokenizer_config.json"
        described = json.loads(file.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
        file.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return WrittenModel(_WRITES, ["read it with transformers.pipeline('text-generation', FOLDER)"], True)
