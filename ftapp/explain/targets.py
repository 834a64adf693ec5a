"""What is explained of a trained model: the score of a class before it becomes a probability, or the number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ftapp.models.graph import inline_models, make_rest
from ftapp.models.keras_internals import graph_nodes
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS

OUTPUT = "explained"
"""The name of the layer that gives scores in the place of a head's probabilities."""


def make_score_model(trained: TrainedModel) -> keras.Model:
    """Make a model of the same layers whose outputs are scores in the place of probabilities.

    Args:
        trained: A model that classifies or measures.

    Returns:
        A model without models inside. Its outputs (examples, outputs) are logits where the head gives probabilities;
        else they are the head's own: distances of a linear SVM, or a number.
    """
    model = inline_models(trained.model)
    head = find_node(model, model.outputs[0])
    if trained.head not in ("softmax", "one-vs-rest"):
        return model
    layer = head.operation
    linear = keras.layers.Dense.from_config({**layer.get_config(), "activation": None, "name": OUTPUT})
    outputs = linear(head.input_tensors[0])
    # Copies: on JAX, the trained model gives the memory of its weights away in each prediction.
    linear.set_weights([np.array(keras.ops.convert_to_numpy(each)) for each in (layer.kernel, layer.bias)])
    return keras.Model(model.input, outputs, name=model.name)


def find_node(model: keras.Model, tensor: Any) -> Any:
    """Find the node of a Functional model's graph that a tensor comes from."""
    return next(node for node in graph_nodes(model) if any(each is tensor for each in node.outputs))


def split(model: keras.Model, tensor: Any, name: str) -> tuple[keras.Model, keras.Model]:
    """Split a model at a tensor.

    Args:
        model: A Functional model.
        tensor: A tensor of its graph.
        name: The name of the tensor as an input of the upper part.

    Returns:
        The model below, from the model's inputs to the tensor, and the part above (`make_rest`).
    """
    return keras.Model(model.input, tensor), make_rest(model, {name: tensor})


def choose_score(trained: TrainedModel) -> Any:
    """Choose what is explained of a model's scores: a function (`ftapp.models.gradients.Score`).

    Of classes of which an example has one, it is the log-odds of the class, log(p / (1 - p)) = z_c - log sum_{j != c}
    exp z_j. The logit z_c alone would not tell of evidence that speaks against all other classes: two logits that grow
    by the same amount change no probability. Of one class against all others, the log-odds are the logit. Distances
    and numbers are explained themselves.
    """
    is_softmax = trained.head == "softmax" and TASKS[trained.task].labels == "classes"
    return _compute_log_odds if is_softmax else _choose_output


def _compute_log_odds(logits: Any, chosen: Any) -> Any:
    others = keras.ops.logsumexp(logits - 1e9 * chosen, axis=-1)
    return keras.ops.sum(logits * chosen, axis=-1) - others


def _choose_output(outputs: Any, chosen: Any) -> Any:
    return keras.ops.sum(outputs * chosen, axis=-1)
