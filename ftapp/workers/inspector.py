"""The process that looks at recipes before they run: structures, costs, previews, plans, learning rates.

It answers the requests of `ftapp.rpc.inspector_client`, each with the recipe as TOML text. What it has read and built
for the last recipe it keeps, so that toggling layers costs milliseconds. Keras is loaded when a request first needs it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ftapp import recipe as recipes
from ftapp.analysis import advice
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.recipe import Phase, Recipe, sources
from ftapp.recipe.layer_rules import Rule, WeightedLayer
from ftapp.recipe.schedule import count_steps
from ftapp.rpc import service, structure_cache
from ftapp.rpc.messages import Costs, Grid, Layer, Preview, Rewritten, Structure, Survey, Timing, Tokens
from ftapp.rpc.service import Request

if TYPE_CHECKING:
    from ftapp.data import DocumentSplits, Splits, Subset
    from ftapp.data.dataset import EncodedSplits
    from ftapp.data.encoded import LabelledTexts
    from ftapp.freezing.cut import Boundary
    from ftapp.freezing.layer_plan import LayerPlan
    from ftapp.models.build import Pretrained
    from ftapp.models.flops import Call

_LARGEST_VIEW = 224  # pixels of the longer side of an augmented preview
_GRIDS = 2  # whose files stay
_SAMPLE = 64  # texts by whose lengths those of all are told


class _Held:
    """A model in memory, with what costs are told from. Its flags and weights are used under `lock` alone."""

    def __init__(self, pretrained: Pretrained, model: Any, calls: list[Call] | None) -> None:
        from ftapp.models.layers import describe_layers

        self.pretrained, self.model, self.calls = pretrained, model, calls
        self.layers = describe_layers(model, pretrained.backbone)
        self.lock = threading.Lock()
        self.timed: dict[Hashable, Timing] = {}

    def below(self, boundary: Boundary) -> list[Call] | None:
        """What the frozen half does: the whole model's calls for the nodes that make the features."""
        from ftapp.freezing import cut
        from ftapp.models import flops
        from ftapp.models.keras_internals import graph_nodes

        if self.calls is None:
            return None
        nodes = [node for node in graph_nodes(self.model) if not node.is_input]
        inside = dict(zip(map(id, nodes), flops.outermost(self.calls), strict=True))
        made = cut.find_feeding_nodes(self.model, boundary)
        return [self.calls[index] for node in made for index in inside[id(node)]]


