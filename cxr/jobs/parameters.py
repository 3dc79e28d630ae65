"""The kinds of jobs and the parameters of each, which job.json holds.

A new kind has a member of `JobKind`, a class of parameters here, which is one of `Parameters`, and a line in `kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from cxr.registry.study_record import StudyRecord

Precision = Literal["auto", "int8"]  # of a reading: the model's own, or that of its int8 engine


class JobKind(StrEnum):
    """The kinds of work that outlive the page and the terminal that started them."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    AUDIT = "audit"
    READ = "read"
    CROSSVAL = "crossval"
    FIT = "fit"
    RANK = "rank"
    SWEEP = "sweep"
    QUANTIZE = "quantize"
    LEARNING_CURVE = "learning-curve"
    MAP = "map"
    LOOK_ALIKES = "look-alikes"

    @property
    def only_reads(self) -> bool:
        """Whether such a job trains no network, so that it runs beside one that does."""
        return self not in (JobKind.TRAIN, JobKind.CROSSVAL, JobKind.SWEEP)


@dataclass(frozen=True)
class TrainParameters:
    """A training; the inputs are its datasets."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.TRAIN

    recipe_toml: str
    model: str | None = None  # the model's name in the registry; None: the model is not stored
    fold: tuple[int, int] | None = None  # in a cross-validation: index of the fold, number of folds
    left_out: str | None = None  # the source that is tested on and not trained on
    study: StudyRecord | None = None  # whose trial is stored as a model; None: the settings are a person's
    review: str = ""  # the label review after which the recipe of `before` is trained again, and compared with it
    before: str = ""  # a model in the registry


@dataclass(frozen=True)
class EvaluateParameters:
    """An evaluation of a stored model; the inputs are the datasets."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.EVALUATE

    model: str
    version: str
    split: str | None = None
    title: str = ""  # the name of the X-rays, under which the evaluation is stored; by default, that of the datasets


@dataclass(frozen=True)
class AuditParameters:
    """An audit of a stored model for shortcuts; the inputs are the datasets."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.AUDIT

    model: str
    version: str


@dataclass(frozen=True)
class ReadParameters:
    """The reading of an archive by a stored model; the input is a folder, a ZIP, a manifest or a list of files."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.READ

    model: str
    version: str
    out: str = ""  # the folder of the readings; by default, one in the run's own folder
    heatmaps: bool = False
    paths: bool = True  # whether the readings have the paths of the files
    part_rows: int = 500  # files of a part, which is what is done again after a kill
    precision: Precision = "auto"


@dataclass(frozen=True)
class CrossvalParameters:
    """A cross-validation of a recipe; the inputs are its datasets. No model is stored."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.CROSSVAL
    model: ClassVar[None] = None

    recipe_toml: str
    folds: int = 5
    leave_out: Literal["", "source"] = ""  # "source": each source is left out in turn, instead of folds of patients


@dataclass(frozen=True)
class SweepParameters:
    """A study: a search for hyperparameters of a recipe; the inputs are its datasets."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.SWEEP

    recipe_toml: str
    space_toml: str
    trials: int
    model: str | None = None  # the name of the best trial's model in the registry; None: it is not stored
    metric: Literal["val_auc", "val_loss", "val_accuracy"] = "val_auc"
    seed: int = 0
    preset: str = ""  # the name of the preset that the space is from


@dataclass(frozen=True)
class FitParameters:
    """The fit of a stored model to one hospital; the inputs are the hospital's datasets."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.FIT

    model: str
    version: str
    new: str | None = None  # the name of the fitted model; None: the fit is only measured
    target: Literal["specificity", "sensitivity"] = "specificity"  # which the threshold is to reach
    value: float = 0.9
    width: float = 0.1  # of the wanted intervals
    coverage: float = 0.9  # of prediction sets


@dataclass(frozen=True)
class FeatureParameters:
    """What jobs share that train small classifiers on features of X-rays."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    features: str = "imagenet"  # or a stored model, whose backbone gives the features
    version: str = ""  # of that model

    @property
    def model(self) -> str | None:
        """The stored model that is used; None for ImageNet's backbone."""
        return self.features if self.version else None


@dataclass(frozen=True)
class RankParameters(FeatureParameters):
    """A ranking of a dataset's labels; the inputs are the dataset, and others that help to train the heads."""

    kind: ClassVar[JobKind] = JobKind.RANK

    suspects: int = 0  # of a review that starts with the ranking; 0: none starts
    controls: int = 0
    scores: str = ""  # the ID of a cross-validation whose scores are taken, without features


@dataclass(frozen=True)
class QuantizeParameters:
    """The making of a stored model's int8 engine; the inputs are the datasets of the model's training."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.QUANTIZE

    model: str
    version: str
    films: int = 300  # training X-rays that the ranges are measured on


@dataclass(frozen=True)
class LearningCurveParameters(FeatureParameters):
    """A learning curve of small classifiers; the inputs are the datasets."""

    kind: ClassVar[JobKind] = JobKind.LEARNING_CURVE


@dataclass(frozen=True)
class MapParameters(FeatureParameters):
    """A map of X-rays; the inputs are their datasets."""

    kind: ClassVar[JobKind] = JobKind.MAP

    method: Literal["pca", "tsne"] = "pca"
    most: int = 2000  # X-rays, drawn at random from more


@dataclass(frozen=True)
class LookAlikesParameters:
    """The making of the index of a stored model's training X-rays; the inputs are the datasets that they are in."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind] = JobKind.LOOK_ALIKES

    model: str
    version: str


Parameters = (
    TrainParameters
    | EvaluateParameters
    | AuditParameters
    | ReadParameters
    | CrossvalParameters
    | SweepParameters
    | FitParameters
    | RankParameters
    | QuantizeParameters
    | LearningCurveParameters
    | MapParameters
    | LookAlikesParameters
)
PARAMETERS: Mapping[JobKind, Any] = MappingProxyType({one.kind: one for one in get_args(Parameters)})
