"""Tiny real presets and data: two blocks, a few words, kilobytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GOOD = ["good", "great", "fine", "lovely", "superb"]
BAD = ["bad", "awful", "poor", "dull", "dreadful"]
OTHER = ["the", "film", "was", "a", "plot", "with", "and", "very", "actor", "scene", "in", "it", "i", "found"]


@dataclass(frozen=True)
class Tiny:
    """Folders of tiny presets and files of tiny data."""

    vgg: Path
    bert: Path
    gpt2: Path
    reviews: Path
    book: Path
    photos: Path
    pairs: Path


def make_tiny(folder: Path) -> Tiny:
    """Make the presets and the data in a folder. Takes a second or two, Keras's import aside."""
    made = Tiny(
        *(folder / name for name in ("vgg", "bert", "gpt2", "reviews.csv", "book.txt", "photos", "pairs.jsonl"))
    )
    _save_vgg(made.vgg)
    _save_bert(made.bert)
    _save_gpt2(made.gpt2)
    random = np.random.default_rng(0)
    _write_reviews(made.reviews, random)
    _write_book(made.book, random)
    _write_photos(made.photos, random)
    _write_pairs(made.pairs, random)
    return made


def few_photos(tiny: Tiny, folder: Path) -> Path:
    """Make a folder of four of the tiny photos of each class."""
    for name in ("across", "down"):
        (folder / name).mkdir(parents=True)
        for index in range(4):
            (folder / name / f"{index}.png").write_bytes((tiny.photos / name / f"{index}.png").read_bytes())
    return folder


def set_weights(model: Any, seed: int) -> None:
    """Weights that are the same on every backend, where Keras's own initializers differ."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            value = np.ones(variable.shape)
        elif variable.path.endswith(("bias", "beta", "moving_mean")):
            value = np.zeros(variable.shape)
        else:
            fan_in = max(1, int(np.prod(variable.shape[:-1])) if "embedding" not in variable.path else 50)
            value = random.normal(0, fan_in**-0.5, variable.shape)
        variable.assign(value.astype("float32"))


def byte_tokens() -> list[str]:
    """The signs of all bytes in byte-pair vocabularies: those without a printable sign are moved behind 255.

    (Radford et al. 2019, encoder.py.)
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def _save_vgg(folder: Path) -> None:
    import keras_hub

    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 2], stackwise_num_filters=[4, 6], image_shape=(None, None, 3)
    )
    set_weights(backbone, 1)
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.VGGImageConverter(image_size=(16, 16), scale=1 / 255)
    keras_hub.models.VGGImageClassifierPreprocessor(converter).save_to_preset(str(folder))


def _save_bert(folder: Path) -> None:
    import keras_hub

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *OTHER]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
    )
    set_weights(backbone, 2)
    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=16).save_to_preset(str(folder))


def _save_gpt2(folder: Path) -> None:
    import keras_hub

    words = [*byte_tokens(), "th", "the", "<|endoftext|>"]
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary={word: index for index, word in enumerate(words)}, merges=["t h", "th e"]
    )
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(words), num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=32
    )
    set_weights(backbone, 3)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=16)
    keras_hub.models.GPT2CausalLM(backbone, preprocessor).save_to_preset(str(folder))


def _write_reviews(file: Path, random: np.random.Generator) -> None:
    rows = []
    for index in range(80):
        words = [*random.choice(OTHER, 6), *random.choice(GOOD if index % 2 else BAD, 3), f"n{index}"]
        rows.append(f"{' '.join(random.permutation(words))},{'positive' if index % 2 else 'negative'}")
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _write_book(file: Path, random: np.random.Generator) -> None:
    nouns, verbs = ["cat", "dog", "queen", "king"], ["sees", "hears", "likes"]
    lines = [f"the {random.choice(nouns)} {random.choice(verbs)} the {random.choice(nouns)}." for _ in range(150)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_photos(folder: Path, random: np.random.Generator) -> None:
    from PIL import Image

    for name, axis in (("across", 0), ("down", 1)):
        (folder / name).mkdir(parents=True)
        for index in range(20):
            stripes = np.indices((20, 24))[axis] // 2 % 2 * 180
            noise = random.integers(0, 70, (20, 24, 3))
            Image.fromarray((stripes[..., None] + noise).astype(np.uint8)).save(folder / name / f"{index}.png")


def _write_pairs(file: Path, random: np.random.Generator) -> None:
    rows = [
        {"prompt": f"{index}{letter}?", "completion": letter * int(random.integers(1, 6))}
        for index, letter in enumerate(random.choice(list("abcdefg"), 60))
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
