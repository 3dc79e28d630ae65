"""The sections of a recipe: every hyperparameter with its type, range, default and meaning.

The descriptions are what the page Train shows beside each field.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_SEED = 2**32 - 1  # the largest that NumPy accepts
MAX_UNITS = 2**14  # of a dense layer
MAX_DENSE = 8  # dense layers
MAX_NAMES = 1000  # classes, labels and views in a list
MAX_IMAGES = 10_000_000
MAX_STEPS = 100_000  # of an epoch
MAX_TEXT = 4000  # characters
MAX_LABEL = 500
Metric = Literal["val_loss", "val_accuracy", "val_auc"]


class RecipeSection(BaseModel):
    """The base of every section: frozen, no unknown keys, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False, defer_build=True)


class DataSettings(RecipeSection):
    """Which films and classes a model is trained on, and how they are split."""

    classes: tuple[str, ...] = Field(
        (), max_length=MAX_NAMES, description="Classes in their order; empty: the dataset's labels."
    )
    groups: dict[str, tuple[str, ...]] = Field(
        {"pneumonia": ("bacterial", "viral", "covid19")},
        max_length=MAX_NAMES,
        description="Broader labels and the classes each stands for; a group that is a class includes its members.",
    )
    leave_out: tuple[str, ...] = Field(
        ("other", "not-a-chest-xray"),
        max_length=MAX_NAMES,
        description="Labels that do not become classes on their own.",
    )
    exclude_views: tuple[str, ...] = Field(("L", "CT"), max_length=MAX_NAMES, description="Views to exclude.")
    validation: float = Field(0.15, ge=0.02, le=0.5, description="Fraction of training images used for validation.")
    test: float = Field(0.2, ge=0, le=0.5, description="Fraction held out for testing where no split is given.")
    draw: dict[str, int] = Field({}, max_length=MAX_NAMES, description="Images to sample per label; empty: all.")
    draw_test: int = Field(0, ge=0, le=MAX_IMAGES, description="Sampled images per label that go to the test set.")
    draw_seed: int = Field(0, ge=0, le=MAX_SEED, description="Random seed of the sample.")

    @field_validator("classes", "groups", "leave_out", "exclude_views", "draw")
    @classmethod
    def _names_and_counts_are_bounded(cls, values: Any) -> Any:
        members = [values] if isinstance(values, tuple) else [tuple(values)]
        if isinstance(values, dict):
            members += [value for value in values.values() if isinstance(value, tuple)]
            if any(isinstance(count, int) and not 0 <= count <= MAX_IMAGES for count in values.values()):
                raise ValueError(f"a label has 0 to {MAX_IMAGES} images")
        if any(len(names) > MAX_NAMES or any(len(name) > MAX_LABEL for name in names) for names in members):
            raise ValueError(f"at most {MAX_NAMES} names of {MAX_LABEL} characters")
        return values


class InputSettings(RecipeSection):
    """How an image is prepared for the network."""

    size_px: int = Field(224, ge=16, le=1024, description="Width and height of the network's input, in pixels.")
    scale: Literal["unit", "caffe", "torch", "half"] = Field(
        "caffe",
        description="unit: 0 to 1; caffe: 0 to 255 minus the ImageNet means, BGR order; torch: ImageNet mean and "
        "standard deviation; half: minus 0.5, divided by 0.25.",
    )
    equalize: float = Field(
        0.0, ge=0, le=1, description="Strength of histogram equalization of every image, inside the network; 0: none."
    )
    featurewise_center: bool = Field(False, description="Subtract the mean gray level of the training images.")
    featurewise_std: bool = Field(False, description="Divide by the standard deviation of the training images.")
    zca: bool = Field(False, description="ZCA whitening along the principal components of the training images.")
    zca_epsilon: float = Field(
        0.01,
        gt=0,
        le=1000,
        description="Variance added before ZCA whitening, as a fraction of the largest component's.",
    )


