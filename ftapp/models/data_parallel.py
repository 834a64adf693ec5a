"""Batches that are shared over devices, with all weights on each device (`keras.distribution.DataParallel`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity


class SharedBatches(keras.distribution.DataParallel):
    """Gives each device an equal share of a batch.

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
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def share_batches(devices: int) -> None:
    """Share batches over devices from now on, in models that are built from now on. Keras can do it on JAX alone.

    Args:
        devices: The number of devices, the first ones of the backend.

    Raises:
        RecipeError: The backend does not have as many devices.
    """
    found = keras.distribution.list_devices()
    if len(found) < devices:
        message = (
            f"the recipe shares batches over {devices} devices, and JAX has {format_quantity(len(found), 'device')}"
        )
        message += f" here; the most is --set devices={len(found)}"
        if found[0].startswith("cpu"):
            message += f"; to try it on a processor, set JAX_NUM_CPU_DEVICES={devices} in the environment"
        raise RecipeError([Problem("", "devices", message)])
    keras.distribution.set_distribution(SharedBatches(devices=found[:devices], auto_shard_dataset=False))
