"""The formats of `ftapp export`, a row each. Imports no Keras, so that commands list them at once."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftapp.common.errors import RunError

if TYPE_CHECKING:
    from ftapp.recipe import Backend


@dataclass(frozen=True)
class ExportFormat:
    """One format. `ftapp.models.export.write` names the module here that writes it.

    Attributes:
        title: What lists of formats call it.
        backend: What Keras computes with while it writes the format.
        needs: Packages that write and read it, the name to install by the name to import.
        runtime: What a user of the export installs, as pip takes it.
        hub_library: What model hubs call the library that reads it.
        has_int8: Whether it can be written in int8.
    """

    title: str
    backend: Backend
    needs: Mapping[str, str]
    runtime: str
    hub_library: str
    has_int8: bool = False

    def check_int8(self, name: str, *, int8: bool) -> None:
        """Check that this format has int8 where it is asked for.

        Args:
            name: The format's name.
            int8: Whether the export is in int8.

        Raises:
            RunError: It is, and the format has no int8.
        """
        if int8 and not self.has_int8:
            able = " and ".join(each for each, row in FORMATS.items() if row.has_int8)
            raise RunError(f"{name} has no int8; int8 is for {able}")

    def is_installed(self) -> bool:
        """Return whether all packages of this format are installed, those of int8 aside."""
        return not _find_missing(self.needs)

    def check_installed(self, name: str, *, int8: bool) -> None:
        """Check that the packages of this format are installed, without importing them.

        Args:
            name: The format's name.
            int8: Whether the export is in int8.

        Raises:
            RunError: A package is not installed.
        """
        needed = dict(self.needs) | ({"nncf": "nncf"} if int8 and name == "openvino" else {})
        if missing := _find_missing(needed):
            listed = " ".join(missing)
            raise RunError(
                f"the package '{missing[0]}' is not installed; an export to {name} needs it: pip install {listed}; "
                "pip install 'ftapp[export,openvino,torch]' installs what all formats need"
            )


def _find_missing(needed: Mapping[str, str]) -> list[str]:
    """Find the packages that are not installed. needed: the name to install by the name to import."""
    return [package for module, package in needed.items() if importlib.util.find_spec(module) is None]


FORMATS: Mapping[str, ExportFormat] = {
    "keras-hub": ExportFormat(
        title="KerasHub task preset",
        backend="tensorflow",
        needs={},
        runtime="keras-hub tensorflow",
        hub_library="keras-hub",
    ),
    "saved_model": ExportFormat(
        title="TensorFlow SavedModel",
        backend="tensorflow",
        needs={},
        runtime="tensorflow",
        hub_library="tensorflow",
    ),
    "onnx": ExportFormat(
        title="ONNX",
        backend="tensorflow",
        needs={"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"},
        runtime="onnxruntime",
        hub_library="onnx",
    ),
    "openvino": ExportFormat(
        title="OpenVINO IR",
        backend="tensorflow",
        needs={"openvino": "openvino"},
        runtime="openvino",
        hub_library="openvino",
        has_int8=True,
    ),
    "litert": ExportFormat(
        title="LiteRT (TensorFlow Lite)",
        backend="tensorflow",
        needs={"ai_edge_litert": "ai-edge-litert"},
        runtime="ai-edge-litert",
        hub_library="litert",
        has_int8=True,
    ),
    "torch": ExportFormat(
        title="PyTorch exported program",
        backend="torch",
        needs={"torch": "torch"},
        runtime="torch",
        hub_library="pytorch",
    ),
    "transformers": ExportFormat(
        title="Hugging Face Transformers",
        backend="tensorflow",
        needs={"transformers": "transformers", "torch": "torch"},
        runtime="transformers torch",
        hub_library="transformers",
    ),
}
"""The formats by the name that --to takes."""


class UnfitError(RunError):
    """A model that a format has no place for.

    Args:
        name: The format.
        reason: What of the model does not fit, a clause.
        nearest: The nearest format that takes the model.
    """

    def __init__(self, name: str, reason: str, nearest: str) -> None:
        super().__init__(f"this model cannot be exported to {name}: {reason}; the nearest format: --to {nearest}")