class Inspector:
    """The handlers of the process. folder: for previews."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data: service.Last[Splits | DocumentSplits] = service.Last()
        self._preprocessor: service.Last[Any] = service.Last()
        self._encoded: service.Last[EncodedSplits] = service.Last()
        self._model: service.Last[_Held] = service.Last()
        self._images: service.Last[tuple[Any, list[int]]] = service.Last()
        self._survey: service.Last[Survey] = service.Last()
        self._grids = 0

    def structure(self, request: Request, recipe: str) -> Structure:
        """Describe the layers of the model."""
        parsed = recipes.parse(recipe)
        classes = self._classes(parsed, request)  # first, so that previews of the data need not wait for Keras
        _begin(parsed, request)
        held = self._held(parsed, request, classes)
        made = _structure(held, classes)
        structure_cache.keep(parsed, made)
        return made

    def costs(self, request: Request, recipe: str, phase: int, layers: Sequence[str] | None) -> Costs:
        """Tell what a phase, by its index, costs. layers: rules in place of those that the recipe gives it."""
        parsed = recipes.parse(recipe)
        spec = _phase(parsed, phase, layers)
        classes = self._classes(parsed, request)
        precision = _begin(parsed, request)
        held = self._held(parsed, request, classes)
        from ftapp.freezing import cut, feature_cache
        from ftapp.freezing.layer_plan import plan_layers
        from ftapp.training import cost_estimate
        from ftapp.training.feature_choice import choose_features

        plan = plan_layers(held.layers, spec.layers)
        _check(spec, plan.problems)
        found = cut.find_boundary(held.model, plan, dropout=parsed.frozen.dropout)
        below = [] if isinstance(found, str) else held.below(found)
        choice, examples, steps, epochs, error = None, None, None, None, None
        try:
            splits = self._splits(parsed, request, held.pretrained.preprocessor)
            choice = choose_features(parsed, spec, found, below, splits)
            if choice.cached and (refused := feature_cache.check_quota(choice.size)):
                choice = msgspec.structs.replace(choice, cached=False, reason=refused)
            examples = len(splits.train)
            steps, per_epoch = count_steps(spec, examples)
            epochs = steps / per_epoch
        except (RecipeError, RunError) as raised:
            error = str(raised)
        cached = choice is not None and choice.cached
        estimate = cost_estimate.estimate_cost(spec, held.calls, plan, below, cached=cached)
        timed = _configuration(spec, plan, precision, cached=cached)
        step = held.timed.get(timed)
        derived = _derived(held, estimate.flops) if estimate else None
        return Costs(
            parameters=plan.parameters,
            trainable=plan.trainable_parameters,
            estimate=estimate,
            choice=choice,
            data_error=error,
            examples=examples,
            steps=steps,
            epochs=epochs,
            step=step.step if step else derived,
            basis="measured" if step else "derived" if derived else None,
        )

    def timing(self, request: Request, recipe: str, phase: int) -> Timing:
        """Time a few steps of a phase, by its index."""
        parsed = recipes.parse(recipe)
        spec = _phase(parsed, phase, None)
        classes = self._classes(parsed, request)
        precision = _begin(parsed, request)
        held = self._held(parsed, request, classes)
        import numpy as np

        from ftapp.freezing.layer_plan import plan_layers
        from ftapp.models import backend
        from ftapp.training import cost_estimate
        from ftapp.training.probe import median_seconds, time_step
        from ftapp.training.session import PhaseSession

        plan = plan_layers(held.layers, spec.layers)
        _check(spec, plan.problems)
        splits = self._splits(parsed, request, held.pretrained.preprocessor)
        lengths = splits.train.lengths
        order = np.arange(len(splits.train) if lengths is None else len(lengths))
        if lengths is not None:
            order = np.argsort(lengths, kind="stable")  # batches are of texts of like length; one from the middle
        start = max(0, (len(order) - spec.batch_size) // 2)
        batch = order[start : start + spec.batch_size]
        with held.lock:
            request.progress("timing a few steps")
            held.model.compile(jit_compile=backend.jit_compile())
            inputs = splits.train.inputs(batch, None)
            forward = median_seconds(lambda: held.model.predict_on_batch(inputs), warm_up=1, timed=1)
            weights = [(each, each.numpy()) for each in plan.changing]
            try:
                with PhaseSession(parsed, phase, held.model, plan, splits) as session:
                    cached = session.choice.cached
                    step = time_step(session, batch, warm_up=1, timed=2)
                    estimate = session.estimate(held.calls)
            finally:
                # Later cuts find kept features by the weights below them.
                for variable, value in weights:
                    variable.assign(value)
        timing = Timing(
            step=step,
            step_flops=estimate.flops if estimate else None,
            forward=forward,
            forward_flops=spec.batch_size * cost_estimate.forward_flops(held.calls) if held.calls else None,
        )
        held.timed[_configuration(spec, plan, precision, cached=cached)] = timing
        return timing

    def data(self, request: Request, recipe: str, examples: int) -> Preview:
        """Show the splits, the classes and the first training examples."""
        parsed = recipes.parse(recipe)
        found = self._read(parsed, request)
        from ftapp.data import preview

        if parsed.task == "causal-lm":
            return preview.of_documents(cast("DocumentSplits", found), examples)
        return preview.of_examples(cast("Splits", found), examples, self._folder)

    def tokens(self, request: Request, recipe: str, examples: int) -> Tokens:
        """Count the tokens of the first training texts."""
        parsed = recipes.parse(recipe)
        if parsed.task == "image-classification":
            raise RunError("tokens are of texts; this recipe's task is 'image-classification'")
        _begin(parsed, request)
        found = self._read(parsed, request).train
        preprocessor = self._preprocessed(parsed, request)
        from ftapp.data.encoding import count_tokens, encode_stream

        length = preprocessor.sequence_length
        if parsed.task == "causal-lm":
            splits = self._splits(parsed, request, preprocessor)
            sequences = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
            counts = [len(encode_stream([text], preprocessor.tokenizer)) for text in cast(list[str], found)[:examples]]
            return Tokens(counts=tuple(counts), length=length, sequences=sequences)
        counts = count_tokens(_texts(cast("Subset", found), examples), preprocessor)
        return Tokens(counts=tuple(counts), length=length, sequences=None)

    def augment(self, request: Request, recipe: str, images: int, views: int) -> Grid:
        """Write a grid of augmented training images."""
        parsed = recipes.parse(recipe)
        if parsed.model.image_size is None:
            raise RunError(f"augmentation is for images; this recipe's task is '{parsed.task}'")
        _begin(parsed, request)
        found = cast("Splits", self._read(parsed, request))
        height, width = parsed.model.image_size
        scale = min(1.0, _LARGEST_VIEW / max(height, width))
        size = (max(8, round(height * scale)), max(8, round(width * scale)))
        from ftapp.data import preview
        from ftapp.data.augmentation import Augmenter, grid
        from ftapp.data.dataset import BatchKey
        from ftapp.data.encoding import resize_images

        def resized() -> tuple[Any, list[int]]:
            preprocessor = self._preprocessed(parsed, request)
            chosen = range(min(images, len(found.train)))
            preprocessor.image_size = size
            try:
                pixels = resize_images([found.train[index] for index in chosen], preprocessor)
            finally:
                preprocessor.image_size = (height, width)
            return pixels, [int(found.train.labels[index]) for index in chosen]

        pixels, labels = self._images.get(repr((_data_key(parsed), parsed.model.preset, size, images)), resized)
        augmenter = Augmenter(parsed.augmentation, size) if parsed.augmentation else None
        columns = grid(pixels, augmenter, views, BatchKey(parsed.seed, 0, 0, 0))
        self._grids += 1
        place = self._folder / f"grid-{self._grids}"
        place.mkdir()
        rows = []
        for row in range(len(labels)):
            files = [place / f"{row}-{column}.png" for column in range(len(columns))]
            for made, file in zip(columns, files, strict=True):
                preview.thumbnail(made[row], file)
            rows.append(tuple(map(str, files)))
        shutil.rmtree(self._folder / f"grid-{self._grids - _GRIDS}", ignore_errors=True)
        return Grid(rows=tuple(rows), labels=tuple(found.classes[label] for label in labels), size=size[::-1])

    def rewrite(self, request: Request, recipe: str, texts: int) -> tuple[Rewritten, ...]:
        """Show what augmentation makes of the first training texts."""
        parsed = recipes.parse(recipe)
        if parsed.task != "text-classification" or parsed.augment is None:
            raise RunError("what is rewritten are texts of classifiers with [augment]")
        _begin(parsed, request)
        found = cast("Splits", self._read(parsed, request))
        preprocessor = self._preprocessed(parsed, request)
        from ftapp.data import preview
        from ftapp.data.augmentation import TextAugmenter
        from ftapp.data.dataset import BatchKey
        from ftapp.data.encoding import encode_texts

        train = found.train
        inputs = encode_texts(_texts(train, texts), preprocessor)
        augmenter = TextAugmenter(parsed.augment, preprocessor.tokenizer)
        made = []
        for row in range(len(inputs["token_ids"])):
            tokens = inputs["token_ids"][row, : int(inputs["padding_mask"][row].sum())]
            drawn = augmenter.draw(tokens, (*BatchKey(parsed.seed, 0, 0, 0), row))
            label = found.classes[int(train.labels[row])]
            made.append(preview.rewritten(label, augmenter.split_text(tokens), *drawn))
        return tuple(made)

    def survey(self, request: Request, recipe: str) -> Survey:
        """Look at the data of a classifier through its pretrained model."""
        parsed = recipes.parse(recipe)
        if parsed.task == "causal-lm":
            raise RunError("a survey is of classes; this recipe's task is 'causal-lm'")
        asked = advice.with_all_data(parsed)

        def make() -> Survey:
            from ftapp import data

            request.progress("reading the data")
            splits = data.load(asked.data, parsed.task, parsed.seed, request.progress)
            _begin(parsed, request)
            held = self._held(parsed, request, len(splits.classes))
            from ftapp.analysis import transfer_probe

            with held.lock:
                return transfer_probe.survey(
                    parsed, held.pretrained.backbone, held.pretrained.preprocessor, splits, request.progress
                )

        identity = structure_cache.data_identity(asked)
        return self._survey.get(repr((identity, parsed.model, parsed.precision, parsed.seed)), make)

    def plan(self, request: Request, recipe: str) -> dict[str, Any]:
        """Plan a run of the recipe."""
        parsed = recipes.parse(recipe)
        from ftapp.workers import planner

        return planner.plan(parsed, request.progress)

    def find_rate(
        self, request: Request, recipe: str, phase: int, rates: tuple[float, float], steps: int
    ) -> dict[str, Any]:
        """Test the learning rate of a phase, by its index."""
        parsed = recipes.parse(recipe)
        _phase(parsed, phase, None)
        from ftapp.training import lr_range_test

        def on_step(rate: float, loss: float) -> None:
            request.say(step=(rate, loss))

        return lr_range_test.test(parsed, phase, rates, steps, request.progress, on_step)

    def _read(self, recipe: Recipe, request: Request) -> Splits | DocumentSplits:
        """The recipe's data, split."""
        if recipe.task == "causal-lm":
            from ftapp.data import documents

            make: Callable[[], Any] = lambda: documents(recipe.data, recipe.seed, request.progress)  # noqa: E731
        else:
            from ftapp.data import load

            make = lambda: load(recipe.data, recipe.task, recipe.seed, request.progress)  # noqa: E731
        request.progress("reading the data")
        return self._data.get(_data_key(recipe), make)

    def _classes(self, recipe: Recipe, request: Request) -> int | None:
        """How many classes the head tells apart; None for language models, and where it would take a hub to know."""
        if recipe.task == "causal-lm":
            return None
        if recipe.data.classes:
            return len(recipe.data.classes)
        known = self._data.ready(_data_key(recipe))
        if known is None and sources.on_hub(recipe.data.source):
            return None
        try:
            return len(getattr(known or self._read(recipe, request), "classes", ()))
        except (RecipeError, RunError):
            return None

    def _preprocessed(self, recipe: Recipe, request: Request) -> Any:
        from ftapp.models import build

        key = repr((recipe.task, recipe.model.preset, recipe.model.image_size, recipe.model.sequence_length))
        return self._preprocessor.get(key, lambda: build.load_preprocessor(recipe, request.progress))

    def _held(self, recipe: Recipe, request: Request, classes: int | None) -> _Held:
        import keras

        from ftapp.models import build
        from ftapp.training import cost_estimate

        def make() -> _Held:
            request.progress("loading the model")
            pretrained = build.load_pretrained(recipe, request.progress)
            keras.utils.set_random_seed(recipe.seed)
            model = build.build(recipe, pretrained, classes or 2)
            return _Held(pretrained, model, cost_estimate.list_calls(recipe, model))

        key = repr((recipe.task, recipe.model, recipe.precision, recipe.seed, classes))
        return self._model.get(key, make)

    def _splits(self, recipe: Recipe, request: Request, preprocessor: Any) -> EncodedSplits:
        """The data as the model takes it, of labelled texts only the first ones of each split: they take 10 ms each."""
        from ftapp.data.dataset import EncodedSplits
        from ftapp.data.encoded import LabelledTexts, encode_splits

        read = self._read(recipe, request)

        def make() -> EncodedSplits:
            if recipe.task != "text-classification":
                return encode_splits(recipe, read, preprocessor, request.progress)
            found = cast("Splits", read)
            size = max(_SAMPLE, *(phase.batch_size for phase in recipe.phase))
            first = LabelledTexts(_first(found.train, size), preprocessor)
            parts = {}
            for name in ("train", "validation", "test"):
                part = getattr(found, name)
                few = LabelledTexts(part, preprocessor) if name != "train" and len(part) <= size else first
                parts[name] = _Sample(few, len(part))
            return EncodedSplits(
                parts["train"], parts["validation"], parts["test"], found.classes, found.duplicates, notes=found.notes
            )

        batch_sizes = [phase.batch_size for phase in recipe.phase]
        key = repr((_data_key(recipe), recipe.model, recipe.augmentation, recipe.evaluate.split, batch_sizes))
        return self._encoded.get(key, make)