class BackboneSettings(RecipeSection):
    """The convolutional network below the head."""

    backbone: Literal["vgg16", "vgg19", "resnet50", "resnet18", "tiny"] = Field(
        "vgg16", description="Convolutional network that extracts the features."
    )
    weights: str = Field(
        "imagenet",
        max_length=4096,
        description="imagenet, none, shelf:NAME (the backbone of a stored model), or the path of a weights file.",
    )
    train: str = Field(
        "head",
        max_length=64,
        description="Layers to train: head, all, or every layer from a block on (block5, conv5 ...).",
    )


class HeadSettings(RecipeSection):
    """The layers that turn features into probabilities."""

    pool: Literal["flatten", "average", "max"] = Field("average", description="Pooling of the last feature maps.")
    dense: tuple[int, ...] = Field((), max_length=MAX_DENSE, description="Units of each hidden dense layer (ReLU).")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate before each dense layer but the first.")
    keep: bool = Field(
        False,
        description="Start with the head of the stored model too (shelf:NAME); it must have the same classes.",
    )
    l2: float = Field(0.0, ge=0, le=1, description="L2 regularization of the head's dense layers.")
    output: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="softmax: one unit per class; sigmoid: one unit for two classes."
    )

    @field_validator("dense")
    @classmethod
    def _layers_have_units(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= width <= MAX_UNITS for width in widths):
            raise ValueError(f"a dense layer has 1 to {MAX_UNITS} units")
        return widths


