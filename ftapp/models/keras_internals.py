"""The private parts of Keras and KerasHub that ftapp reads or overrides; no other module touches them.

Keras 3 has no public way to the layers inside of a layer, to the variables of a layer alone, to the nodes of a model's
graph, to the generators of random layers, to the numbers of automatic names, or into an optimizer's update. KerasHub
has none to the class of a preset's backbone, which it builds at once. `tests/unit/models/test_keras_internals.py`
states what a release has to keep of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import keras_hub

_NAMES = "object_name_uids"
"""Where Keras counts the layers of each automatic name, by thread."""

# Where optimizers keep what they remember of each weight: lists in the order of the weights that they were built for.
_MOMENTS = {
    "adam": ("_momentums", "_velocities"),
    "adamw": ("_momentums", "_velocities"),
    "sgd": ("momentums",),
    "rmsprop": ("_velocities",),
    "lion": ("_momentums",),
}


def flatten_layers(layer: Any) -> list[Any]:
    """Return a layer and all layers inside of it, at any depth."""
    return list(layer._flatten_layers())


def inner_layers(layer: Any) -> list[Any]:
    """Return the layers right inside of a layer."""
    return list(layer._layers)


def own_weights(layer: Any) -> list[Any]:
    """Return the weights of the layer itself that train when it does, whether it is frozen or not."""
    return list(layer._trainable_variables)


def own_statistics(layer: Any) -> list[Any]:
    """Return the variables of the layer itself that never train, such as moving statistics."""
    return list(layer._non_trainable_variables)


def adapted_kernel(layer: Any) -> Any:
    """Return the kernel that LoRA adds to, without what it adds: that of a dense layer, convolution or embedding."""
    return layer._embeddings if isinstance(layer, keras.layers.Embedding) else layer._kernel


def rust_tokenizer(tokenizer: Any) -> Any | None:
    """Return what a tokenizer of KerasHub has from the library `tokenizers`; None where it has nothing of it."""
    return getattr(tokenizer, "_tokenizer", None)


def find_backbone_kind(preset: str) -> type:
    """Return the class of the backbone of a preset: a folder, or a name of which one file is fetched."""
    found: type = keras_hub.src.utils.preset_utils.get_preset_loader(preset).check_backbone_class()
    return found


@contextmanager
def fresh_names() -> Iterator[None]:
    """Give this thread's new layers the automatic names of a new process while the context lasts.

    Keras numbers them through the process: the second Mixtral of a process has `mixtral_sparse_moe_block_2`. What is
    made afterwards has numbers that neither the former layers nor those of the context have.
    """
    state = keras.src.backend.common.global_state
    former = state.get_global_attribute(_NAMES, defaultdict(int))
    counts: defaultdict[str, int] = defaultdict(int)
    state.set_global_attribute(_NAMES, counts)
    try:
        yield
    finally:
        for name, count in former.items():
            counts[name] = max(count, counts[name])


@contextmanager
def weights_hidden(layer: Any, hidden: Sequence[Any]) -> Iterator[None]:
    """While the context lasts, the layer does not list some of its own weights, so that they are not counted."""
    listed, every = layer._trainable_variables, list(layer._trainable_variables)
    listed[:] = [variable for variable in every if all(variable is not each for each in hidden)]
    try:
        yield
    finally:
        listed[:] = every


def is_functional(model: Any) -> bool:
    """Whether a model has a graph."""
    return hasattr(model, "_nodes_by_depth")


def graph_nodes(model: Any) -> list[Any]:
    """Return the nodes of a Functional model's graph, inputs among them, in the order in which it calls them."""
    return [node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes]


def operation_of(tensor: Any) -> Any:
    """Return the layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def random_layers(model: Any) -> list[tuple[Any, Any]]:
    """Return each layer that draws random numbers with each of its generators, in the model's order."""
    return [(layer, drawn) for layer in flatten_layers(model) for drawn in getattr(layer, "_seed_generators", ())]


def seed_generators(model: Any) -> list[Any]:
    """Return the generators of random numbers of all layers, in the model's order."""
    return [generator for _, generator in random_layers(model)]


def optimizer_variables(optimizer: Any) -> list[Any]:
    """Return the weights that an optimizer was built for, in its order."""
    return list(optimizer._trainable_variables)


def variable_index(optimizer: Any, variable: Any) -> int:
    """Return the place of a weight among those that an optimizer was built for."""
    index: int = optimizer._get_variable_index(variable)
    return index


def moments(optimizer: Any, variable: Any) -> list[Any]:
    """Return what a built optimizer, named as in recipes, remembers of one of its weights."""
    index = variable_index(optimizer, variable)
    return [getattr(optimizer, name)[index] for name in _MOMENTS[optimizer.name]]


def averages(optimizer: Any) -> list[tuple[Any, Any]]:
    """Return each weight of a built optimizer that keeps averages (`use_ema`), with its average."""
    return list(zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True))


def with_hooks(base: type[keras.optimizers.Optimizer]) -> Any:
    """Make a subclass of an optimizer's class that has public methods where Keras calls private ones in each update.

    A subclass of the result overrides them and calls them on `super()`; the result is made of a class once.
    """

    class Hooked(base):
        def clip_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
            """Clip the gradients of all weights, unscaled; called once in an update."""
            clipped: Sequence[Any] = super()._clip_gradients(gradients)
            return clipped

        def current_learning_rate(self) -> Any:
            """Return the learning rate, wherever an update or weight decay reads it."""
            return super()._get_current_learning_rate()

        def apply_weight_decay(self, variables: Sequence[Any]) -> None:
            """Shrink weights; called once with all of them in an update, after the clipping."""
            super()._apply_weight_decay(variables)

        def update_weights(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
            """Change weights by their gradients; called once with all of them in an update, after the clipping."""
            super()._backend_update_step(gradients, variables, self.learning_rate)

        def _clip_gradients(self, gradients: Sequence[Any]) -> Sequence[Any]:
            return self.clip_gradients(gradients)

        def _get_current_learning_rate(self) -> Any:
            return self.current_learning_rate()

        def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
            self.apply_weight_decay(variables)

        def _backend_update_step(self, gradients: Sequence[Any], variables: Sequence[Any], _: Any) -> None:
            self.update_weights(gradients, variables)

    return Hooked
