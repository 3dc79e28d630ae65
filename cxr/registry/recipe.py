"""A recipe: every choice that makes a model from films, validated, frozen, read from and written to TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cxr.core.errors import RecipeError

BUILT_IN = Path(__file__).parent / "recipes"
Metric = Literal["val_loss", "val_accuracy", "val_auc"]


class RecipeSection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False, defer_build=True)


class DataSettings(RecipeSection):
    classes: tuple[str, ...] = Field((), description="Classes in their order; empty: the labels of the dataset.")
    groups: dict[str, tuple[str, ...]] = Field(
        {"pneumonia": ("bacterial", "viral", "covid19")},
        description="Coarser labels and the classes they may be; a group that is a class takes its members' films.",
    )
    leave_out: tuple[str, ...] = Field(
        ("other", "not-a-chest-xray"), description="Labels that never become a class by themselves."
    )
    exclude_views: tuple[str, ...] = Field(("L", "CT"), description="Views that take no part.")
    validation: float = Field(0.15, ge=0.02, le=0.5, description="Share of training films kept for validation.")
    test: float = Field(0.2, ge=0, le=0.5, description="Share kept for test of films that have no split of their own.")
    draw: dict[str, int] = Field({}, description="Films of each label to draw; empty: take all.")
    draw_test: int = Field(0, ge=0, description="How many of the drawn films of each label are for test.")
    draw_seed: int = Field(0, ge=0, description="Which draw.")


class InputSettings(RecipeSection):
    size_px: int = Field(224, ge=16, le=1024, description="Side of the square that a film is brought to.")
    scale: Literal["unit", "caffe", "torch", "half"] = Field(
        "caffe",
        description="unit: 0..1; caffe: 0..255 less the ImageNet means, blue first; torch: ImageNet mean and "
        "deviation; half: less 0.5, over 0.25.",
    )
    featurewise_center: bool = Field(False, description="Take off the training films' mean grey.")
    featurewise_std: bool = Field(False, description="Divide by the training films' deviation.")
    zca: bool = Field(False, description="Whiten along the training films' principal components.")
    zca_epsilon: float = Field(
        0.01, gt=0, description="Variance added before whitening, as a share of the strongest component's."
    )


class BackboneSettings(RecipeSection):
    backbone: Literal["vgg16", "vgg19", "resnet50", "resnet18", "tiny"] = Field(
        "vgg16", description="The convolutional network below the head."
    )
    weights: str = Field(
        "imagenet", description="imagenet, none, shelf:NAME (a model's trunk), or the path of a weights file."
    )
    train: str = Field("head", description="What is trained: head, all, or from a block on (block5, conv5 ...).")


class HeadSettings(RecipeSection):
    pool: Literal["flatten", "average", "max"] = Field("average", description="From maps to a vector.")
    dense: tuple[int, ...] = Field((), description="Widths of hidden layers (relu).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of units dropped before each dense layer but the first.")
    keep: bool = Field(
        False,
        description="Go on from the head too, of a model of the same classes that the trunk starts from (shelf:NAME).",
    )
    l2: float = Field(0.0, ge=0, le=1, description="Weight penalty on the head's dense layers.")
    output: Literal["softmax", "sigmoid"] = Field("softmax", description="sigmoid: one unit, two classes.")


class OptimizerSettings(RecipeSection):
    name: Literal["adam", "adamw", "sgd", "rmsprop"] = Field("adam", description="The update rule.")
    rate: float = Field(1e-3, gt=0, le=10, description="Learning rate (the peak, where there is a schedule).")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd and rmsprop.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay of adamw.")
    schedule: Literal["constant", "step", "cosine"] = Field("constant", description="How the rate changes.")
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs of linear rise before a cosine.")
    step_epochs: int = Field(7, ge=1, description="step: epochs between drops.")
    step_factor: float = Field(0.1, gt=0, lt=1, description="step: what the rate is multiplied by.")
    clip_norm: float = Field(0.0, ge=0, description="Largest norm of the whole gradient; 0: not clipped.")


class TrainingSettings(RecipeSection):
    epochs: int = Field(20, ge=1, le=1000, description="Passes over the training films.")
    batch: int = Field(32, ge=1, le=1024, description="Films a step.")
    steps_per_epoch: int = Field(0, ge=0, description="Steps an epoch; 0: every film once.")
    views: int = Field(
        0,
        ge=0,
        le=64,
        description="Augmented views of each film that are computed once and kept; 0: fresh ones every epoch.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="Share of certainty taken from the labels.")
    class_weights: Literal["none", "balanced", "by_source"] = Field(
        "none",
        description="balanced: every class counts the same; by_source: rare labels of each source count more, so that "
        "a source says less about the class.",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Judge and keep a running average of the weights, with this share of the old; 0: not.",
    )
    best: Metric | Literal["last"] = Field("val_loss", description="Which epoch's weights are kept.")
    early_stopping: Metric | Literal["off"] = Field("off", description="Stop when this no longer improves.")
    patience: int = Field(5, ge=1, description="Epochs without improvement before stopping.")
    min_delta: float = Field(0.0, ge=0, description="Smallest change that counts as improvement.")
    stop_at_accuracy: float = Field(0.0, ge=0, le=1, description="Stop at this training accuracy; 0: never.")
    half: bool = Field(False, description="Round the weights to half precision before judging: half the file.")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: what the hardware favours.")
    seed: int = Field(0, ge=0, description="Of the split, the first weights, the order and the augmentation.")


class DecisionSettings(RecipeSection):
    rule: Literal["youden", "sensitivity"] = Field(
        "youden",
        description="How the threshold is chosen on validation films: the largest sensitivity + specificity, or the "
        "highest that keeps a sensitivity.",
    )
    sensitivity: float = Field(0.95, gt=0, le=1, description="The sensitivity that the second rule keeps.")
    sure: float = Field(
        0.95,
        ge=0.5,
        lt=1,
        description="Share of right answers, on validation films, on either side of the unsure band.",
    )


class AugmentationSettings(RecipeSection):
    rotation_deg: float = Field(0.0, ge=0, le=180, description="Largest turn to either side.")
    shift_x: float = Field(0.0, ge=0, le=0.5, description="Largest shift sideways, as a share of the width.")
    shift_y: float = Field(0.0, ge=0, le=0.5, description="Largest shift up or down, as a share of the height.")
    shear_deg: float = Field(0.0, ge=0, le=45, description="Largest shear angle.")
    zoom: float = Field(0.0, ge=0, le=0.9, description="Largest change of size, in or out.")
    crop_area: float = Field(1.0, gt=0, le=1, description="Random resized crop: smallest share of the film kept.")
    crop_aspect: float = Field(1.0, ge=1, le=2, description="Random resized crop: largest stretch of the aspect.")
    flip_horizontal: bool = Field(False, description="Mirror left and right (moves the heart).")
    flip_vertical: bool = Field(False, description="Turn upside down.")
    channel_shift: float = Field(0.0, ge=0, le=255, description="Largest grey levels added or taken off.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Largest relative change of brightness.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest relative change of contrast.")
    gamma: float = Field(0.0, ge=0, lt=1, description="Largest change of the grey curve's exponent (log scale).")
    tone: float = Field(0.0, ge=0, le=2, description="How far a random rising grey curve strays (log of its slopes).")
    equalise: float = Field(0.0, ge=0, le=1, description="Largest share of the film with its histogram made even.")
    blur_px: float = Field(0.0, ge=0, le=5, description="Largest Gaussian blur radius.")
    sharpen: float = Field(0.0, ge=0, le=3, description="Largest multiple of fine detail added, as scanners do.")
    coarsen: float = Field(0.0, ge=0, le=0.9, description="Largest loss of resolution, as a share of the film's.")
    noise: float = Field(0.0, ge=0, le=64, description="Largest deviation of grain, in grey levels.")
    hide: float = Field(0.0, ge=0, le=0.5, description="Largest side of one blacked-out box, as a share of the film.")
    border: float = Field(0.0, ge=0, le=0.3, description="Widest strip hidden at each edge, as a share of the film.")
    corners: float = Field(0.0, ge=0, le=0.5, description="Largest side of boxes over the corners, as a share.")
    fill: Literal["constant", "nearest"] = Field("constant", description="What comes in from outside the film.")

    @property
    def active(self) -> bool:
        return self.model_copy(update={"fill": "constant"}) != AugmentationSettings()


class Recipe(RecipeSection):
    name: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="The recipe's name.")
    about: str = Field("", description="What it is, in a sentence.")
    origin: str = Field("", description="Where it comes from.")
    published: str = Field("", description="What was reported for it.")
    data: DataSettings = DataSettings()
    input: InputSettings = InputSettings()
    trunk: BackboneSettings = BackboneSettings()
    head: HeadSettings = HeadSettings()
    optimiser: OptimizerSettings = OptimizerSettings()
    training: TrainingSettings = TrainingSettings()
    decision: DecisionSettings = DecisionSettings()
    augmentation: AugmentationSettings = AugmentationSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.head.output == "sigmoid" and self.data.classes and len(self.data.classes) != 2:
            raise ValueError("head.output = sigmoid is for two classes; use softmax")
        if self.trunk.train == "all" and self.training.views:
            raise ValueError("training.views needs a frozen trunk; with trunk.train = all set it to 0")
        if self.head.keep and not self.trunk.weights.startswith("shelf:"):
            raise ValueError("head.keep needs a model to start from: trunk.weights = shelf:NAME")
        if self.optimiser.warmup_epochs and self.optimiser.schedule != "cosine":
            raise ValueError("optimiser.warmup_epochs goes with optimiser.schedule = cosine")
        if self.data.draw and min(self.data.draw.values()) <= self.data.draw_test:
            raise ValueError("data.draw must leave films for training beyond data.draw_test")
        return self

    @classmethod
    def read(cls, name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
        """The built-in recipe of that name, or the TOML file, with `section.key=value` overrides applied."""
        path = Path(name_or_path)
        if path.suffix != ".toml":
            path = BUILT_IN / f"{name_or_path}.toml"
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError:
            known = ", ".join(built_in_names())
            raise RecipeError(f"There is no recipe '{name_or_path}'. Known: {known}; or a .toml file.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"The recipe {path.name} is not valid TOML: {error}") from error
        table.setdefault("name", path.stem)
        for override in overrides:
            _override(table, override)
        return cls.from_table(table)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Recipe:
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise RecipeError(_sentence(error)) from error

    def with_absolute_weights(self) -> Recipe:
        """The same recipe for a process that starts in another folder."""
        path = Path(self.trunk.weights)
        if self.trunk.weights in ("imagenet", "none") or self.trunk.weights.startswith("shelf:"):
            return self
        if not path.exists():
            raise RecipeError(f"trunk.weights: '{path}' is neither imagenet, none, shelf:NAME nor a file.")
        return self.model_copy(update={"trunk": self.trunk.model_copy(update={"weights": str(path.resolve())})})

    def with_overrides(self, overrides: Iterable[str]) -> Recipe:
        """The same recipe with `section.key=value` overrides applied."""
        table = self.model_dump(mode="json")
        for override in overrides:
            _override(table, override)
        return Recipe.from_table(table)

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        try:
            return cls.from_table(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The recipe is not valid TOML: {error}") from error

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))


def built_in_names() -> list[str]:
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not last:
        raise RecipeError(f"'{override}' is not an override; write section.key=value, as in head.dropout=0.4.")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"'{override}': {section} is a value, not a section.")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text.strip()  # a bare word, as in trunk.weights=none


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key '{key}'")
        elif key:
            parts.append(f"{key}: {problem['msg'].lower()} (got {problem['input']!r})")
        else:
            parts.append(problem["msg"].removeprefix("Value error, "))
    return "The recipe does not hold: " + "; ".join(parts) + "."
