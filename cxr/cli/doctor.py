"""What is wrong with this installation and how to mend it: `Finding`s, from what a page needs to what a reading needs.

TensorFlow is asked in processes of their own, so that one that is broken or missing is a sentence like the others.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cxr.core import paths
from cxr.core.errors import CxrError

PROJECT = Path(__file__).parents[2]
OLDEST_PYTHON = (3, 11)
LITTLE_DISK_BYTES, NO_DISK_BYTES = 5_000_000_000, 500_000_000
LITTLE_MEMORY_BYTES = 3_000_000_000
_AGAIN = "Install again what the dashboard needs: pip install -r requirements.txt"
PATIENCE_S = 300  # for a process that imports TensorFlow on a slow disk


@dataclass(frozen=True)
class HealthCheck:
    """One thing that was looked at. `level` is ok, note (it works, but), or wrong (it does not)."""

    about: str
    level: str
    sentence: str
    remedy: str = ""


def examine(disk: Callable[[Path], int] | None = None) -> Iterator[HealthCheck]:
    """Findings, what is quick first; a check that fails itself is a finding too."""
    free = disk or _free_bytes
    checks: list[tuple[str, Callable[[], Iterable[HealthCheck]]]] = [
        ("Python", _python),
        ("packages", lambda: packages(PROJECT / "requirements.txt")),
        ("folders", folders),
        ("disk", lambda: _disk(free)),
        ("memory", _memory),
        ("network", lambda: network(PROJECT / ".streamlit")),
        ("a film", _film),
        ("models", models),
        ("starting weights", starting_weights),
        ("TensorFlow", tensorflow),
        ("engine", engine),
        ("a reading", reading),
    ]
    for about, check in checks:
        try:
            yield from check()
        except CxrError as error:
            yield HealthCheck(about, "wrong", str(error))
        except Exception as error:  # whatever is broken here, the other checks are still wanted
            yield HealthCheck(about, "wrong", f"It could not be looked at ({type(error).__name__}).", _AGAIN)


def _python() -> Iterator[HealthCheck]:
    said = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    old = sys.version_info < OLDEST_PYTHON
    mend = "Python {}.{} or later is needed.".format(*OLDEST_PYTHON) if old else ""
    yield HealthCheck("Python", "wrong" if old else "ok", said, mend)


def packages(requirements: Path) -> Iterator[HealthCheck]:
    """Each pinned package that is missing or of another version; or that all are there."""
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", requirements.read_text("utf-8"), re.MULTILINE)
    right = 0
    for name, wanted in pins:
        try:
            found = version(name)
        except PackageNotFoundError:
            yield HealthCheck("packages", "wrong", f"The package {name} is missing.", f"pip install {name}=={wanted}")
            continue
        if found == wanted:
            right += 1
        else:
            said = f"{name} is {found}; tested is {wanted}."
            yield HealthCheck("packages", "note", said, f"pip install {name}=={wanted}")
    if right == len(pins):
        yield HealthCheck("packages", "ok", f"All {right} packages are there in the versions that are tested.")


def folders() -> Iterator[HealthCheck]:
    """Where this installation must be able to write."""
    places = [paths.home(), paths.models_dir(), paths.runs_dir(), paths.cache_dir(), paths.data_dir()]
    barred = [place for place in (*places, paths.trail_dir(), paths.logs_dir()) if not _writable(place)]
    for place in barred:
        mend = "Give whoever runs the dashboard the right to write there, or name another folder in CXR_HOME."
        yield HealthCheck("folders", "wrong", f"{place} cannot be written.", mend)
    if not barred:
        yield HealthCheck("folders", "ok", f"Everything is kept in {paths.home()}, which can be written.")


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            return True
    except OSError:
        return False


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(_nearest(folder)).free


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    return folder if folder.exists() else _nearest(folder.parent)


def _disk(free: Callable[[Path], int]) -> Iterator[HealthCheck]:
    left = free(paths.home())
    said = f"{left / 1e9:.1f} GB are free where {paths.home()} lies."
    mend = "Make room: delete ended runs, what the cache holds (it is made again), or models; or move CXR_HOME."
    if left < NO_DISK_BYTES:
        yield HealthCheck("disk", "wrong", f"{said} A training needs more for its checkpoints.", mend)
    elif left < LITTLE_DISK_BYTES:
        yield HealthCheck("disk", "note", f"{said} A training with several views may need more.", mend)
    else:
        yield HealthCheck("disk", "ok", said)


def _memory() -> Iterator[HealthCheck]:
    import psutil

    memory = psutil.virtual_memory()
    said = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB of memory are free; {os.cpu_count()} cores."
    if memory.available < LITTLE_MEMORY_BYTES:
        mend = "Close other programs, or train with a smaller training.batch."
        yield HealthCheck("memory", "note", f"{said} Reading works; a training may not.", mend)
    else:
        yield HealthCheck("memory", "ok", said)


def network(folder: Path) -> Iterator[HealthCheck]:
    """Who can reach the dashboard, by its settings, and whether they must sign in."""
    server = tomllib.loads((folder / "config.toml").read_text("utf-8")).get("server", {})
    address = os.environ.get("STREAMLIT_SERVER_ADDRESS") or server.get("address", "")
    try:
        secrets = tomllib.loads((folder / "secrets.toml").read_text("utf-8"))
    except FileNotFoundError:
        secrets = {}
    except (OSError, ValueError):
        yield HealthCheck(
            "network", "wrong", "secrets.toml cannot be read, so nobody is let in.", "See docs/access.md."
        )
        return
    alone = address in ("127.0.0.1", "localhost", "::1")
    if not alone and "auth" not in secrets:
        said = f"The dashboard listens on {address or 'all addresses'}, and everyone there may do everything."
        mend = "Set server.address to 127.0.0.1, or have people sign in: docs/access.md."
        yield HealthCheck("network", "wrong", said, mend)
    if not server.get("enableXsrfProtection", True) or not server.get("enableCORS", True):
        mend = "Take enableXsrfProtection and enableCORS out of .streamlit/config.toml."
        yield HealthCheck("network", "wrong", "Other sites' pages may speak to the dashboard.", mend)
    if "auth" in secrets and not {"reader", "trainer", "admin"} & set(secrets.get("roles", {})):
        yield HealthCheck("network", "note", "People can sign in, but none has a role.", "See docs/access.md.")
    if alone:
        yield HealthCheck("network", "ok", "The dashboard is for this machine alone.")


def _film() -> Iterator[HealthCheck]:
    from cxr.films.film import Film

    pixels, png = _phantom()
    if (Film.read(png).pixels == pixels).all():
        yield HealthCheck("a film", "ok", "A drawn film is read as it was written.")
    else:
        yield HealthCheck("a film", "wrong", "A drawn film, written and read again, is another one.", _AGAIN)


def _phantom() -> tuple[object, bytes]:
    from PIL import Image

    from cxr.films.synthetic.phantom import draw_phantom

    pixels = draw_phantom("viral", seed=7).pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return pixels, file.getvalue()


def models() -> Iterator[HealthCheck]:
    """Every model on the shelf, its weights read through and compared with its card."""
    from cxr.registry import registry
    from cxr.registry.card import WEIGHTS
    from cxr.registry.weights_file import sha256

    listing = registry.list_models()
    broken = dict(listing.damaged)
    for card in listing.cards:
        if sha256(registry.model_folder(card.name) / WEIGHTS) != card.weights_sha256:
            broken[card.name] = f"The weights of '{card.name}' are not those of its card."
    for name, reason in broken.items():
        mend = f"Import it again, or take it off the shelf: python -m cxr models delete {name}"
        yield HealthCheck("models", "wrong", reason, mend)
    if not listing.cards and not broken:
        mend = "Train one: python -m cxr train RECIPE --data FOLDER, or import one on the page Models."
        yield HealthCheck("models", "note", "There is no model on the shelf yet.", mend)
    elif not broken:
        said = f"Whole: {', '.join(card.name for card in listing.cards)}. In use: {registry.default_name()}."
        yield HealthCheck("models", "ok", said)


def starting_weights() -> Iterator[HealthCheck]:
    """The files that a training starts from, opened and, where they have checksums, read to the end."""
    from cxr.registry.weights_file import load_arrays

    found = [path for folder in paths.weights_dirs() if folder.is_dir() for path in sorted(folder.glob("*_notop*"))]
    whole = []
    for path in found:
        try:
            if path.suffix == ".npz":
                load_arrays(path)
            else:
                _whole_h5(path)
            whole.append(path.name)
        except (CxrError, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, CxrError) else f"The weights file {path.name} is damaged."
            yield HealthCheck("starting weights", "wrong", reason, f"Delete {path} and fetch it again.")
    if not found:
        said = "No ImageNet weights lie here; the first training downloads them, where there is a network."
        mend = f"Without one, put vgg16_notop.weights.h5 into {paths.weights_dirs()[0]}."
        yield HealthCheck("starting weights", "note", said, mend)
    elif whole:
        yield HealthCheck("starting weights", "ok", f"Whole: {', '.join(whole)}.")


def _whole_h5(path: Path) -> None:
    """ValueError or OSError where the file is cut off: HDF5 compares its length with what it says of itself."""
    import h5py

    with h5py.File(path) as file:
        file.visititems(lambda _, item: item[()] is None if isinstance(item, h5py.Dataset) else None)


def tensorflow() -> Iterator[HealthCheck]:
    """Whether TensorFlow starts, and which devices it sees."""
    code = (
        "import json; from cxr.learning.device import find_device, import_tensorflow; tf = import_tensorflow();"
        "device = find_device(); print(json.dumps([tf.__version__, device.name, device.precision, device.why]))"
    )
    done = _apart("-c", code)
    if done is None:
        yield HealthCheck("TensorFlow", "wrong", f"TensorFlow did not start within {PATIENCE_S} s.", _AGAIN)
    elif done.returncode:
        yield HealthCheck("TensorFlow", "wrong", f"TensorFlow does not start: {_last_words(done)}", _AGAIN)
    else:
        found, device, precision, why = json.loads(done.stdout.splitlines()[-1])
        yield HealthCheck("TensorFlow", "ok", f"TensorFlow {found} works on {device} in {precision}, {why}.")
        if device.startswith("CPU") and (Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi")):
            mend = "pip install -r requirements-gpu.txt, and look whether nvidia-smi works."
            yield HealthCheck("TensorFlow", "note", "There is an NVIDIA GPU that TensorFlow does not see.", mend)


def engine() -> Iterator[HealthCheck]:
    """Which engine looks at a film that comes alone, where there is a choice."""
    from cxr.inference.engines import selection
    from cxr.learning.device import device_without_tensorflow
    from cxr.registry import registry

    name, installed, device = registry.default_name(), selection.openvino_version(), device_without_tensorflow()
    if name is None or not installed or device is None:
        return
    run = selection.cached_timing(selection.conditions_of(registry.get_recipe(name), device, installed))
    later = f"OpenVINO {installed} is installed. Whether it is sooner is measured after the dashboard's first reading."
    yield HealthCheck("engine", "ok", run.sentence() if run else later)


def reading() -> Iterator[HealthCheck]:
    """A drawn film, read by the model in use in a process of its own."""
    from cxr.registry import registry

    name = registry.default_name()
    if name is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "phantom.png"
        film.write_bytes(_phantom()[1])
        done = _apart("-m", "cxr", "predict", str(film), "--model", name, "--insist", "--json")
    if done is None or done.returncode:
        said = "it did not answer in time." if done is None else _last_words(done)
        yield HealthCheck("a reading", "wrong", f"'{name}', which is in use, cannot read a drawn film: {said}", _AGAIN)
        return
    said = json.loads(done.stdout)[0]
    if abs(sum(said["probabilities"].values()) - 1) > 0.01:
        yield HealthCheck(
            "a reading", "wrong", f"The probabilities of '{name}' do not add up to 1.", "Import it again."
        )
    else:
        ms = said["timing_ms"]["model"]
        yield HealthCheck("a reading", "ok", f"'{name}', which is in use, read a drawn film in {ms:.0f} ms.")


def _apart(*words: str) -> subprocess.CompletedProcess[str] | None:
    """What a Python process of its own said, without a line in the audit trail; None where it took too long."""
    environment = os.environ | {"CXR_TRAIL": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        return subprocess.run(
            [sys.executable, *words], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return None


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else f"it ended with code {done.returncode}."
