"""The frozen half of a model on OpenVINO: its conversion from Keras, and an engine over what comes of it.

OpenVINO converts graphs of TensorFlow. On the other backends a process of its own builds the frozen half again on
TensorFlow (`ftapp.workers.converter`). The weights of the model are read and never written.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ftapp.common.processes import make_child_environment, make_module_command
from ftapp.freezing.cut import Cut
from ftapp.models.adapters import adapters_merged
from ftapp.models.float32 import NARROW, name_float32
from ftapp.models.keras_internals import flatten_layers
from ftapp.models.openvino_graph import convert_function, get_core, load_graph, save_graph

# How OpenVINO names the precision in which it computes, by the run's own. Its float16 is float32 on most processors.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f32"}
_CONFIG, _WEIGHTS, _GRAPH = "config.json", "weights.npz", "frozen.xml"


class OpenVinoEngine:
    """Computes features with OpenVINO, on the processor.

    Args:
        graph: The frozen half, as `convert` gives it.
        cut: The cut model.
        precision: The precision in which float layers compute.
    """

    def __init__(self, graph: Any, cut: Cut, precision: str) -> None:
        self._inputs = [tensor.name for tensor in cut.frozen.inputs]
        self._outputs = list(cut.features)
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            # One batch on all cores: two batches at once, on half of the cores each, are half as fast.
            "PERFORMANCE_HINT": "LATENCY",
            # Runs that share a machine would pin their threads to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = get_core().compile_model(graph, "CPU", options)

    def predict_on_batch(self, inputs: Any) -> dict[str, Any]:
        """Compute the features of a batch, as `Engine` says; they are float32, or the integers that the model gives."""
        named = inputs if isinstance(inputs, dict) else {self._inputs[0]: inputs}
        values = [named[name] for name in self._inputs]
        results = self._compiled(feed(self._compiled, values))
        return {name: results[name] for name in self._outputs}


def feed(graph: Any, values: list[Any]) -> dict[str, Any]:
    """Name the inputs of a converted graph as it takes them; inputs that it does not read are left out.

    Args:
        graph: The graph, compiled or not.
        values: The values of all inputs of the frozen half, in its order.
    """
    found = {}
    for port in graph.inputs:
        name = port.get_any_name()
        found[name] = np.ascontiguousarray(values[_number(name)], port.get_element_type().to_dtype())
    return found


def _name(number: int) -> str:
    return f"input_{number}"


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def convert(cut: Cut) -> Any:
    """Convert the frozen half of a cut model, in float32 whatever the run's precision.

    Returns:
        OpenVINO's graph. Its inputs are named by their numbers and its outputs by the features.

    Raises:
        Exception: OpenVINO or Keras cannot convert these layers; the exception is of their making.
    """
    if keras.backend.backend() == "tensorflow":
        return convert_model(cut.frozen)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_model(cut.frozen, folder)
        done = subprocess.run(
            make_module_command("ftapp.workers.converter", str(folder)),
            env=make_child_environment({"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"its process ended with {done.returncode}")
        return load_graph(folder / _GRAPH)


def convert_model(model: keras.Model) -> Any:
    """Convert a Functional model with a dict of outputs, on TensorFlow."""
    import tensorflow as tf

    def call(*tensors: Any) -> Any:
        return model(keras.tree.pack_sequence_as(model.input, tensors), training=False)

    specs = [tf.TensorSpec(each.shape, each.dtype, name=_name(index)) for index, each in enumerate(model.inputs)]
    with _float32_layers(model):
        graph = convert_function(tf.function(call, autograph=False).get_concrete_function(*specs))
    for port, name in zip(graph.outputs, sorted(model.output), strict=True):
        port.get_tensor().set_names({name})
    return graph


@contextmanager
def _float32_layers(model: keras.Model) -> Iterator[None]:
    """Have all layers compute in float32 while the context lasts."""
    narrow = [layer for layer in flatten_layers(model) if layer.dtype_policy.name in NARROW]
    former = [layer.dtype_policy for layer in narrow]
    try:
        for layer in narrow:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(narrow, former, strict=True):
            layer.dtype_policy = policy


def _write_model(model: keras.Model, folder: Path) -> None:
    """Write a Functional model for `convert_folder`, with adapters merged into its kernels."""
    with adapters_merged(model):
        config = keras.saving.serialize_keras_object(model)
        (folder / _CONFIG).write_text(json.dumps(name_float32(config)), encoding="utf-8")
        weights = {
            f"{layer.name}:{index}": keras.ops.convert_to_numpy(variable.value)
            for layer in model.layers
            for index, variable in enumerate(layer.weights)
        }
        np.savez(folder / _WEIGHTS, **weights)


def convert_folder(folder: Path) -> None:
    """Convert the model that another process has written into a folder, and write the graph there."""
    import keras_hub  # noqa: F401  whose layers the model has

    model = keras.saving.deserialize_keras_object(json.loads((folder / _CONFIG).read_text("utf-8")))
    with np.load(folder / _WEIGHTS) as weights:
        for layer in model.layers:
            layer.set_weights([weights[f"{layer.name}:{index}"] for index in range(len(layer.weights))])
    save_graph(convert_model(model), folder / _GRAPH)
