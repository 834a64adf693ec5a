"""Training on several devices: they share batches, or weights too (`keras.distribution`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import keras_hub

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity

_BATCH, _MODEL = "batch", "model"  # the axes of the devices, by the names of KerasHub


class SharedBatches(keras.distribution.DataParallel):
    """Gives each device an equal share of a batch, and all weights.

    A batch that cannot be divided, such as the last one of an epoch, is computed whole on each device. So each step
    computes the mean over just the examples that it has on one device.
    """

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Return how an array of a batch lies on the devices.

        Args:
            data_shape: The shape of the array, examples first.
        """
        if data_shape and data_shape[0] % self.device_mesh.shape[0] == 0:
            return super().get_data_layout(data_shape)
        return _make_whole(data_shape, self.device_mesh)


class SharedWeights(keras.distribution.ModelParallel):
    """Gives each device a part of the large weights, and the whole batch.

    A weight that cannot be divided lies whole on each device, such as the keys of Gemma 2B, which have one head.
    """

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        """Return how an array of a batch lies on the devices.

        Args:
            data_shape: The shape of the array.
        """
        return _make_whole(data_shape, self.device_mesh)

    def get_variable_layout(self, variable: Any) -> Any:
        """Return how a variable lies on the devices."""
        layout = super().get_variable_layout(variable)
        sizes = dict(zip(self.device_mesh.axis_names, self.device_mesh.shape, strict=True)) | {None: 1}
        if all(size % sizes[axis] == 0 for size, axis in zip(variable.shape, layout.axes, strict=True)):
            return layout
        return _make_whole(variable.shape, self.device_mesh)


def _make_whole(shape: Sequence[int], mesh: Any) -> Any:
    """Make the layout of an array that lies whole on each device."""
    return keras.distribution.TensorLayout([None] * len(shape), mesh)


def use_one_device() -> None:
    """Compute on one device from now on, in this thread, whatever it has shared before."""
    keras.distribution.set_distribution(None)


def share_batches(devices: int) -> None:
    """Share batches over devices from now on, in models that are built from now on. Keras can do it on JAX alone.

    Args:
        devices: The number of devices, the first ones of the backend.

    Raises:
        RecipeError: The backend does not have as many devices.
    """
    found = keras.distribution.list_devices()
    if len(found) < devices:
        message = f"the recipe trains on {devices} devices, and JAX has {format_quantity(len(found), 'device')}"
        message += f" here; the most is --set devices={len(found)}"
        if found[0].startswith("cpu"):
            message += f"; to try it on a processor, set JAX_NUM_CPU_DEVICES={devices} in the environment"
        raise RecipeError([Problem("", "devices", message)])
    keras.distribution.set_distribution(SharedBatches(devices=found[:devices], auto_shard_dataset=False))


def share_weights(devices: int, backbone: type) -> None:
    """Share weights over devices from now on, in place of batches.

    Args:
        devices: The number of devices, which the backend has.
        backbone: The class of the model's backbone.

    Raises:
        RecipeError: KerasHub does not say how the weights of the backbone are divided.
    """
    if not hasattr(backbone, "get_layout_map"):
        message = (
            f"KerasHub does not divide the weights of {backbone.__name__}, only those of {', '.join(_list_divided())}; "
            "set parallel = 'data', by which each device has all weights"
        )
        raise RecipeError([Problem("", "parallel", message)])
    names = keras.distribution.list_devices()[:devices]
    mesh = keras.distribution.DeviceMesh((1, devices), (_BATCH, _MODEL), names)
    layouts = backbone.get_layout_map(mesh, _MODEL, _BATCH)
    keras.distribution.set_distribution(SharedWeights(layout_map=layouts, auto_shard_dataset=False))


def _list_divided() -> list[str]:
    """List the backbones whose weights can be divided."""
    kinds = vars(keras_hub.models).items()
    return sorted(name for name, kind in kinds if name.endswith("Backbone") and hasattr(kind, "get_layout_map"))


def measure_held(variables: Iterable[Any]) -> int:
    """Measure how many values of some variables, which may be planned ones, each device has."""
    held = 0
    for variable in variables:
        # JAX alone has shardings, and a planned factor has no value.
        sharding = getattr(getattr(variable, "value", None), "sharding", None)
        held += math.prod(sharding.shard_shape(variable.shape) if sharding else variable.shape)
    return held
