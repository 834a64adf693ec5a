"""The Keras backend of a run: its environment before the import, its device and precision after it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path

from ftapp.common import cache_files, user_folders
from ftapp.common.formatting import format_quantity
from ftapp.common.locks import hold_lock

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

# Processor features of Linux's /proc/cpuinfo that mean bfloat16 products in hardware: Intel from Cooper Lake, AMD
# from Zen 4, Arm from v8.6.
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}
_PROCESSOR = "the processor"
# How much faster bfloat16 has to be to be worth its rounding and the casts around it.
_WORTH_BFLOAT16 = 1.2
_ROUNDS = 9


def device() -> str:
    """The device that Keras computes on, in words. Keeps the tokenizers' TensorFlow off another backend's GPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        import tensorflow

        tensorflow.config.set_visible_devices([], "GPU")
    kind = keras.distribution.list_devices()[0] if keras.backend.backend() != "torch" else _torch_device()
    return f"{kind}, {format_quantity(os.cpu_count() or 1, 'core')}" if kind.startswith("cpu") else kind


def _is_not_about_tracing(record: logging.LogRecord) -> bool:
    """Tell whether a record is not TensorFlow's warning that a function was traced again."""
    return "triggered tf.function retracing" not in record.getMessage()


def hush_tracing() -> None:
    """Leave out TensorFlow's warnings about traces: each phase compiles its own step on purpose."""
    logging.getLogger("tensorflow").addFilter(_is_not_about_tracing)


def choose_precision(wanted: str) -> tuple[str, str]:
    """The precision in force (a key of POLICIES) and the reason for it, and set it as Keras's policy.

    `auto` takes bfloat16 where the hardware multiplies it natively, by what the device says of itself, and on a
    processor where a probe finds it faster too: some list the instructions and run them slower than those of float32.
    The probe's result is kept, so that all runs on one machine choose the same.
    """
    import keras

    if wanted != "auto":
        precision, reason = wanted, "as the recipe says"
    elif not (native := _native_bfloat16()):
        precision, reason = "float32", "this hardware does not multiply bfloat16 natively"
    elif native != _PROCESSOR:
        precision, reason = "bfloat16", f"{native} multiplies bfloat16 natively"
    else:
        speed = _find_bfloat16_speed()
        precision = "bfloat16" if speed >= _WORTH_BFLOAT16 else "float32"
        reason = f"{native} multiplies bfloat16 at {speed:.1f} times the speed of float32"
    keras.config.set_dtype_policy(POLICIES[precision])
    return precision, reason


def jit_compile() -> bool:
    """Whether a model's steps go through XLA or torch.compile.

    On TensorFlow's CPU it stays off: steps of a small GPT-2 were 7% faster with it, and compiling took 10 s longer for
    each shape, more than a run of some hundred steps wins back. JAX always compiles; torch runs eagerly, as Keras
    recommends.
    """
    import keras

    name = keras.backend.backend()
    return name == "jax" or (name == "tensorflow" and not keras.distribution.list_devices()[0].startswith("cpu"))


def computes_ahead() -> bool:
    """Whether Keras hands out results before they are computed: on JAX, and on GPUs.

    On a processor TensorFlow and torch compute a step before they return from it.
    """
    import keras

    name = keras.backend.backend()
    kind = _torch_device() if name == "torch" else keras.distribution.list_devices()[0]
    return name == "jax" or not kind.startswith("cpu")


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
    return _PROCESSOR if _BFLOAT16_FEATURES & _processor("flags", "Features") else None


def _find_bfloat16_speed() -> float:
    """The probe's result for this processor and backend, measured when there is none yet, by one process for all."""
    import keras

    name = keras.backend.backend()
    facts = [name, metadata.version(name), os.cpu_count(), sorted(_processor("model", "flags", "Features"))]
    key = hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
    file = user_folders.cache() / f"bfloat16-{key}.kept"
    with ExitStack() as stack:
        with suppress(OSError):  # a cache that cannot be written costs another probe next time
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(file.with_suffix(".lock"), fcntl.LOCK_EX))
        if kept := cache_files.load(file):
            return float(kept)
        speed = _measure_bfloat16_speed()
        cache_files.keep(file, repr(speed).encode())
        return speed


def _measure_bfloat16_speed() -> float:
    """How many times faster than in float32 the backend multiplies matrices in bfloat16.

    A product of 2 * 1024^3 operations takes some 10 ms; all of the probe about half a second. Processor time is what
    counts: beside seven other processes on two cores it gave 1.75 to 1.88 in 60 probes, and a clock 1.2 to 2.6.
    """
    import keras

    factors = {dtype: keras.ops.ones((1024, 1024), dtype) for dtype in ("float32", "bfloat16")}

    def seconds(dtype: str) -> float:
        begun = time.process_time()
        product = keras.ops.matmul(factors[dtype], factors[dtype])
        float(keras.ops.cast(keras.ops.max(product), "float32"))  # waits for the device
        return time.process_time() - begun

    rounds = [(seconds("float32"), seconds("bfloat16")) for _ in range(2 + _ROUNDS)]
    return compare_times(rounds[2:])  # the first rounds load code


def compare_times(rounds: Sequence[tuple[float, float]]) -> float:
    """Give how many times longer the first of two ways takes, by the shortest time of each.

    What else happens on the machine makes a time longer, never shorter.

    Args:
        rounds: The seconds of both ways in each round.
    """
    first, second = zip(*rounds, strict=True)
    return float(min(first) / min(second))


def _processor(*lines: str) -> set[str]:
    """The words of the lines of Linux's /proc/cpuinfo that begin in one of these ways; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return set()
    return {word for line in text.splitlines() if line.startswith(lines) for word in line.split(":", 1)[1].split()}