class OptimizerSettings(RecipeSection):
    """How the weights are updated."""

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = Field("adam", description="Algorithm that updates the weights.")
    rate: float = Field(1e-3, gt=0, le=10, description="Learning rate; with a schedule, its peak.")
    head_rate: float = Field(
        1.0, ge=0.01, le=1000, description="Learning rate of the head, as a multiple of the backbone's."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD and RMSprop.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay of AdamW.")
    schedule: Literal["constant", "step", "cosine"] = Field(
        "constant", description="How the learning rate changes over the epochs."
    )
    warmup_epochs: float = Field(0.0, ge=0, le=1000, description="Epochs of linear warmup before cosine decay.")
    step_epochs: int = Field(7, ge=1, le=1000, description="Step schedule: epochs between drops.")
    step_factor: float = Field(0.1, gt=0, lt=1, description="Step schedule: factor of each drop.")
    clip_norm: float = Field(0.0, ge=0, le=1e6, description="Maximum global norm of the gradient; 0: no clipping.")


class TrainingSettings(RecipeSection):
    """How long and on which batches a model is trained, and which epoch is used."""

    epochs: int = Field(20, ge=1, le=1000, description="Passes over the training images.")
    batch: int = Field(32, ge=1, le=1024, description="Images per training step.")
    steps_per_epoch: int = Field(0, ge=0, le=MAX_STEPS, description="Training steps per epoch; 0: every image once.")
    views: int = Field(
        0,
        ge=0,
        le=64,
        description="Augmented copies of each image, computed once and cached; 0: new ones every epoch.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="Probability moved from the label to other classes.")
    class_weights: Literal["none", "balanced", "by_source"] = Field(
        "none",
        description="balanced: every class counts the same; by_source: rare labels within each source, or dataset "
        "without sources, count more, so that the source predicts less about the class.",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, which is validated and saved; 0: off.",
    )
    best: Metric | Literal["last"] = Field("val_loss", description="Metric that selects the epoch to save.")
    early_stopping: Metric | Literal["off"] = Field(
        "off", description="Metric that must keep improving, or training stops."
    )
    patience: int = Field(5, ge=1, le=1000, description="Early stopping: epochs without improvement.")
    min_delta: float = Field(
        0.0, ge=0, le=1000, description="Early stopping: smallest change that counts as improvement."
    )
    stop_at_accuracy: float = Field(0.0, ge=0, le=1, description="Stop at this training accuracy; 0: never.")
    half: bool = Field(False, description="Save the weights as float16; the model is evaluated with them.")
    half_bits: int = Field(
        10,
        ge=3,
        le=10,
        description="With half: bits of each weight's fraction; fewer make smaller archives.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: the fastest that the hardware supports."
    )
    seed: int = Field(
        0, ge=0, le=MAX_SEED, description="Random seed of the split, initial weights, order and augmentation."
    )


class DecisionSettings(RecipeSection):
    """How threshold and indeterminate band are chosen on the validation set."""

    rule: Literal["youden", "sensitivity", "specificity"] = Field(
        "youden",
        description="youden: maximum sensitivity + specificity; sensitivity: the highest threshold that reaches the "
        "target sensitivity; specificity: the lowest that reaches the target specificity in every source.",
    )
    sensitivity: float = Field(0.95, gt=0, le=1, description="Target sensitivity of the rule sensitivity.")
    specificity: float = Field(0.9, gt=0, le=1, description="Target specificity of the rule specificity.")
    sure: float = Field(
        0.95,
        ge=0.5,
        lt=1,
        description="Target PPV and NPV outside the indeterminate band, on the validation set.",
    )


class AugmentationSettings(RecipeSection):
    """Random changes of the training images."""

    rotation_deg: float = Field(0.0, ge=0, le=180, description="Maximum rotation in either direction.")
    shift_x: float = Field(0.0, ge=0, le=0.5, description="Maximum horizontal shift, as a fraction of the width.")
    shift_y: float = Field(0.0, ge=0, le=0.5, description="Maximum vertical shift, as a fraction of the height.")
    shear_deg: float = Field(0.0, ge=0, le=45, description="Maximum shear angle.")
    zoom: float = Field(0.0, ge=0, le=0.9, description="Maximum zoom, in or out.")
    crop_area: float = Field(1.0, gt=0, le=1, description="Random resized crop: smallest fraction of the area.")
    crop_aspect: float = Field(1.0, ge=1, le=2, description="Random resized crop: largest change of aspect ratio.")
    flip_horizontal: bool = Field(False, description="Random left-right flip (moves the heart to the other side).")
    flip_vertical: bool = Field(False, description="Random top-bottom flip.")
    channel_shift: float = Field(0.0, ge=0, le=255, description="Maximum shift of all gray levels.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Maximum relative change of brightness.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Maximum relative change of contrast.")
    gamma: float = Field(0.0, ge=0, lt=1, description="Maximum change of gamma (log scale).")
    tone: float = Field(0.0, ge=0, le=2, description="Strength of random tone curves (log of their slopes).")
    equalise: float = Field(0.0, ge=0, le=1, description="Maximum strength of histogram equalization.")
    random_filter: float = Field(
        0.0, ge=0, le=1, description="Probability of a random filter, which changes texture and keeps shapes."
    )
    blur_px: float = Field(0.0, ge=0, le=5, description="Maximum radius of Gaussian blur.")
    sharpen: float = Field(0.0, ge=0, le=3, description="Maximum strength of unsharp masking, as scanners apply it.")
    coarsen: float = Field(0.0, ge=0, le=0.9, description="Maximum loss of resolution, as a fraction.")
    noise: float = Field(0.0, ge=0, le=64, description="Maximum standard deviation of noise, in gray levels.")
    hide: float = Field(0.0, ge=0, le=0.5, description="Random erasing: maximum side of the box, as a fraction.")
    border: float = Field(0.0, ge=0, le=0.3, description="Maximum width of masked edges, as a fraction of the image.")
    corners: float = Field(0.0, ge=0, le=0.5, description="Maximum side of boxes over the corners, as a fraction.")
    fill: Literal["constant", "nearest"] = Field("constant", description="What fills areas outside the image.")

    @property
    def active(self) -> bool:
        """Whether anything is changed at random."""
        return self.model_copy(update={"fill": "constant"}) != AugmentationSettings()
