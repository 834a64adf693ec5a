"""Descriptions of a recipe's model, data and phases in words, and the size of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.content import Content

from ftapp.common import downloads, formatting
from ftapp.common.package_uri import Artifact
from ftapp.experiments.listing import Summary
from ftapp.experiments.trash import measure_size
from ftapp.recipe import Augment, Balance, Data, Model, Phase, Recipe, Sweep, presets, sources
from ftapp.recipe.layer_rules import decide
from ftapp.recipe.metrics import get_metric
from ftapp.recipe.toml_text import format_value
from ftapp.rpc import structure_cache

_INDEX = "from a package index"


@dataclass(frozen=True)
class Size:
    """The size of a recipe's model.

    Attributes:
        parameters: The number of parameters, moving statistics and adapters included.
        trainable: How many of them train in each phase.
    """

    parameters: int
    trainable: tuple[int, ...]


def find_size(recipe: Recipe) -> Size | None:
    """Find the size of a recipe's model, if the structure of the model is cached on disk."""
    structure = structure_cache.load(recipe)
    if structure is None:
        return None
    parameters, trainable = structure.parameters, []
    for phase in recipe.phase:
        treatments, _ = decide(phase.layers, structure.weighted_layers)
        parameters = structure.count_parameters(treatments)
        trainable.append(structure.count_trained(treatments))
        structure = structure.carry_adapters([phase.layers])
    return Size(parameters, tuple(trainable))


def describe_model(preset: str) -> tuple[str, str]:
    """Return the short name of a preset, and where it comes from."""
    name = presets.get_short_name(preset)
    if preset.startswith("pypi://"):
        artifact = Artifact.parse(preset)
        return name, _INDEX if name == artifact.project else _index(artifact)
    if preset.startswith("assets:"):
        return name, "comes with ftapp"
    if presets.is_path(preset):
        return name, f"folder {Path(preset).parent}"
    return name, "from Hugging Face" if preset.startswith("hf://") else "from Kaggle"


def describe_data(uri: str) -> tuple[str, str]:
    """Return the short name of a data source, and where it comes from."""
    source = sources.parse(uri)
    if source.artifact:
        return Path(source.artifact.member).name, _index(source.artifact)
    places = {
        "tfds": "from TensorFlow Datasets",
        "hf": "from Hugging Face",
        "sklearn": "comes with scikit-learn",
        "gutenberg": "from Project Gutenberg",
    }
    if source.scheme in places:
        name = f"book {source.name}" if source.scheme == "gutenberg" else source.name.partition("@")[0]
        return name, places[source.scheme]
    path = Path(source.name)
    is_folder = path.is_dir() or (source.scheme == "folder" and not sources.is_archive(path))
    kind = "folder" if is_folder else "files" if len(source.list_files()) > 1 else "file"
    return path.name, f"{kind} in {path.parent}"


def _index(artifact: Artifact) -> str:
    return f"{_INDEX}, in {artifact.project}"


def describe_disk(recipe: Recipe, last: Summary | None) -> str:
    """Describe what a run downloads and leaves: "downloads 71.0 MiB first; a run's folder has 30.1 MiB".

    Args:
        recipe: The recipe.
        last: Its last run, whose folder is measured.
    """
    parts = [_download_words(recipe)]
    if last is not None and last.status == "done" and (taken := measure_size(last.run.folder)):
        parts.append(f"a run's folder has {formatting.format_size(taken)}")
    return "; ".join(parts)


def _download_words(recipe: Recipe) -> str:
    """Describe the downloads that the recipe needs and the cache lacks."""
    data = sources.parse(recipe.data.source)
    artifacts = {data.artifact} if data.artifact else set()
    if recipe.model.preset.startswith("pypi://"):
        artifacts.add(Artifact.parse(recipe.model.preset))
    missing = {artifact.sha256: artifact.size for artifact in artifacts if not downloads.is_cached(artifact)}
    known = sum(size or 0 for size in missing.values())
    parts = [formatting.format_size(known)] if known else []
    if None in missing.values():
        parts.append("files of a package index")
    words = [f"downloads {' and '.join(parts)} first"] if parts else []
    hub = ["model"] * presets.is_on_hub(recipe.model.preset) + ["data"] * sources.is_on_hub(recipe.data.source)
    if hub:
        words.append(f"{' and '.join(hub)} come from the net unless the cache has them")
    return "; ".join(words) or "nothing to download"