class _Sample:
    """The encoded first texts of a split: as many as it has for all who ask, and of lengths like all of its texts."""

    def __init__(self, first: LabelledTexts, size: int) -> None:
        self._first, self._size = first, size
        self.lengths = first.lengths
        self.inputs, self.targets, self.width, self.digests = first.inputs, first.targets, first.width, first.digests

    def __len__(self) -> int:
        return self._size


def _first(part: Subset, size: int) -> Subset:
    from ftapp.data import Subset

    return Subset(part.examples, part.indices[:size])


def _texts(part: Subset, size: int) -> list[str]:
    """The first texts of a split."""
    return [str(part[index]) for index in range(min(size, len(part)))]


def _begin(recipe: Recipe, request: Request) -> str:
    """Load Keras if need be, and set the precision, which each thread has for itself. Returns it."""
    from ftapp.models import backend

    if "keras_hub" not in sys.modules:
        request.progress("loading Keras")
    backend.device()
    precision, _ = backend.choose_precision(recipe.precision)
    return precision


def _data_key(recipe: Recipe) -> str:
    return repr((structure_cache.data_identity(recipe), recipe.seed))


def _phase(recipe: Recipe, index: int, layers: Sequence[str] | None) -> Phase:
    if not 0 <= index < len(recipe.phase):
        raise RunError(f"a recipe's phases are numbered from 0 to {len(recipe.phase) - 1}; got {index}")
    phase = recipe.phase[index]
    if layers is None:
        return phase
    rules, problems = [], []
    for text in layers:
        try:
            rules.append(Rule(text))
        except ValueError as error:
            problems.append(str(error))
    _check(phase, problems)
    return phase.model_copy(update={"layers": rules})


