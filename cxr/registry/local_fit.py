"""The record of a model's fit to one hospital, as its card stores it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=500)]

FINDING = "finding"  # among the answers of prediction sets, stands for all classes but the negative one


class FitSection(BaseModel):
    """The base of the record's parts: frozen, no unknown keys, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FitFigure(FitSection):
    """A figure with its 95% interval; a bound that the X-rays cannot tell is null."""

    value: Share | None
    low: Share | None = None
    high: Share | None = None


class FitFigures(FitSection):
    """How the local X-rays are read by a model at its threshold."""

    sensitivity: FitFigure
    specificity: FitFigure
    auc: FitFigure
    calibration_error: FitFigure  # of the probability of a finding


class PredictionSets(FitSection):
    """The answers that X-rays' probabilities do not rule out, with coverage for each answer."""

    coverage: Share  # that was asked for
    lowest: dict[Text, Share]  # answer -> the lowest probability with which it is in a set; 0: it is in every set
    covered: dict[Text, FitFigure]  # answer -> of X-rays with this label, how many sets had it; cross-fitted
    single: FitFigure  # X-rays with one answer
    several: FitFigure
    none: FitFigure  # X-rays with no answer: each is less probable than on nearly all local X-rays with it


class LocalFit(FitSection):
    """What a model was fitted to, and its figures before and after on X-rays that were not used for the fit."""

    parent: Text  # the model that was fitted
    parent_version: Text
    datasets: tuple[Text, ...] = Field(max_length=1000)
    films: dict[str, Count]  # label -> X-rays
    patients: dict[str, Count]  # normal, finding -> patients
    target: Text  # of the threshold
    temperature: float = Field(gt=0, le=1e6)
    last_layer: bool  # whether the last layer was fitted too
    before: FitFigures  # the parent at its own threshold
    after: FitFigures  # cross-fitted: each X-ray read by a fit to the other folds of patients
    prediction_sets: PredictionSets | None = None