def describe_length(phase: Phase) -> str:
    """Describe the length of a phase: "20 epochs, batches of 32"."""
    count, unit = (phase.epochs, "epoch") if phase.epochs is not None else (phase.steps, "step")
    return f"{formatting.format_quantity(count or 0, unit)}, batches of {phase.batch_size}"


def describe_end(recipe: Recipe) -> str:
    """Describe when phases end early, and with which weights the run ends; "" for the last step and its weights."""
    parts = []
    if stop := recipe.stop:
        count = formatting.format_quantity(stop.patience, "evaluation")
        by = f" by more than {stop.min_delta:g}" if stop.min_delta else ""
        parts.append(f"a phase after {count} without a better {get_metric(stop.metric).label}{by}")
    if recipe.kept_metric:
        parts.append(f"the run with the weights of the best {get_metric(recipe.kept_metric).label}")
    return "; ".join(parts)


def describe_rate(phase: Phase) -> str:
    """Describe the optimizer of a phase and its learning rates with their schedule."""
    rates = phase.learning_rate
    words = f"{rates:g}" if isinstance(rates, float) else ", ".join(f"{at} {rate:g}" for at, rate in rates.items())
    parts = [f"{phase.optimizer} {words}"]
    if phase.layer_decay != 1:
        parts.append(f"x{phase.layer_decay:g} a layer down")
    if phase.warmup:
        parts.append(f"{phase.warmup:.0%} warm-up")
    if phase.schedule != "constant":
        parts.append(phase.schedule)
    if phase.clip_norm is not None:
        parts.append(f"clipped at {phase.clip_norm:g}")
    if phase.accumulate > 1:
        parts.append(f"an update from {phase.accumulate} batches")
    if phase.ema is not None:
        parts.append(f"averaged weights, {phase.ema:g}")
    if phase.swa is not None:
        parts.append(f"averaged weights from {phase.swa:.0%} on")
    return ", ".join(parts)


def describe_head(model: Model) -> str:
    """Describe the input of the backbone, and the layers on top of it."""
    parts = []
    if model.image_size:
        parts.append(f"{model.image_size[0]}x{model.image_size[1]} pixels")
    if model.sequence_length:
        parts.append(f"{model.sequence_length} tokens")
    if model.features:
        parts.append(f"features of {model.features}")
    if model.image_size:
        parts.append({"average": "averaged", "max": "largest of each map", "flatten": "all positions"}[model.pooling])
    if model.normalize:
        parts.append("normalized")
    parts += [f"{width} hidden units" for width in model.hidden]
    if model.dropout:
        parts.append(f"dropout {model.dropout:g}")
    if model.label_smoothing:
        parts.append(f"labels smoothed by {model.label_smoothing:g}")
    if "head" in model.model_fields_set or model.head != "softmax":
        parts.append(f"{model.head} head")
    return ", ".join(parts)


def describe_arm(change: Mapping[str, Any], *, name_phases: bool = False) -> str:
    """Describe what an arm overrides: "freeze all · train head, warmup 0.1".

    Args:
        change: The overridden keys with their values.
        name_phases: Whether to name the phase of each change.
    """
    parts = []
    for key, value in change.items():
        if key == "layers":
            parts.append(" · ".join(value) or "train all")
        elif key == "phase" and isinstance(value, list):
            parts.append(f"phases {', '.join(phase['name'] for phase in value)}")
        elif isinstance(value, Mapping):
            phases = value if key == "phase" else {}
            words = [f"{name}: " * name_phases + describe_arm(phase) for name, phase in phases.items()]
            parts.append("; ".join(words) or f"{key} {describe_arm(value)}")
        else:
            parts.append(f"{key.replace('_', ' ')} {value if isinstance(value, str) else format_value(value)}")
    return ", ".join(parts)


