"""Weights as plain arrays by name: starting a network from them, and keeping them in a file without code."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.atomic_files import atomic_path
from cxr.core.errors import CxrError, RecipeError
from cxr.core.paths import models_dir, weights_dirs
from cxr.registry.hdf5_check import holds_numbers_alone
from cxr.registry.recipe import Recipe

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]

MOST_BYTES = 4_000_000_000  # of a file's arrays together; a checkpoint of VGG19 with its optimiser has 1.7
LARGE = 2**12  # elements, from which an array is worth halving
_APPLICATIONS = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50"}  # that Keras has weights of


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write the arrays to `path` in one step: it is whole or absent, whatever happens meanwhile."""
    with atomic_path(path, durable=True) as partial, partial.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # the stub mistakes arrays for its one option


def load_arrays(path: Path, wanted: Shapes | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of a file; only numbers are read, never objects, and none before all that it announces was checked."""
    try:
        with zipfile.ZipFile(path) as members:
            announced = _announced(members)
            if wanted is not None:
                _must_fit(wanted, announced)
            return {name: _numbers(members, f"{name}.npy") for name in announced}
    except FileNotFoundError:
        raise CxrError(f"The weights file {path.name} is not there.") from None
    except CxrError:
        raise
    except Exception as error:  # a damaged ZIP, zlib stream or array header raises nearly anything
        raise CxrError(f"The weights file {path.name} is damaged or no weights file.") from error


def _announced(members: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays as their headers have them; ValueError for no numbers, or more than the file says."""
    if sum(info.file_size for info in members.infolist()) > MOST_BYTES:
        raise ValueError("it unpacks to more than any network has")
    shapes = {}
    for info in members.infolist():
        with members.open(info) as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, kind = read_header(file)
            size = file.tell() + math.prod(shape) * kind.itemsize
        if kind.kind not in "biuf" or min(shape, default=0) < 0 or size != info.file_size:
            raise ValueError(f"{info.filename} holds {kind} of {shape}, not numbers")
        shapes[info.filename.removesuffix(".npy")] = shape
    return shapes


def _numbers(members: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with members.open(name) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the checksum is compared
    return array


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def arrays_of(variables: Any) -> dict[str, NDArray[Any]]:
    """Values of Keras variables by their path."""
    return {variable.path: np.asarray(variable) for variable in variables}


def round_to_half(variables: Any) -> None:
    """Round large variables to what half precision can hold; small ones, as the head's, stay as they are."""
    for variable in variables:
        array = np.asarray(variable)
        if array.size >= LARGE:
            variable.assign(array.astype(np.float16).astype(array.dtype))


def halved(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays, the large ones in half precision where that loses nothing."""
    return {name: _half(array) if array.size >= LARGE else array for name, array in arrays.items()}


def _half(array: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array


def assign(variables: Any, arrays: Arrays) -> None:
    """Set each variable from the array of its path; names and shapes must fit exactly."""
    _must_fit(shapes_of(variables), {name: array.shape for name, array in arrays.items()})
    for variable in variables:
        variable.assign(arrays[variable.path].astype(variable.dtype))


def shapes_of(variables: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of Keras variables by their path."""
    return {variable.path: tuple(variable.shape) for variable in variables}


def _must_fit(wanted: Shapes, given: Shapes) -> None:
    if dict(wanted) != dict(given):
        odd = sorted(set(wanted.items()) ^ set(given.items()))[0][0]
        raise CxrError(f"The weights do not fit this network: '{odd}' is missing, extra, or of another shape.")


def load_starting_weights(model: Any, recipe: Recipe) -> str:
    """Set the starting weights of the trunk, and of the head if it is kept; in words, where they came from."""
    source = recipe.trunk.weights
    if source == "none":
        return "random"
    if source == "imagenet":
        return _start_from_imagenet(model, recipe)
    if source.startswith("shelf:"):
        name = source.removeprefix("shelf:")
        path = models_dir() / name / "weights.npz"
        if Path(name).name != name or name == ".." or not path.exists():
            raise RecipeError(f"There is no model '{name}' on the shelf to start from.")
        arrays = load_arrays(path)
        _copy_trunk(model, arrays, f"model {name}")
        if not recipe.head.keep:
            return f"model {name}"
        _copy(_head(model), arrays, f"model {name}")
        return f"model {name}, its head too"
    path = Path(source)
    if not path.exists():
        raise RecipeError(f"trunk.weights: '{source}' is neither imagenet, none, shelf:NAME nor a file.")
    _start_from_file(model, recipe, path)
    return f"file {path.name}"


def _start_from_imagenet(model: Any, recipe: Recipe) -> str:
    backbone = recipe.trunk.backbone
    for folder in weights_dirs():
        for ending in (".weights.h5", ".npz"):
            path = folder / f"{backbone}_notop{ending}"
            if path.exists():
                _start_from_file(model, recipe, path)
                return f"ImageNet ({path.name})"
    import keras

    application = _APPLICATIONS.get(backbone)
    if application is None:
        raise RecipeError(
            f"ImageNet weights of {backbone} cannot be downloaded through Keras: put {backbone}_notop.npz into "
            "weights/, or start from a file or from none."
        )
    try:
        source = getattr(keras.applications, application)(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise RecipeError(
            f"The ImageNet weights of {backbone} could not be downloaded. Put {backbone}_notop.weights.h5 into "
            "weights/, or start from a model on the shelf, or from none."
        ) from error
    _copy_trunk(model, arrays_of(source.weights), "ImageNet")
    return "ImageNet (keras.applications)"


def _start_from_file(model: Any, recipe: Recipe, path: Path) -> None:
    if path.suffix == ".npz":
        _copy_trunk(model, load_arrays(path), path.name)
        return
    import keras

    application = _APPLICATIONS.get(recipe.trunk.backbone)
    if application is None:
        raise RecipeError(f"Weights of {recipe.trunk.backbone} are read from .npz files, not from {path.name}.")
    if not holds_numbers_alone(path):
        raise RecipeError(f"The weights file {path.name} must hold numbers alone: no links, nothing from other files.")
    source = getattr(keras.applications, application)(weights=None, include_top=False)
    try:
        source.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RecipeError(f"The weights file {path.name} does not fit {recipe.trunk.backbone}.") from error
    _copy_trunk(model, arrays_of(source.weights), path.name)


def _copy_trunk(model: Any, arrays: Arrays, source: str) -> None:
    """Copy by name into every layer below the head; a trunk that finds nothing of its own is an error."""
    trunk = model.layers[: model.layers.index(model.get_layer("pooled"))]
    _copy([layer for layer in trunk if layer.name != "whitening"], arrays, source)  # fitted on each training's films


def _head(model: Any) -> list[Any]:
    return model.layers[model.layers.index(model.get_layer("pooled")) :]


def _copy(layers: list[Any], arrays: Arrays, source: str) -> None:
    for layer in layers:
        for variable in layer.weights:
            array = arrays.get(variable.path)
            if array is None or array.shape != tuple(variable.shape):
                raise RecipeError(f"The weights of {source} do not fit: no '{variable.path}' of that shape.")
            variable.assign(array.astype(variable.dtype))
