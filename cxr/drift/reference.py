"""What weeks are compared with: validation X-rays as the model read them, or weeks that somebody took as usual.

Without anything else, what the training has counted of its validation X-rays (`validation`), with features, if it was
done in this installation. A model from elsewhere has the scores of validation X-rays that are stored with it, one X-ray
of each patient, and the counts of its input check; features then cannot be compared. Where the validation X-rays lie on
this machine, they can be read once and counted as readings in use are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import TypeAdapter

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.bounded_files import read_regular
from cxr.core.errors import DatasetError, FilmError, RegistryError
from cxr.datasets.labels import LabelSpace
from cxr.drift.store import MAX_FILE_BYTES, REFERENCE, WEEK, basis_of, folder_of, weeks
from cxr.drift.tally import Tally, observe, total
from cxr.registry import registry
from cxr.registry.card import Card

if TYPE_CHECKING:
    from cxr.evaluation.model_evaluation import Progress
    from cxr.films.film import Film

MOST_FILMS = 500  # validation X-rays that are read for the reference
FEWEST = 20  # readings of a reference
CHUNK = 16
VALIDATION: Final = "validation"
MEASURED: Final = "measured"
WEEKS: Final = "weeks"


@dataclass(frozen=True)
class DriftReference:
    """Counts to compare with, and where they come from."""

    kind: Literal["validation", "measured", "weeks"]
    tally: Tally = field(default_factory=Tally)
    first: str = ""  # weeks, where it is of these
    last: str = ""


_REFERENCE = TypeAdapter(DriftReference)


def reference_of(card: Card) -> DriftReference:
    """What the weeks of this model are compared with: what was chosen or measured here, or what is stored with it."""
    try:
        return _REFERENCE.validate_json(read_regular(folder_of(card.version) / REFERENCE, MAX_FILE_BYTES))
    except (OSError, ValueError):
        return DriftReference(VALIDATION, validation_tally(card))


def validation_tally(card: Card) -> Tally:
    """The counts of validation X-rays that the training has stored, or else those that are stored with the model.

    Empty where it has none.
    """
    from cxr.drift.validation import scores_of_validation, stored_validation
    from cxr.evaluation.scores import read_scores

    if (stored := stored_validation(card)) is not None:
        return stored
    try:
        table = read_scores(registry.evaluation_path(card.name))
    except DatasetError:
        return Tally()
    gate = card.gate
    questioned = gate.held_out - gate.unquestioned if gate else 0
    return Tally(
        checked=gate.held_out if gate else 0,
        questioned=max(0, questioned),
        scores=scores_of_validation(table, LabelSpace(card.classes, card.groups)),
    )


def measure_reference(name: str, paths: Sequence[str], progress: Progress, fewest: int = FEWEST) -> DriftReference:
    """The counts of the model's validation X-rays in these datasets, read now and stored as the reference of weeks.

    One X-ray of each patient, and at most 500. DatasetError where there are fewer than `fewest`.
    """
    from cxr.datasets.dataset import open_datasets
    from cxr.evaluation.model_evaluation import film_ids
    from cxr.evaluation.training_films import roles_in_training
    from cxr.inference.loading import load_classifier

    card = registry.get_card(name)
    with audited(Action.EVALUATE_MODEL, name, card.version, more="drift reference"):
        dataset = open_datasets(paths)
        roles = np.array(roles_in_training(name, film_ids(dataset, progress)))
        validation = dataset.where(roles == "val")
        first = ~validation.patients.duplicated().to_numpy(bool)
        validation = validation.where(first)
        chosen = np.random.default_rng(0).permutation(len(validation))[:MOST_FILMS]
        if len(chosen) < fewest:
            raise DatasetError(
                f"These datasets have validation X-rays of {len(chosen)} patients of this model; a reference needs "
                f"{fewest}.",
                code="no-validation-films",
            )
        classifier = load_classifier(name)

        def films() -> Iterator[Film]:
            for done, i in enumerate(chosen, 1):
                progress(done, len(chosen))
                try:
                    yield validation.read(int(i))
                except FilmError:
                    continue

        observed = [observe(one, classifier.input_check) for one in classifier.read_many(films(), CHUNK)]
        return _store(card, DriftReference(MEASURED, Tally.of(observed, basis_of(card))))


def take_weeks(name: str, first: str, last: str) -> DriftReference:
    """The reference of these weeks together, stored: what they show is usual here; later weeks are compared with it.

    RegistryError where they have too few readings.
    """
    card = registry.get_card(name)
    if not (WEEK.fullmatch(first) and WEEK.fullmatch(last)):
        raise RegistryError("Weeks are written as 2026-W48.", code="not-a-week")
    with audited(Action.EVALUATE_MODEL, name, card.version, more="drift reference"):
        usual = total([tally for week, tally in weeks(card.version).items() if first <= week <= last])
        if usual.scored < FEWEST:
            raise RegistryError(
                f"These weeks have {usual.scored} readings with a score; a reference needs {FEWEST}.",
                code="too-few-readings",
            )
        return _store(card, DriftReference(WEEKS, usual, first, last))


def forget_reference(name: str) -> None:
    """Compare with the validation X-rays that are stored with the model again."""
    card = registry.get_card(name)
    with audited(Action.EVALUATE_MODEL, name, card.version, more="drift reference"):
        (folder_of(card.version) / REFERENCE).unlink(missing_ok=True)


def _store(card: Card, reference: DriftReference) -> DriftReference:
    folder = folder_of(card.version)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / REFERENCE, json.dumps(asdict(reference)))
    return reference