def describe_arms(arms: Mapping[str, Mapping[str, Any]], base: Recipe) -> dict[str, Content]:
    """Describe what each arm of a recipe overrides, by the name of the arm."""
    several = len(base.phase) > 1
    as_it_is = Content.styled("the recipe as it is", "$foreground-muted")
    described = {name: describe_arm(change, name_phases=several) for name, change in arms.items()}
    return {name: Content(words) if words else as_it_is for name, words in described.items()}


def describe_split(data: Data) -> str:
    """Describe how many examples are drawn, and how many of them are held out."""
    drawn = f"{formatting.format_quantity(data.limit, 'example')}, " if data.limit else ""
    parts = [(data.validation, "for validation"), (0 if data.folds else data.test, "for the test")]
    held = " and ".join(f"{size:.0%} {what}" if size < 1 else f"{size:,.0f} {what}" for size, what in parts if size)
    if data.folds:
        tested = f"fold {data.fold} of {data.folds} for the test" if data.fold else f"{data.folds} folds for the tests"
        return f"{drawn}{' and '.join(filter(None, (held, tested)))}"
    own = ", where it is not split already" if held and _may_have_splits(data.source) else ""
    return f"{drawn}{held}{own}"


def _may_have_splits(source: str) -> bool:
    """Whether a source may have splits of its own."""
    return source.startswith(("folder:", "tfds:")) or len(sources.parse(source).list_files()) > 1


def describe_balance(balance: Balance) -> str:
    """Describe how training treats classes of unequal size; "" where it treats all alike."""
    weights = balance.class_weights
    parts = []
    if weights == "balanced":
        parts.append("losses weighted by class")
    elif weights != "none":
        parts.append("losses weighted: " + ", ".join(f"{name} {weight:g}" for name, weight in weights.items()))
    if balance.focal_gamma:
        parts.append(f"focal loss, gamma {balance.focal_gamma:g}")
    if balance.sampling == "balanced":
        parts.append("each class as often in an epoch")
    return ", ".join(parts)


def describe_sweep(sweep: Sweep) -> str:
    """Describe what `ftapp sweep` tries, a key a line."""
    metric = f" by {get_metric(sweep.metric).label}" if sweep.metric else ""
    time = f", for {sweep.time} at most" if sweep.time else ""
    keys = [f"{key}  {space}" for key, space in sweep.spaces.items()]
    return "\n".join([f"{formatting.format_quantity(sweep.trials, 'trial')}{metric}{time}: ftapp sweep", *keys])


def describe_augment(augment: Augment) -> str:
    """Describe the random changes to images or texts."""
    parts = [] if augment.flip == "none" else [f"flip {augment.flip}"]
    if augment.rotation:
        parts.append(f"rotation {augment.rotation:g}°")
    if augment.zoom:
        parts.append(f"zoom {augment.zoom:.0%}")
    if augment.crop < 1:
        parts.append(f"crop {augment.crop:.0%}")
    if any(augment.translation):
        parts.append("translation " + " x ".join(f"{part:.0%}" for part in augment.translation))
    if parts:
        parts[-1] += f"; fill {augment.fill_mode}"
    shares = {
        name: getattr(augment, name) for name in ("brightness", "contrast", "saturation", "hue", "blur", "erasing")
    }
    parts += [f"{name} {share:.0%}" for name, share in shares.items() if share]
    strengths = {"RandAugment": augment.rand_augment, "mixup": augment.mixup, "CutMix": augment.cutmix}
    parts += [f"{name} {strength:g}" for name, strength in strengths.items() if strength]
    if augment.token_dropout:
        parts.append(f"{augment.token_dropout:.0%} of tokens left out")
    if augment.word_swap:
        parts.append(f"{augment.word_swap:.0%} of words exchanged")
    return ", ".join(parts) or "none"
