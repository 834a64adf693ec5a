"""The Keras backend of a run: its environment before the import, its device and precision after it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ftapp.errors import Problem, RecipeError

if TYPE_CHECKING:
    from ftapp.recipe import Backend, Precision

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

# Processor features of Linux's /proc/cpuinfo that mean bfloat16 products in hardware: Intel from Cooper Lake, AMD
# from Zen 4, Arm from v8.6.
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}


def check_installed(backend: Backend) -> None:
    """Raises RecipeError when the backend's package is not installed; imports nothing."""
    if importlib.util.find_spec(backend) is None:
        message = f"the backend '{backend}' is not installed; in ftapp's checkout: pip install -e '.[{backend}]'"
        raise RecipeError([Problem("", "backend", message)])


def environment(backend: Backend, *, offline: bool) -> dict[str, str]:
    """The variables that must be set before a run's process imports Keras."""
    variables = {
        "KERAS_BACKEND": backend,
        # TensorFlow's start-up notices would fill train.log; errors still show.
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # A run may share its GPU: take memory as needed instead of all of it at the start.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if offline:
        variables |= {"FTAPP_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    return variables


def device() -> str:
    """The device that Keras computes on, in words. Keeps the tokenizers' TensorFlow off another backend's GPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        import tensorflow

        tensorflow.config.set_visible_devices([], "GPU")
    kind = keras.distribution.list_devices()[0] if keras.backend.backend() != "torch" else _torch_device()
    return f"{kind}, {os.cpu_count()} cores" if kind.startswith("cpu") else kind


def choose_precision(wanted: Precision) -> tuple[str, str]:
    """The precision in force (a key of POLICIES) and the reason for it, and set it as Keras's policy.

    `auto` takes bfloat16 where the hardware multiplies it natively, by what the device says of itself. A timing would
    be more telling but could choose differently from one run to the next, and runs with one seed must give the same
    losses.
    """
    import keras

    if wanted != "auto":
        precision, reason = wanted, "as the recipe says"
    elif native := _native_bfloat16():
        precision, reason = "bfloat16", f"{native} multiplies bfloat16 natively"
    else:
        precision, reason = "float32", "this hardware does not multiply bfloat16 natively"
    keras.config.set_dtype_policy(POLICIES[precision])
    return precision, reason


def jit_compile() -> bool:
    """Whether a model's steps go through XLA or torch.compile.

    On TensorFlow's CPU it stays off: a step of a 6-layer encoder was 14% faster with it, and compiling took 11 s
    longer for each shape, more than a run of some hundred steps wins back. JAX always compiles; torch runs eagerly,
    as Keras recommends.
    """
    import keras

    name = keras.backend.backend()
    return name == "jax" or (name == "tensorflow" and not keras.distribution.list_devices()[0].startswith("cpu"))


def _torch_device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"gpu:0, {torch.cuda.get_device_name(0)}"
    return "mps:0" if torch.backends.mps.is_available() else "cpu:0"


def _native_bfloat16() -> str | None:
    """What multiplies bfloat16 natively here: the GPU or TPU in use, or the processor; None if it does not."""
    import keras

    name = keras.backend.backend()
    if name == "torch":
        import torch

        if torch.cuda.is_available():
            return "the GPU" if torch.cuda.get_device_capability(0) >= (8, 0) else None
    elif name == "tensorflow":
        import tensorflow

        if gpus := tensorflow.config.list_physical_devices("GPU"):
            capability = tensorflow.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
            return "the GPU" if capability >= (8, 0) else None
    else:
        import jax

        chip = jax.devices()[0]
        if chip.platform == "tpu":
            return "the TPU"
        if chip.platform == "gpu":
            return "the GPU" if float(getattr(chip, "compute_capability", "0")) >= 8 else None
    return "the processor" if _BFLOAT16_FEATURES & _processor_features() else None


def _processor_features() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.startswith(("flags", "Features")) for word in line.split(":", 1)[1].split()}
