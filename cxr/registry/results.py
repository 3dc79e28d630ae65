"""A model's results on its validation and test films as its card stores them: typed and checked.

The keys of the JSON are those of version 0.1. A metric that the films could not yield is null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

ROUNDING = 1e-6  # by which sums of floating-point numbers may leave their range

Count = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING)]
Ratio = Share | None
ClassRatios = dict[str, Ratio]

OVERALL_METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "mcc", "macro_auc", "micro_auc", "brier", "ece")
CLASS_METRICS = ("auc", "average_precision", "recall", "precision", "f1")
BINARY_METRICS = (
    "accuracy",
    "sensitivity",
    "specificity",
    "auc",
    "ppv",
    "npv",
    "f1",
    "lr_positive",
    "lr_negative",
    "average_precision",
    "brier",
    "ece",
    "calibration_bias",
    "indeterminate",
)


class ResultSection(BaseModel):
    """The base of every part of stored results: frozen, no unknown keys, no number that is not finite.

    Fields that are `unwritten` are left out of the JSON while they have their default, so that results without them are
    written as earlier versions wrote them.
    """

    unwritten: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        fields = type(self).model_fields
        left_out = {name for name in self.unwritten if getattr(self, name) == fields[name].get_default()}
        keys = left_out | {alias for name in left_out if (alias := fields[name].alias)}
        return {key: value for key, value in table.items() if key not in keys}


class MetricInterval(ResultSection):
    """A metric with its 95% confidence interval; null if it is not known."""

    value: float | None
    low: float | None
    high: float | None


class BinaryResults(ResultSection):
    """Metrics of all other classes together against the negative class, at the threshold."""

    unwritten = ("calibration_bias", "indeterminate")

    n: Count
    accuracy: Ratio
    sensitivity: Ratio
    specificity: Ratio
    auc: Ratio
    ppv: Ratio = None
    npv: Ratio = None
    f1: Ratio = None
    lr_positive: Annotated[float, Field(ge=0)] | None = None
    lr_negative: Annotated[float, Field(ge=0)] | None = None
    average_precision: Ratio = None
    brier: Ratio = None
    ece: Ratio = None
    calibration_bias: Annotated[float, Field(ge=-1 - ROUNDING, le=1 + ROUNDING)] | None = None
    indeterminate: Ratio = None


class SubgroupResult(ResultSection):
    """Metrics of one subgroup of the films."""

    unwritten = ("ppv", "npv", "ece", "calibration_bias", "indeterminate")

    name: str
    n: Count
    patients: Count
    positive: Count | None = None  # films with the finding; null if there is no negative class
    negative: Count | None = None
    accuracy: MetricInterval | None = None
    auc: MetricInterval | None = Field(None, alias="binary.auc")
    sensitivity: MetricInterval | None = Field(None, alias="binary.sensitivity")
    specificity: MetricInterval | None = Field(None, alias="binary.specificity")
    ppv: MetricInterval | None = Field(None, alias="binary.ppv")
    npv: MetricInterval | None = Field(None, alias="binary.npv")
    ece: MetricInterval | None = Field(None, alias="binary.ece")
    calibration_bias: MetricInterval | None = Field(None, alias="binary.calibration_bias")
    indeterminate: MetricInterval | None = Field(None, alias="binary.indeterminate")


SUBGROUP_KEYS = frozenset(field.alias or name for name, field in SubgroupResult.model_fields.items())


class SubgroupResults(ResultSection):
    """Metrics of the subgroups that one column makes, and the worst of them."""

    unwritten = ("compared",)

    column: str
    metric: str = Field(alias="figure")  # by which the worst subgroup is named
    groups: tuple[SubgroupResult, ...]
    worst: str  # "" if none can be named
    gap: MetricInterval  # the metric of the worst minus that of all other films
    sentence: str
    compared: Count = 0  # subgroups for whose choice the gap is corrected; 0 if it is not, as before version 0.3


class EvaluationResults(ResultSection):
    """Results on the films of one role."""

    unwritten = ("groups", "patients")

    n: Annotated[int, Field(ge=1, le=10**12)]
    classes: tuple[str, ...]
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    accuracy: Ratio
    macro_f1: Ratio
    auc: ClassRatios  # one-vs-rest
    confusion: tuple[tuple[Count, ...], ...]  # rows: reference, columns: predicted
    recall: ClassRatios
    negative: str  # the class that means no finding; "" if there is none
    binary: BinaryResults | None
    left_out: Count = 0  # films whose label the model does not know
    patients: Count | None = None  # null on cards before version 0.3
    balanced_accuracy: Ratio = None
    mcc: Annotated[float, Field(ge=-1 - ROUNDING, le=1 + ROUNDING)] | None = None
    macro_auc: Ratio = None
    micro_auc: Ratio = None
    average_precision: ClassRatios = {}
    brier: Annotated[float, Field(ge=-ROUNDING, le=2 + ROUNDING)] | None = None
    ece: Ratio = None
    precision: ClassRatios = {}
    f1: ClassRatios = {}
    coarse: dict[str, tuple[Count, ...]] = {}  # predicted classes of the films of each label that names several
    intervals: dict[str, MetricInterval] = {}  # by metric: "accuracy", "auc.normal", "binary.sensitivity" ...
    groups: dict[str, SubgroupResults] = {}  # by column: source, view, sex, age

    @model_validator(mode="after")
    def _names_its_own_classes(self) -> Self:
        for metric in CLASS_METRICS:
            values: ClassRatios = getattr(self, metric)
            if values and set(values) != set(self.classes):
                raise ValueError(f"{metric} is not of the classes {', '.join(self.classes)}")
        if not (self.auc and self.recall):
            raise ValueError("auc and recall need a value for each class")
        if self.negative and self.negative not in self.classes:
            raise ValueError(f"negative is '{self.negative}', which is not one of the classes")
        if self.binary is not None and not self.negative:
            raise ValueError("binary results need a negative class")
        if any(len(row) != len(self.classes) for row in (*self.confusion, *self.coarse.values())):
            raise ValueError("a row of the confusion matrix has another number of classes")
        if len(self.confusion) != len(self.classes):
            raise ValueError("the confusion matrix has another number of classes")
        if unknown := set(self.intervals) - set(metric_names(self.classes)):
            raise ValueError(f"intervals has '{min(unknown)}', which is not a metric")
        if misplaced := [column for column, stored in self.groups.items() if stored.column != column]:
            raise ValueError(f"groups has another column's results under '{misplaced[0]}'")
        return self


class ModelResults(ResultSection):
    """A model's results by the role of the films; None if there were none of that role."""

    unwritten = ("val", "test")

    val: EvaluationResults | None = None
    test: EvaluationResults | None = None

    @property
    def by_role(self) -> dict[Literal["test", "val"], EvaluationResults]:
        """The existing results, those on test films first."""
        present: dict[Literal["test", "val"], EvaluationResults | None] = {"test": self.test, "val": self.val}
        return {role: results for role, results in present.items() if results is not None}


