"""Checks of everything that a prediction needs: image files, models, pretrained weights, TensorFlow, a prediction.

TensorFlow runs in a separate process, so that a broken or missing one is a result like any other.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cxr.cli.installation_checks import REINSTALL, CheckResult, Level
from cxr.core import paths
from cxr.core.errors import CxrError
from cxr.core.number_format import joined
from cxr.core.paths import PROJECT

if TYPE_CHECKING:
    from cxr.inference.engines.selection import EngineSelector
    from cxr.learning.device import Device

PROCESS_LIMIT_S = 300  # importing TensorFlow from a slow disk takes minutes
TENSORFLOW_CODE = (
    "import json; from cxr.learning.device import find_device; device = find_device(); import tensorflow as tf; "
    "print(json.dumps([tf.__version__, device.name, device.precision, device.why]))"
)
Process = subprocess.CompletedProcess[str] | None
RunPython = Callable[..., Process]


def run_python(*arguments: str, limit_s: float = PROCESS_LIMIT_S) -> Process:
    """Run Python in a separate process that writes no audit trail; None if it exceeds the time limit."""
    environment = os.environ | {"CXR_TRAIL": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def image_file() -> Iterator[CheckResult]:
    """Whether a synthetic X-ray is the same after writing and reading it."""
    from cxr.films.film import Film

    pixels, png = _phantom()
    if (Film.read(png).pixels == pixels).all():
        yield CheckResult("image file", Level.OK, "A synthetic X-ray was written and read without change.")
    else:
        changed = "A synthetic X-ray changed when it was written and read."
        yield CheckResult("image file", Level.ERROR, changed, REINSTALL, "changed")


def _phantom() -> tuple[object, bytes]:
    from PIL import Image

    from cxr.films.synthetic.phantom import draw_phantom

    pixels = draw_phantom("viral", seed=7).pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return pixels, file.getvalue()


def models() -> Iterator[CheckResult]:
    """Each damaged model in the registry; or one result if all are intact. Every file is verified."""
    from cxr.registry import default_model, registry
    from cxr.registry.verification import load_verified

    listing = registry.list_models()
    damaged = dict(listing.damaged)
    for card in listing.cards:
        try:
            load_verified(card.name)
        except CxrError as error:
            damaged[card.name] = str(error)
    for name, reason in damaged.items():
        remedy = f"Import the model again, or delete it: cxr models delete {name}"
        yield CheckResult("models", Level.ERROR, reason, remedy, "damaged")
    if not listing.cards and not damaged:
        remedy = "Train one: cxr train RECIPE --data FOLDER; or import one on the page Models."
        yield CheckResult("models", Level.WARNING, "There is no model yet.", remedy, "none")
    elif not damaged:
        names = joined([card.name for card in listing.cards])
        yield CheckResult("models", Level.OK, f"Intact: {names}. Default: {default_model.default_name()}.")


def pretrained_weights() -> Iterator[CheckResult]:
    """Each damaged file of pretrained weights; or one result if all are intact."""
    files = [path for folder in paths.weights_dirs() if folder.is_dir() for path in sorted(folder.glob("*_notop*"))]
    intact = []
    for path in files:
        try:
            _read_all(path)
            intact.append(path.name)
        except (CxrError, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, CxrError) else f"The weights file {path.name} is damaged."
            yield CheckResult(
                "pretrained weights", Level.ERROR, reason, f"Delete {path} and download it again.", "damaged"
            )
    if not files:
        missing = "There are no ImageNet weights yet; the first training downloads them."
        remedy = f"Without an internet connection, copy vgg16_notop.weights.h5 into {paths.weights_dirs()[0]}."
        yield CheckResult("pretrained weights", Level.WARNING, missing, remedy, "none")
    elif intact:
        yield CheckResult("pretrained weights", Level.OK, f"Intact: {joined(intact)}.")


def _read_all(path: Path) -> None:
    """Read every array of a file; npz files have checksums, and HDF5 compares its length with the recorded one."""
    if path.suffix == ".npz":
        from cxr.registry.weights_file import load_arrays

        load_arrays(path)
        return
    import h5py

    with h5py.File(path) as file:
        file.visititems(lambda _, item: item[()] is None if isinstance(item, h5py.Dataset) else None)


def tensorflow(run: RunPython = run_python) -> Iterator[CheckResult]:
    """Whether TensorFlow starts, and the device that it uses."""
    process = run("-c", TENSORFLOW_CODE)
    if process is None:
        yield CheckResult("TensorFlow", Level.ERROR, "TensorFlow does not start: time limit.", REINSTALL, "timeout")
    elif process.returncode:
        reason = f"TensorFlow does not start: {_last_error(process)}"
        yield CheckResult("TensorFlow", Level.ERROR, reason, REINSTALL, "broken")
    else:
        version, device, precision, why = json.loads(process.stdout.splitlines()[-1])
        yield CheckResult("TensorFlow", Level.OK, f"TensorFlow {version} on {device}, {precision} ({why}).")
        if device.startswith("CPU") and (Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi")):
            remedy = "pip install -r requirements-gpu.txt, and check that nvidia-smi works."
            unused = "TensorFlow does not find this machine's NVIDIA GPU."
            yield CheckResult("TensorFlow", Level.WARNING, unused, remedy, "gpu-unused")


def engine(selector: EngineSelector | None = None, device: Device | None = None) -> Iterator[CheckResult]:
    """The inference engine for single X-rays, if there is a choice."""
    from cxr.inference.engines.selection import EngineSelector, fastest
    from cxr.learning.device import device_without_tensorflow
    from cxr.registry import default_model, registry

    selector, device = selector or EngineSelector(), device or device_without_tensorflow()
    name, installed = default_model.default_name(), selector.plugin.version()
    if name is None or not installed or device is None:
        return
    times_ms = selector.cached(registry.get_recipe(name), device)
    if times_ms is None:
        untimed = f"{selector.plugin.name} {installed} is installed; the dashboard's first prediction times it."
        yield CheckResult("engine", Level.OK, untimed, code="not-timed")
    else:
        times = joined([f"{time_ms:.0f} ms with {engine}" for engine, time_ms in times_ms.items()])
        yield CheckResult("engine", Level.OK, f"{fastest(times_ms)} reads single X-rays: {times}.", code="timed")


def prediction(run: RunPython = run_python) -> Iterator[CheckResult]:
    """Whether the default model reads a synthetic X-ray."""
    from cxr.registry import default_model

    name = default_model.default_name()
    if name is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "phantom.png"
        film.write_bytes(_phantom()[1])
        process = run("-m", "cxr", "predict", str(film), "--model", name, "--show-rejected", "--json")
    if process is None or process.returncode:
        reason = "time limit." if process is None else _last_error(process)
        sentence = f"The default model, '{name}', cannot read a synthetic X-ray: {reason}"
        yield CheckResult("prediction", Level.ERROR, sentence, REINSTALL, "failed")
        return
    answer = json.loads(process.stdout)[0]
    if abs(sum(answer["probabilities"].values()) - 1) > 0.01:
        sentence = f"The probabilities of '{name}' do not add up to 1."
        yield CheckResult("prediction", Level.ERROR, sentence, "Import the model again.", "probabilities")
    else:
        milliseconds = answer["timing_ms"]["model"]
        sentence = f"The default model, '{name}', read a synthetic X-ray in {milliseconds:.0f} ms."
        yield CheckResult("prediction", Level.OK, sentence)


def _last_error(process: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in process.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else f"exit code {process.returncode}."
