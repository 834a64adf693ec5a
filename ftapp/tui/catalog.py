"""The recipes to choose from: those that come with ftapp, those in the current folder, and those used lately."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.content import Content

from ftapp import presets, recipe, sources, structures
from ftapp.artifacts import Artifact
from ftapp.errors import RecipeError
from ftapp.recipe import Augment, Data, Model, Phase, Recipe
from ftapp.rules import decide, parse_rule
from ftapp.tui.draft import toml

FOLDER, RECENT = "In this folder", "Used lately"
_TASKS = {
    "image-classification": "Image classification",
    "text-classification": "Text classification",
    "causal-lm": "Causal language models",
}
_RECIPE = re.compile(r"^\s*(\[\s*(model|data)\s*\]|\[\[\s*phase\s*\]\]|task\s*=)", re.MULTILINE)
"""What tells a recipe, even a broken one, from another TOML file."""
_INDEX = "from a package index"
_LARGEST = 2**20  # bytes; no recipe comes near it


@dataclass(frozen=True)
class Entry:
    """A recipe file as the menu shows it.

    name: as `ftapp run` takes it; group: the heading that it stands under; comment: the paragraphs at the head of the
    file; profiles: the names of its profiles; recipes: what it says under each profile that is valid, and under None
    without one; arms: what each of its arms overrides, under the same keys; problems: what `ftapp validate` says of it.
    """

    path: Path
    name: str
    group: str
    title: str
    summary: str
    task: str
    comment: tuple[str, ...]
    profiles: tuple[str, ...]
    recipes: Mapping[str | None, Recipe]
    arms: Mapping[str | None, Mapping[str, Mapping[str, Any]]]
    problems: tuple[str, ...]

    @property
    def bundled(self) -> bool:
        """Whether it comes with ftapp."""
        return self.group not in (FOLDER, RECENT)

    @property
    def choices(self) -> tuple[str | None, ...]:
        """The profiles to choose from, first those that the file names, last the values without a profile."""
        return (*self.profiles, None)

    def matches(self, query: str) -> bool:
        """Whether each word of a query is in the name, the title, the summary or the task."""
        text = " ".join((self.path.stem, self.title, self.summary, self.task, _TASKS.get(self.task, ""))).casefold()
        return all(word in text for word in query.casefold().split())

    def profile(self, preferred: str | None) -> str | None:
        """The profile to begin with: the preferred one where there is one of that name, else the first.

        preferred: a name, "" for the values without a profile, None for no preference.
        """
        if preferred == "":
            return None
        return preferred if preferred in self.profiles else self.choices[0]


class Catalog:
    """Reads recipe files, each again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[tuple[int, int], Entry]] = {}

    def read(self, folder: Path, recent: Iterable[str]) -> list[Entry]:
        """All entries: own recipes first, then the bundled ones by task. What cannot be read is left out.

        folder: whose recipes are the user's own; recent: paths of others.
        """
        bundled = recipe.bundled()
        known = {path.resolve() for path in bundled.values()}
        files: list[tuple[Path, str, str]] = []
        for path, group in (
            *((path, FOLDER) for path in _toml_files(folder)),
            *((Path(name), RECENT) for name in recent),
        ):
            if path.resolve() not in known:
                known.add(path.resolve())
                files.append((path, str(path) if group == RECENT else path.name, group))
        files += [(path, name, "") for name, path in bundled.items()]
        entries = [entry for file in files if (entry := self._entry(*file))]
        order = [FOLDER, RECENT, *_TASKS.values()]
        return sorted(entries, key=lambda entry: order.index(entry.group) if entry.group in order else len(order))

    def _entry(self, path: Path, name: str, group: str) -> Entry | None:
        try:
            status = path.stat()
            signature = (status.st_mtime_ns, status.st_size)
            known = self._known.get((path, group))
            if known and known[0] == signature and not known[1].problems:  # problems may lie in files that it names
                return known[1]
            if status.st_size > _LARGEST:
                return None
            text = path.read_text("utf-8-sig", errors="replace")
        except OSError:
            return None
        if group and not _RECIPE.search(text):
            return None
        entry = _read(path, name, group, text)
        self._known[path, group] = signature, entry
        return entry


@dataclass(frozen=True)
class Size:
    """How many parameters a recipe's model has, moving statistics included, and how many train in each phase."""

    parameters: int
    trainable: tuple[int, ...]


def size(recipe: Recipe) -> Size | None:
    """The size of a recipe's model, where its structure is kept on disk from an earlier look at it."""
    structure = structures.load(recipe)
    if structure is None:
        return None
    trainable = []
    for phase in recipe.phase:
        decided, _ = decide([parse_rule(rule) for rule in phase.layers], structure.units)
        trains = zip(structure.weighted, decided, strict=True)
        trainable.append(sum(layer.trainable for layer, does in trains if does))
    return Size(structure.parameters, tuple(trainable))


def _toml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.toml") if path.is_file())
    except OSError:
        return []


def _read(path: Path, name: str, group: str, text: str) -> Entry:
    profiles: list[str] = []
    recipes: dict[str | None, Recipe] = {}
    arms: dict[str | None, Mapping[str, Mapping[str, Any]]] = {}
    problems: dict[str, None] = {}
    raw: dict[str, object] = {}
    try:
        raw = recipe.read(path)
        profiles = recipe.profiles(path)
    except RecipeError as error:
        problems |= dict.fromkeys(map(str, error.problems))
    else:
        for profile in (None, *profiles):
            try:
                loaded = recipe.load_experiment(path, profile)
                recipes[profile], arms[profile] = loaded.base, loaded.changes
            except RecipeError as error:
                problems |= dict.fromkeys(map(str, error.problems))
    title, summary, task = (raw.get(key) for key in ("title", "summary", "task"))
    return Entry(
        path=path,
        name=name,
        group=group or _TASKS.get(str(task), str(task)),
        title=title if isinstance(title, str) else path.stem,
        summary=summary if isinstance(summary, str) else "",
        task=task if isinstance(task, str) else "",
        comment=head_comment(text),
        profiles=tuple(profiles),
        recipes=recipes,
        arms=arms,
        problems=tuple(problems),
    )


