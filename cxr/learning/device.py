"""The device that trains and predicts, and the precision that it computes in."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.learning.tensorflow_import import import_tensorflow, keras_without_sklearn


@dataclass(frozen=True)
class Device:
    """A CPU or the GPUs of this machine, with the precision to use on it."""

    name: str  # for the record: "CPU (AMD EPYC, 2 cores)", "2 GPUs (NVIDIA ...)"
    precision: str  # "float32" or "bfloat16"
    strategy: Any = None
    why: str = ""  # the reason for the precision, as the end of a sentence
    elsewhere: Any = None  # other machines that compute features (`cxr.learning.features.Elsewhere`); None: this alone

    def scope(self) -> AbstractContextManager[Any]:
        """A context to build and compile a network in, so that several GPUs share the work."""
        return self.strategy.scope() if self.strategy else nullcontext()


def keras_backend() -> str:
    """The name of the library that Keras computes with; KERAS_BACKEND chooses it, TensorFlow is the default."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def find_device(precision: str = "auto") -> Device:
    """The GPUs of this machine, or the CPU; `auto` is bfloat16 where the hardware multiplies it natively."""
    if keras_backend() == "jax":
        return _jax_device(precision)
    tf = import_tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            break  # already in use by this process, with the setting it started with
    if not gpus:
        return _cpu(precision)
    details = tf.config.experimental.get_device_details(gpus[0])
    native = details.get("compute_capability", (0, 0)) >= (8, 0)
    chosen, why = _chosen(precision, native)
    name = details.get("device_name", "GPU")
    if len(gpus) == 1:
        return Device(name, chosen, why=why)
    return Device(f"{len(gpus)} GPUs ({name})", chosen, tf.distribute.MirroredStrategy(), why)


def device_without_tensorflow(precision: str = "auto") -> Device | None:
    """The CPU where this machine has no GPU; None if it may have one, so that TensorFlow must look (seconds)."""
    drivers = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    no_gpu = sys.platform == "linux" and not any(Path(driver).exists() for driver in drivers)
    return _cpu(precision) if no_gpu else None


def gpu_peak_bytes() -> int:
    """The peak memory of this process on a GPU; 0 without a GPU or before TensorFlow is imported."""
    if "tensorflow" not in sys.modules:
        return 0
    tf = import_tensorflow()
    gpus = range(len(tf.config.list_physical_devices("GPU")))
    return max((int(tf.config.experimental.get_memory_info(f"GPU:{gpu}")["peak"]) for gpu in gpus), default=0)


def _jax_device(precision: str) -> Device:
    """The first GPU that JAX finds, or the CPU; training on JAX uses one GPU."""
    import jax

    with keras_without_sklearn():
        import keras  # noqa: F401  # the first import of Keras
    device = jax.devices()[0]
    if device.platform != "gpu":
        return _cpu(precision)
    chosen, why = _chosen(precision, float(getattr(device, "compute_capability", "0")) >= 8)
    return Device(f"{device.device_kind} (JAX)", chosen, why=why)


def _cpu(precision: str) -> Device:
    chosen, why = _chosen(precision, _cpu_has_bfloat16())
    return Device(_cpu_name(), chosen, why=why)


def _chosen(precision: str, native: bool) -> tuple[str, str]:
    """The precision and the reason; not chosen by timing, because it changes the probabilities (docs/speed.md)."""
    if precision != "auto":
        return precision, "as requested"
    return ("bfloat16", "supported by this hardware") if native else ("float32", "this hardware lacks bfloat16")


def _cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""  # not Linux: nothing is known, and float32 works everywhere
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _cpu_has_bfloat16() -> bool:
    return bool({"amx_bf16", "avx512_bf16"} & set(_cpu_info("flags").split()))


def cpu_has_int8() -> bool:
    """Whether the processor has instructions that multiply 8-bit integers and add up in 32 bits."""
    return bool({"amx_int8", "avx512_vnni", "avx_vnni"} & set(_cpu_info("flags").split()))


def _cpu_name() -> str:
    name = _cpu_info("model name") or platform.processor() or platform.machine()
    return f"CPU ({name}, {os.cpu_count()} cores)"
