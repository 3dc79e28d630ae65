"""The part of a decoder's reply about an X-ray's full gray depth: numbers and code words, each within its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cxr.films.acquisition import Acquisition
from cxr.films.deep_image import MAX_NUMBER, MAX_WINDOWS, DeepImage

Number = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Sample = Annotated[int, Field(ge=-(1 << 18), le=1 << 18)]


class DeepReply(BaseModel):
    """What a reply says of the samples that follow it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    sample_bits: Literal[8, 16]
    slope: Number
    intercept: Number
    is_inverted: bool
    windows: tuple[tuple[Number, Number], ...] = Field((), max_length=MAX_WINDOWS)
    padding: tuple[Sample, Sample] | None = None
    acquisition: Acquisition

    def image(
        self, shape: tuple[int, int], read_array: Callable[[tuple[int, ...], type[np.integer[Any]]], NDArray[Any]]
    ) -> DeepImage:
        """The image of this shape, its samples and their rendering read by this function."""
        samples = read_array(shape, np.uint8 if self.sample_bits == 8 else np.uint16)
        rendering = read_array((1 << self.sample_bits,), np.uint8)
        facts = (self.slope, self.intercept, self.is_inverted, self.windows, self.padding, self.acquisition)
        return DeepImage(samples, rendering, *facts)


def deep_facts(deep: DeepImage) -> dict[str, Any]:
    """All but the arrays of an image, ready for JSON."""
    return {
        "sample_bits": 8 * deep.samples.itemsize,
        "slope": float(deep.slope),
        "intercept": float(deep.intercept),
        "is_inverted": deep.is_inverted,
        "windows": deep.windows,
        "padding": deep.padding,
        "acquisition": deep.acquisition.model_dump(),
    }