def _check(phase: Phase, messages: Sequence[str]) -> None:
    if messages:
        raise RecipeError([Problem("", f"phase.{phase.name}.layers", message) for message in messages])


def _configuration(phase: Phase, plan: LayerPlan, precision: str, *, cached: bool) -> Hashable:
    """What the time of a step follows from, beside the model and its data."""
    trains = tuple(decision.trainable for decision in plan.decisions)
    return trains, phase.batch_size, phase.optimizer, precision, cached


def _derived(held: _Held, flops: int) -> float | None:
    """Seconds of so many FLOPs, on the line through the cheapest and the dearest that were timed.

    The line's slope is the machine's speed, and where it begins is what a step costs beside its operations.
    """
    points = [(timing.step_flops, timing.step) for timing in held.timed.values() if timing.step_flops]
    points += [(timing.forward_flops, timing.forward) for timing in held.timed.values() if timing.forward_flops]
    if len(points) < 2:
        return None
    (few, quick), (many, slow) = min(points), max(points)
    if many == few or slow <= quick:
        return slow * flops / many
    return max(quick * min(1.0, flops / few), quick + (flops - few) * (slow - quick) / (many - few))


def _structure(held: _Held, classes: int | None) -> Structure:
    """The model's layers as the interface draws them."""
    from ftapp.models import flops
    from ftapp.models.keras_internals import own_weights
    from ftapp.models.layers import own_variables, size_of

    shapes: dict[int, tuple[int, ...] | None] = {}
    for call in held.calls or ():
        shapes.setdefault(id(call.layer), call.shape)
    by_layer = {id(layer): cost.flops for layer, cost in flops.by_layer(held.calls or ()).items()}
    layers: list[Layer] = []
    places: dict[int, int] = {}  # of layers in the list
    inside: dict[int, set[int | None]] = {}  # blocks of the weighted layers in a container

    def add(path: str, layer: Any, description: WeightedLayer | None) -> None:
        places[id(layer)] = len(layers)
        layers.append(
            Layer(
                path=path,
                kind=type(layer).__name__,
                parameters=size_of(own_variables(layer)) if description else 0,
                trainable=size_of(own_weights(layer)) if description else 0,
                weighted=description is not None,
                shape=shapes.get(id(layer)),
                flops=by_layer.get(id(layer), 0) if held.calls is not None else None,
                groups=tuple(sorted(description.groups)) if description else (),
                block=description.block if description else None,
            )
        )

    for each in held.layers:
        description = each.description
        for depth, parent in enumerate(each.parents, start=1):
            if id(parent) not in places:
                add("/".join(description.path.split("/")[:depth]), parent, None)
            inside.setdefault(places[id(parent)], set()).add(description.block)
        add(description.path, each.layer, description)
    for place, blocks in inside.items():
        if len(blocks) == 1 and not layers[place].weighted:
            layers[place] = msgspec.structs.replace(layers[place], block=blocks.pop())
    return Structure(
        layers=tuple(layers), blocks=held.layers[0].description.blocks if held.layers else 0, classes=classes
    )


def main(folder: Path) -> None:
    """Answer until stdin ends, and leave no files behind. folder: for previews, also those of a process before."""
    folder.mkdir(mode=0o700, exist_ok=True)
    handlers = Inspector(Path(tempfile.mkdtemp(dir=folder)))
    names = ("structure", "costs", "timing", "data", "tokens", "augment", "rewrite", "survey", "plan", "find_rate")
    try:
        service.serve({name.replace("_", "-"): getattr(handlers, name) for name in names})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # Backends' threads and requests that nobody waits for would only delay the end.
    os._exit(0)