def metric_names(classes: tuple[str, ...]) -> Iterator[str]:
    """The name of every metric that an evaluation with these classes can have, as `intervals` has it."""
    yield from OVERALL_METRICS
    for metric in CLASS_METRICS:
        yield from (f"{metric}.{name}" for name in classes)
    yield from (f"binary.{metric}" for metric in BINARY_METRICS)


def from_format_1(results: Any) -> Any:
    """Results as version 0.1 wrote them, converted to the present keys; anything that is not a table is left unchanged.

    Its first cards had the subgroups of the column source alone, as `sources`, with every metric of each.
    """
    if not isinstance(results, dict):
        return results
    return {role: _role_from_format_1(stored) for role, stored in results.items()}


def _role_from_format_1(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    table = {key: value for key, value in stored.items() if key != "sources"}
    if stored.get("sources") and not stored.get("groups"):
        table["groups"] = {"source": stored["sources"]}
    groups = table.get("groups")
    if isinstance(groups, dict):
        table["groups"] = {column: _subgroups_from_format_1(part, stored) for column, part in groups.items()}
    return table


def _subgroups_from_format_1(part: Any, stored: dict[Any, Any]) -> Any:
    """Without the metrics that a card no longer has of each subgroup."""
    if not isinstance(part, dict) or not isinstance(part.get("groups"), list | tuple):
        return part
    classes = stored.get("classes")
    names = tuple(str(name) for name in classes) if isinstance(classes, list | tuple) else ()
    dropped = set(metric_names(names)) - SUBGROUP_KEYS
    groups = [
        {key: value for key, value in group.items() if key not in dropped} if isinstance(group, dict) else group
        for group in part["groups"]
    ]
    return part | {"groups": groups}
