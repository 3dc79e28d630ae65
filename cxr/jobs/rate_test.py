"""The learning-rate range test as a study of its own: one short training at rising rates, which stores no model."""

from __future__ import annotations

from contextlib import nullcontext
from math import isfinite
from typing import TYPE_CHECKING, Any

from cxr.core.number_format import counted
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import stop_if_requested
from cxr.jobs.training_plan import Composition
from cxr.learning.device import Device
from cxr.learning.journal import Phase
from cxr.registry.hyperparameters import with_values
from cxr.registry.recipe import Recipe
from cxr.studies.rate_range import RateRange, has_diverged, rates_of_test, write_rate_range

if TYPE_CHECKING:
    from cxr.learning.training import PreparedTraining

# The rate of each step is the test's, and the weights are those of the step.
CONSTANT = {"optimiser.warmup_epochs": 0.0, "optimiser.schedule": "constant", "training.average": 0.0}


def range_test(recipe: Recipe, chosen: Composition, device: Device, journal: RunJournal) -> str:
    """What a range test of this recipe came to, in a sentence; its curve is stored in the run's folder."""
    from cxr.learning.training import prepare

    prepared = prepare(with_values(recipe, CONSTANT), chosen.films, chosen.labels, device, journal)
    with prepared.batches.inputs.augmented or nullcontext():
        found = _losses(prepared, journal)
    write_rate_range(journal.run.result_folder, found)
    return f"{found.sentence} Tried {counted(len(found.rates), 'learning rate')}."


def _losses(prepared: PreparedTraining, journal: RunJournal) -> RateRange:
    """The loss at each rate, until it diverges."""
    model: Any = prepared.model
    batches, rates, losses = prepared.batches, rates_of_test(), []
    for step, rate in enumerate(rates):
        stop_if_requested(journal)
        journal.phase(Phase.TRAINING_AT_RISING_RATES, step, len(rates))
        epoch, place = divmod(step, len(batches))
        if place == 0:
            batches.begin(epoch)
        images, targets, weights = batches[place]
        model.optimizer.learning_rate = float(rate)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(images, targets, sample_weight=weights, return_dict=True)["loss"]))
        if has_diverged(losses):
            break
    kept = [loss for loss in losses if isfinite(loss)]
    return RateRange(tuple(float(rate) for rate in rates[: len(kept)]), tuple(kept))
