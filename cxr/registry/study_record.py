"""The study that a model was chosen in, as its card says: how many trials there were, and how this one stood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from cxr.core.number_format import counted, decimal

Text = Annotated[str, Field(max_length=500)]
Number = Annotated[int, Field(ge=0, le=10**6)]
METRIC_NAMES = {
    "val_auc": "validation AUC",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


@dataclass(frozen=True)
class StudyRecord:
    """The place of a model among the trials of the study that it is from."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    run: Text  # the id of the study's job
    trial: Number
    trials: Number  # that had ended when this one was chosen
    complete: Number  # of those, trained to their end
    rank: Number  # among the complete ones, by the metric; 1 is the best
    metric: Text
    value: float | None = None
    searched: tuple[Text, ...] = ()  # keys of hyperparameters

    @property
    def metric_name(self) -> str:
        """The metric in words."""
        return METRIC_NAMES.get(self.metric, self.metric)

    @property
    def sentence(self) -> str:
        """How the model was chosen, and what follows from that for its validation results."""
        trials = counted(self.trials, "trial")
        figure = f"{self.metric_name} {decimal(self.value)}"
        if self.rank == 1:
            return (
                f"Chosen among {trials} for the best {figure}, so its validation results are optimistic. The test "
                "X-rays took no part in the choice."
            )
        return (
            f"Trial {self.trial} of a study of {trials}, number {self.rank} by {figure}, saved by a person. Its "
            "validation results are optimistic, and so are its test results if they decided."
        )
