"""VGG convolution bases published as ONNX files, made into KerasHub presets.

Only the convolutions are taken; what such a file has on top of them (its own classifier) is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ftapp.common.errors import RunError

VERSION = 1
"""Rises when `convert` gives another result, so that folders of earlier conversions are not used."""

_CONVOLUTION = re.compile(r"(?:.*/)?block(\d+)_conv(\d+)\w*/")
# Caffe's preprocessing: the mean of the ImageNet training images for red, green and blue, in 0..255 (Simonyan &
# Zisserman 2015).
_MEANS = (123.68, 116.779, 103.939)


def convert(file: Path, folder: Path) -> None:
    """Write the VGG base in an ONNX `file` as a KerasHub preset into `folder`: backbone and image preprocessing.

    The file's kernels are (out, in, height, width) and expect blue, green, red; Keras's are (height, width, in, out),
    and turning the first one's input channels around lets the preset take RGB. Raises RunError when the file holds no
    VGG base.
    """
    import keras_hub
    import onnx
    from onnx import numpy_helper

    weights: dict[tuple[int, int], dict[int, Any]] = {}
    for tensor in onnx.load(str(file)).graph.initializer:
        if match := _CONVOLUTION.match(tensor.name):
            value = numpy_helper.to_array(tensor)
            weights.setdefault((int(match[1]), int(match[2])), {})[value.ndim] = value
    repeats = [sum(block == number for block, _ in weights) for number in sorted({block for block, _ in weights})]
    if not repeats or any(set(parts) != {1, 4} for parts in weights.values()):
        raise RunError(f"{file.name} lacks some VGG weights; a VGG base has layers blockN_convM, with kernel and bias")
    backbone = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=repeats,
        stackwise_num_filters=[weights[block + 1, 1][1].shape[0] for block in range(len(repeats))],
        dtype="float32",
    )
    for (block, index), parts in weights.items():
        kernel = np.transpose(parts[4], (2, 3, 1, 0))
        if (block, index) == (1, 1):
            kernel = kernel[:, :, ::-1, :]
        backbone.get_layer(f"block{block}_conv{index}").set_weights([kernel, parts[1]])
    converter = keras_hub.layers.VGGImageConverter(image_size=(224, 224), offset=[-mean for mean in _MEANS])
    backbone.save_to_preset(str(folder))
    keras_hub.models.VGGImageClassifierPreprocessor(converter).save_to_preset(str(folder))
