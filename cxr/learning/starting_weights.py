"""The weights that a training starts from: ImageNet's, those of a file, or those of a stored model.

A stored model is verified before it is used. An HDF5 file can contain links and refer to other files, so it is read
only if it contains nothing but numeric arrays.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from cxr.core.bounded_files import is_regular
from cxr.core.errors import RecipeError, RegistryError
from cxr.core.paths import weights_dirs
from cxr.registry.recipe import Recipe
from cxr.registry.verification import load_verified
from cxr.registry.weights_file import Arrays, arrays_of, check_finite, load_arrays

STORED_MODEL = "shelf:"  # before the name of a stored model, in trunk.weights
MAX_BYTES = 4_000_000_000  # in an HDF5 file
MAX_MEMBERS = 100_000
_APPLICATIONS = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50"}  # whose weights Keras publishes


def load_starting_weights(model: Any, recipe: Recipe) -> str:
    """Set the weights in the backbone, and in the head if it is kept; return a description of where they are from."""
    source = recipe.trunk.weights
    if source == "none":
        return "random"
    if source == "imagenet":
        return _start_from_imagenet(model, recipe)
    if source.startswith(STORED_MODEL):
        return _start_from_stored_model(model, recipe, source.removeprefix(STORED_MODEL))
    path = Path(source)
    if not is_regular(path):
        raise RecipeError(
            f"trunk.weights: '{source}' is not imagenet, none, shelf:NAME or an existing file.", code="no-weights"
        )
    _start_from_file(model, recipe, path)
    return f"file {path.name}"


def _start_from_stored_model(model: Any, recipe: Recipe, name: str) -> str:
    try:
        arrays = load_verified(name).arrays
    except RegistryError as error:
        if error.code != "registry.not-found":
            raise
        raise RecipeError(f"There is no model '{name}' to start from.", code="no-weights") from error
    _copy_backbone(model, arrays, f"model {name}")
    if not recipe.head.keep:
        return f"model {name}"
    _copy(_head(model), arrays, f"model {name}")
    return f"model {name}, including its head"


def _start_from_imagenet(model: Any, recipe: Recipe) -> str:
    backbone = recipe.trunk.backbone
    for folder in weights_dirs():
        for ending in (".weights.h5", ".npz"):
            path = folder / f"{backbone}_notop{ending}"
            if is_regular(path):
                _start_from_file(model, recipe, path)
                return f"ImageNet ({path.name})"
    import keras

    application = _APPLICATIONS.get(backbone)
    if application is None:
        raise RecipeError(
            f"Keras does not publish ImageNet weights of {backbone}. Put {backbone}_notop.npz into weights/, or set "
            "trunk.weights to a file or to none.",
            code="no-weights",
        )
    try:
        source = getattr(keras.applications, application)(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise RecipeError(
            f"The ImageNet weights of {backbone} could not be downloaded. Put {backbone}_notop.weights.h5 into "
            "weights/, or set trunk.weights to a stored model (shelf:NAME) or to none.",
            code="no-weights",
        ) from error
    _copy_backbone(model, arrays_of(source.weights), "ImageNet")
    return "ImageNet (keras.applications)"


def _start_from_file(model: Any, recipe: Recipe, path: Path) -> None:
    if path.suffix == ".npz":
        _copy_backbone(model, load_arrays(path), path.name)
        return
    application = _APPLICATIONS.get(recipe.trunk.backbone)
    if application is None:
        raise RecipeError(
            f"Weights of {recipe.trunk.backbone} are read from .npz files, not from {path.name}.", code="weights-file"
        )
    if not has_only_numeric_arrays(path):
        raise RecipeError(
            f"The weights file {path.name} may contain only numeric arrays: no links, and no data in other files.",
            code="weights-file",
        )
    import keras

    source = getattr(keras.applications, application)(weights=None, include_top=False)
    try:
        source.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RecipeError(
            f"The weights file {path.name} does not fit {recipe.trunk.backbone}.", code="weights-file"
        ) from error
    _copy_backbone(model, arrays_of(source.weights), path.name)


def _copy_backbone(model: Any, arrays: Arrays, source: str) -> None:
    """Copy by name into every layer below the head except the whitening, which is fitted on each training's films."""
    backbone = model.layers[: model.layers.index(model.get_layer("pooled"))]
    _copy([layer for layer in backbone if layer.name != "whitening"], arrays, source)


def _head(model: Any) -> list[Any]:
    return list(model.layers[model.layers.index(model.get_layer("pooled")) :])


def _copy(layers: list[Any], arrays: Arrays, source: str) -> None:
    for layer in layers:
        for variable in layer.weights:
            array = arrays.get(variable.path)
            if array is None or array.shape != tuple(variable.shape):
                raise RecipeError(
                    f"The weights of {source} do not fit: '{variable.path}' is missing or has another shape.",
                    code="weights-do-not-fit",
                )
            check_finite({variable.path: array})
            variable.assign(array.astype(variable.dtype))


def has_only_numeric_arrays(path: Path) -> bool:
    """Whether an HDF5 file contains only groups and numeric arrays of its own, within the size limit.

    A file that cannot be opened is harmless; reading it raises the error.
    """
    import h5py  # late: only weights that Keras published come in such files

    try:
        with h5py.File(path, "r") as file:
            return _is_plain(file, h5py)
    except OSError:
        return True


def _is_plain(file: Any, h5py: Any) -> bool:
    groups, members, size = [file], 0, 0
    while groups:
        group = groups.pop()
        for name in group:
            members += 1
            if members > MAX_MEMBERS or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                return False
            member = group[name]
            if isinstance(member, h5py.Group):
                groups.append(member)
                continue
            if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
                return False
            size += math.prod(member.shape or ()) * member.dtype.itemsize
            if member.dtype.kind not in "biuf" or size > MAX_BYTES:
                return False
    return True
