"""OpenVINO's graphs: written, read, and quantized to int8 by NNCF.

OpenVINO and NNCF report their use to their makers, in each process that imports them, unless the package that sends the
reports cannot be imported. So this module makes it absent before it imports them.
"""

from __future__ import annotations

import functools
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ftapp.common.quick_imports import hide_libraries
from ftapp.models.keras_internals import flatten_layers

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402

# What NNCF imports wherever it is installed, for other models than ours.
_NOT_NEEDED = frozenset({"torch", "onnx", "pandas", "sklearn"})


@functools.cache
def get_core() -> openvino.Core:
    """Give OpenVINO's runtime, which lives as long as the process.

    A runtime gives the thread that loads its plugin for processors a stack for signals, and frees that stack at its
    end, be it on another thread. The next signal, such as that of Ctrl-C, would then crash the process.
    """
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # files of graphs may be removed or replaced
    return core


def convert_function(function: Any) -> Any:
    """Convert a concrete function of TensorFlow into a graph.

    Raises:
        Exception: OpenVINO cannot convert one of its operations; the exception is of its making.
    """
    return openvino.convert_model(function)


def save_graph(graph: Any, file: Path) -> None:
    """Write a graph as a file .xml, and its weights as they are beside it."""
    openvino.save_model(graph, file, compress_to_fp16=False)


def load_graph(file: Path) -> Any:
    """Read a graph from a file .xml into memory; nothing refers to its files any more.

    Raises:
        RuntimeError: The file is damaged.
    """
    return get_core().read_model(file)


def has_attention(model: Any) -> bool:
    """Tell whether a Keras model has layers of attention, whose products NNCF treats in their own way."""
    return any("attention" in type(layer).__name__.lower() for layer in flatten_layers(model))


def quantize_graph(graph: Any, batches: list[dict[str, Any]], *, attention: bool) -> Any:
    """Quantize a graph with NNCF. The same batches give the same graph.

    Args:
        graph: The graph; it is not changed.
        batches: What its inputs take, by their names, for the ranges of its activations.
        attention: Whether it has layers of attention.

    Raises:
        Exception: NNCF cannot quantize these layers; the exception is of its making.
    """
    # NNCF makes a runtime of its own and frees it. The main thread must not lose its stack for signals with it, as
    # `get_core` says, so this is done on a thread that handles no signals.
    with ThreadPoolExecutor(1, "quantize") as apart:
        return apart.submit(_quantize, graph, batches, attention=attention).result()


def _quantize(graph: Any, batches: list[dict[str, Any]], *, attention: bool) -> Any:
    """Quantize a graph with NNCF, which prints its progress, and imports torch only to tell its models from others.

    NNCF's correction of biases is left out: it changed nothing in VGG16's features and took two fifths of the time.
    """
    with hide_libraries(_NOT_NEEDED), redirect_stdout(io.StringIO()):
        import nncf

        return nncf.quantize(
            graph,
            nncf.Dataset(batches),
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
        )