def head_comment(text: str) -> tuple[str, ...]:
    """The comment at the head of a recipe file, a paragraph a string, its lines joined."""
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        if words:
            paragraphs[-1].append(words)
        elif paragraphs[-1]:
            paragraphs.append([])
    return tuple(" ".join(lines) for lines in paragraphs if lines)


def model_words(preset: str) -> tuple[str, str]:
    """A preset's short name, and where it comes from."""
    name = presets.short_name(preset)
    if preset.startswith("pypi://"):
        artifact = Artifact.parse(preset)
        return name, _INDEX if name == artifact.project else _index(artifact)
    if preset.startswith("assets:"):
        return name, "comes with ftapp"
    if presets.is_path(preset):
        return name, f"folder {Path(preset).parent}"
    return name, "from Hugging Face" if preset.startswith("hf://") else "from Kaggle"


def data_words(uri: str) -> tuple[str, str]:
    """A data source's short name, and where it comes from."""
    source = sources.parse(uri)
    if source.artifact:
        return Path(source.artifact.member).name, _index(source.artifact)
    places = {
        "tfds": "from TensorFlow Datasets",
        "sklearn": "comes with scikit-learn",
        "gutenberg": "from Project Gutenberg",
    }
    if source.scheme in places:
        name = f"book {source.name}" if source.scheme == "gutenberg" else source.name
        return name, places[source.scheme]
    return Path(source.name).name, f"{'folder' if source.scheme == 'folder' else 'file'} in {Path(source.name).parent}"


def _index(artifact: Artifact) -> str:
    return f"{_INDEX}, in {artifact.project}"


def length_words(phase: Phase) -> str:
    """How long a phase is: "20 epochs of batches of 32"."""
    count, unit = (phase.epochs, "epoch") if phase.epochs is not None else (phase.steps, "step")
    return f"{count} {unit}{'' if count == 1 else 's'}, batches of {phase.batch_size}"


def rate_words(phase: Phase) -> str:
    """A phase's optimizer and learning rates with their course."""
    rates = phase.learning_rate
    told = ", ".join(f"{where} {rate:g}" for where, rate in rates.items()) if isinstance(rates, dict) else f"{rates:g}"
    parts = [f"{phase.optimizer} {told}"]
    if phase.layer_decay != 1:
        parts.append(f"x{phase.layer_decay:g} a layer down")
    if phase.warmup:
        parts.append(f"{phase.warmup:.0%} warm-up")
    if phase.schedule != "constant":
        parts.append(phase.schedule)
    if phase.clip_norm is not None:
        parts.append(f"clipped at {phase.clip_norm:g}")
    return ", ".join(parts)


def head_words(model: Model) -> str:
    """What examples are made to fit the backbone, and what stands on it."""
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
    if "head" in model.model_fields_set or model.head != "softmax":
        parts.append(f"{model.head} head")
    return ", ".join(parts)


def arm_words(change: Mapping[str, Any], *, name_phases: bool = False) -> str:
    """What an arm overrides: "freeze all · train head, warmup 0.1"."""
    parts = []
    for key, value in change.items():
        if key == "layers":
            parts.append(" · ".join(value) or "train all")
        elif isinstance(value, Mapping):
            phases = value if key == "phase" else {}
            told = [f"{name}: " * name_phases + arm_words(phase) for name, phase in phases.items()]
            parts.append("; ".join(told) or f"{key} {arm_words(value)}")
        else:
            parts.append(f"{key.replace('_', ' ')} {value if isinstance(value, str) else toml(value)}")
    return ", ".join(parts)


def arms_words(arms: Mapping[str, Mapping[str, Any]], base: Recipe) -> dict[str, Content]:
    """What each of a recipe's arms overrides, by its name."""
    several = len(base.phase) > 1
    as_it_is = Content.styled("the recipe as it is", "$foreground-muted")
    told = {name: arm_words(change, name_phases=several) for name, change in arms.items()}
    return {name: Content(words) if words else as_it_is for name, words in told.items()}


def split_words(data: Data) -> str:
    """How many examples are drawn, and what of them is held out."""
    drawn = f"{data.limit:,} examples, " if data.limit else ""
    parts = [(data.validation, "for validation"), (data.test, "for the test")]
    held = " and ".join(f"{size:.0%} {what}" if size < 1 else f"{size:,.0f} {what}" for size, what in parts if size)
    return f"{drawn}{held}"


def augment_words(augment: Augment) -> str:
    """The random changes to images."""
    parts = [] if augment.flip == "none" else [f"flip {augment.flip}"]
    if augment.rotation:
        parts.append(f"rotation {augment.rotation:g}°")
    if augment.zoom:
        parts.append(f"zoom {augment.zoom:.0%}")
    if augment.crop < 1:
        parts.append(f"crop {augment.crop:.0%}")
    if any(augment.translation):
        parts.append("translation " + " x ".join(f"{part:.0%}" for part in augment.translation))
    return f"{', '.join(parts)}; fill {augment.fill_mode}" if parts else "none"
