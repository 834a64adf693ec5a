"""The files that come with ftapp: recipes, and the weights of small models."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_READING_ORDER = (
    "vgg16-feature-extractor",
    "vgg16-one-vs-rest",
    "vgg16-linear-svm",
    "vgg16-early-layers",
    "vgg16-two-phase",
    "vgg16-train-all",
    "efficientnet-two-phase",
    "dinov2-feature-extractor",
    "vit-lora",
    "bert-freeze-attention",
    "bert-full",
    "bert-head-only",
    "bert-clip-schedule",
    "bert-gradual-unfreezing",
    "deberta-layer-decay",
    "gpt2-full",
    "gpt2-targeted",
    "gpt2-reversed",
    "gemma3-lora",
    "lesson-vgg16-two-phase",
    "lesson-vgg16-four-quadrants",
    "lesson-vgg16-fill-modes",
    "lesson-vgg16-lora-or-freeze",
    "lesson-bert-frozen-attention",
    "lesson-gpt2-targeted-freezing",
    "lesson-gpt2-lora",
)


def find_resources(name: str) -> Path:
    """The folder `recipes` or `assets`: inside the package when installed from a wheel, beside it in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def bundled() -> dict[str, Path]:
    """The recipes that come with ftapp, by name, in the order in which a newcomer reads them; the lessons last."""
    paths = {path.stem: path for path in sorted(find_resources("recipes").glob("*.toml"))}
    order = {name: place for place, name in enumerate(_READING_ORDER)}
    return {name: paths[name] for name in sorted(paths, key=lambda name: order.get(name, len(order)))}
