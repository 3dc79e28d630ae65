"""The record of a model's int8 engine, as its card stores it: what it was made of, and what it does to the numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]
Text = Annotated[str, Field(max_length=500)]


class Int8Section(BaseModel):
    """The base of the record's parts: frozen, no unknown keys, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AucDifference(Int8Section):
    """The AUC in int8 minus the AUC in the model's own precision, with a 95% interval over patients."""

    value: Difference
    low: Difference | None
    high: Difference | None


class Int8Agreement(Int8Section):
    """How int8 changes the model's answers on X-rays that it was not trained on."""

    films: Count
    largest_change: Share  # of a probability
    change_99: Share  # the 99th percentile of the largest change of each X-ray's probabilities
    decisions_changed: Count
    rejections_changed: Count  # X-rays that only one of the two rejects
    auc: Share | None  # in the model's own precision; None where the X-rays have none
    auc_difference: AucDifference | None

    @property
    def share_changed(self) -> float:
        """The share of the X-rays with another decision."""
        return self.decisions_changed / max(1, self.films)


class Int8Record(Int8Section):
    """What an int8 engine was made of, and how its answers differ from those of the model in its own precision."""

    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the model's weights
    films: dict[Text, Count]  # source -> training X-rays that the ranges were measured on
    convolutions: Count  # quantized
    unquantized: tuple[Text, ...] = Field(max_length=1000)  # convolutions that stay as they are
    reference: Text  # the precision that it was compared with
    software: dict[Text, Text]
    processor: Text
    agreement: dict[Literal["val", "test"], Int8Agreement]
