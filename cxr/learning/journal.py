"""The interface between a training and its observers: phases, progress, checkpoints, a request to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # `runs list` starts without NumPy
    from numpy.typing import NDArray

    from cxr.learning.history import EpochMetrics

CHECKPOINT = "checkpoint"  # the name of the arrays that a training resumes from


class Phase(StrEnum):
    """What a run is doing, in the words that its status shows; runs of older versions may show others."""

    WAITING = "waiting for the device"
    WAITING_FOR_OTHERS = "waiting for other jobs"
    WAITING_FOR_CLUSTER = "waiting for room in the cluster"
    COMPARING_IMAGES = "looking for copies of images"
    READING_IMAGES = "reading images"
    COMPUTING_FEATURES = "computing features"
    TRAINING = "training"
    TRAINING_SIDE_BY_SIDE = "training side by side"
    TRAINING_AT_RISING_RATES = "training at rising learning rates"
    EVALUATING = "evaluating"
    LOADING_MODEL = "loading the model"
    LISTING_FILES = "listing files"
    SUMMARIZING = "summarizing"
    TRAINING_INPUT_CHECK = "training the input check"


@dataclass(frozen=True)
class StepProgress:
    """The progress within an epoch; loss and accuracy are means over the epoch so far."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    films_s: float  # films per second in this epoch; 0 while unknown


class Journal(Protocol):
    """Receives a training's progress and checkpoints, and tells it whether to stop."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """Report the current phase and how far it is."""

    def step(self, progress: StepProgress) -> None:
        """Report one optimizer step."""

    def history(self, rows: list[EpochMetrics]) -> None:
        """Report the metrics of all epochs so far."""

    def note(self, sentence: str) -> None:
        """Report something that a person should read."""

    def should_stop(self) -> bool:
        """Whether the training is to stop after its current step."""

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store arrays under a name."""

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays stored under a name; None if there are none."""
