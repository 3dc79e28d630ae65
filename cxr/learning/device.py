"""What a training or a reading runs on, and in which precision."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

_WRAPPERS = "keras.src.wrappers.sklearn_wrapper"


@dataclass(frozen=True)
class Device:
    name: str  # for the record: "CPU (AMD EPYC, 2 cores)", "2 GPUs (NVIDIA ...)"
    precision: str  # "float32" or "bfloat16"
    strategy: Any = None
    why: str = ""  # that precision, as the end of a sentence

    def scope(self) -> AbstractContextManager[Any]:
        """Build and compile a network inside it, so that several GPUs share the work."""
        return self.strategy.scope() if self.strategy else nullcontext()


def find_device(precision: str = "auto") -> Device:
    """The GPUs that TensorFlow sees, or the CPU; `auto` is bfloat16 where the hardware multiplies it natively."""
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
    """The CPU where this machine has no GPU to ask TensorFlow about, which takes seconds; None where it may have."""
    signs = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    none = sys.platform == "linux" and not any(Path(sign).exists() for sign in signs)
    return _cpu(precision) if none else None


def gpu_peak_bytes() -> int:
    """The most memory that this process has had on a GPU; 0 without one, or before TensorFlow is there."""
    if "tensorflow" not in sys.modules:
        return 0
    tf = import_tensorflow()
    gpus = range(len(tf.config.list_physical_devices("GPU")))
    return max((int(tf.config.experimental.get_memory_info(f"GPU:{gpu}")["peak"]) for gpu in gpus), default=0)


def _cpu(precision: str) -> Device:
    chosen, why = _chosen(precision, _cpu_has_bfloat16())
    return Device(_cpu_name(), chosen, why=why)


def _chosen(precision: str, native: bool) -> tuple[str, str]:
    """The precision, and why; not by a stopwatch, as it moves what a model says (docs/speed.md)."""
    if precision != "auto":
        return precision, "as was asked for"
    return ("bfloat16", "which it multiplies natively") if native else ("float32", "as it multiplies no bfloat16")


def _keep_wrappers_out() -> None:
    """Keras brings scikit-learn and SciPy's statistics for wrappers that nobody here uses: 0.7 s of a start."""
    if "keras" not in sys.modules and _WRAPPERS not in sys.modules:
        stand_in = ModuleType(_WRAPPERS, "Keras' wrappers for scikit-learn, left out by cxr.")
        stand_in.__getattr__ = _left_out  # type: ignore[method-assign]
        sys.modules[_WRAPPERS] = stand_in


def _left_out(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {"__doc__": "Left out by cxr."})


def import_tensorflow() -> Any:
    """TensorFlow, without the lines that it writes past every log setting when it is first imported."""
    _keep_wrappers_out()
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return importlib.import_module("tensorflow")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        tf = importlib.import_module("tensorflow")
        tf.config.list_physical_devices()  # looks for GPUs, and says so too
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    return tf


def _cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""  # not Linux: nothing is known, and float32 is right everywhere
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _cpu_has_bfloat16() -> bool:
    return bool({"amx_bf16", "avx512_bf16"} & set(_cpu_info("flags").split()))


def _cpu_name() -> str:
    name = _cpu_info("model name") or platform.processor() or platform.machine()
    return f"CPU ({name}, {os.cpu_count()} cores)"
