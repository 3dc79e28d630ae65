"""One X-ray read again after each change, and how far the probability moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.counter_checks.changes import Change, CheckedImage
from cxr.films.film import Film

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier, Prediction

NOTABLE = 0.10  # a probability that moves by less is not worth a sentence


@dataclass(frozen=True, eq=False)
class CounterCheck:
    """What the model says of one changed image."""

    change: Change
    pixels: NDArray[np.uint8]  # the changed image as the model gets it
    probability: float  # of what the counter-checks ask about
    shift: float  # from the X-ray as it is
    decision: str
    decision_changes: bool
    rejected: bool  # the input check would reject the changed image

    @property
    def notable(self) -> bool:
        """Whether the probability moves far, or the decision is another one."""
        return self.decision_changes or abs(self.shift) >= NOTABLE

    def as_dict(self) -> dict[str, Any]:
        """The check as it stands in JSON."""
        return {
            "change": self.change.value,
            "kind": self.change.kind.value,
            "probability": round(self.probability, 6),
            "shift": round(self.shift, 6),
            "decision": self.decision,
            "decision_changes": self.decision_changes,
            "rejected": self.rejected,
        }


@dataclass(frozen=True, eq=False)
class CounterChecks:
    """All counter-checks of one X-ray."""

    model: str  # name@version
    classes: LabelSpace
    target: str  # the class whose probability moves; "" for any finding
    pixels: NDArray[np.uint8]  # the X-ray as the model gets it
    probability: float
    decision: str
    threshold: float | None
    lungs_outlined: bool  # False: the lungs were not found, and a box stands for them
    checks: tuple[CounterCheck, ...]
    not_made: tuple[Change, ...]  # there was nothing to change

    def of(self, change: Change) -> CounterCheck | None:
        """The check with this change; None where it was not made."""
        return next((check for check in self.checks if check.change is change), None)

    def as_dict(self) -> dict[str, Any]:
        """The checks as they stand in JSON."""
        return {
            "model": self.model,
            "target": self.target or "finding",
            "probability": round(self.probability, 6),
            "decision": self.decision,
            "threshold": self.threshold,
            "lungs_outlined": self.lungs_outlined,
            "checks": [check.as_dict() for check in self.checks],
            "not_made": [change.value for change in self.not_made],
        }


def run_counter_checks(
    classifier: Classifier, film: Film, prediction: Prediction | None = None, target: str | None = None
) -> CounterChecks:
    """The counter-checks of an X-ray: of P(finding), or of the probability of a class.

    The X-ray itself is read in the same batch, so that nothing but the changes makes a difference. A model without a
    negative class is asked about the class that it predicts. The heatmap is that of the prediction, where one is given.
    """
    first = classifier.read_batch([film])[0] if prediction is None else prediction
    labels = classifier.labels
    if target is None and labels.negative is None:
        target = first.decision
    heated = target if target is not None else _hottest_class(first, labels)
    image = CheckedImage(film, first.heatmap(heated), classifier.size_px)
    made = {change: pixels for change in Change if (pixels := image.changed(change)) is not None}
    before, *after = classifier.read_batch([film, *map(Film.from_pixels, made.values())])
    own = _probability(before, target)
    checks = tuple(
        CounterCheck(
            change=change,
            pixels=pixels,
            probability=_probability(prediction, target),
            shift=_probability(prediction, target) - own,
            decision=prediction.decision,
            decision_changes=_side(prediction, labels) != _side(before, labels),
            rejected=bool(prediction.input_check and prediction.input_check.rejected),
        )
        for (change, pixels), prediction in zip(made.items(), after, strict=True)
    )
    return CounterChecks(
        model=before.model,
        classes=labels,
        target=target or "",
        pixels=image.pixels,
        probability=own,
        decision=before.decision,
        threshold=before.threshold,
        lungs_outlined=image.outline is not None,
        checks=checks,
        not_made=tuple(change for change in Change if change not in made),
    )


def _hottest_class(prediction: Prediction, labels: LabelSpace) -> str:
    """The class whose heatmap is hidden: the decision, or where that is negative, the most probable finding."""
    if labels.negative is None or prediction.decision != labels.classes[labels.negative]:
        return prediction.decision
    others = np.array(prediction.probabilities, float)
    others[labels.negative] = -1
    return labels.classes[int(others.argmax())]


def _probability(prediction: Prediction, target: str | None) -> float:
    return prediction.positive_probability if target is None else prediction.probability(target)


def _side(prediction: Prediction, labels: LabelSpace) -> str:
    """The decision as far as it matters: positive or negative, or the class where none is negative."""
    if labels.negative is None:
        return prediction.decision
    return "negative" if prediction.decision == labels.classes[labels.negative] else "positive"
