"""Checkpoints: saved after each epoch, so that a killed run resumes as if it had not been interrupted."""

from __future__ import annotations

from typing import Any

import keras
from numpy.typing import NDArray

from cxr.core.errors import RunError
from cxr.learning import history as training_history
from cxr.learning.history import EpochMetrics
from cxr.learning.journal import CHECKPOINT, Journal
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign


def trained_variables(model: keras.Model) -> list[Any]:
    """Every variable that training changes, without Dropout's random state, which each epoch sets again."""
    return [variable for layer in model.layers if layer.trainable for variable in layer.weights]


def save_checkpoint(
    model: keras.Model,
    weights: list[NDArray[Any]] | None,
    history: list[EpochMetrics],
    recipe: Recipe,
    journal: Journal,
) -> None:
    """Save the model where it is the best so far, then the checkpoint, and report the history.

    In this order, because a kill between the two only repeats the epoch. `weights` are those to continue from where
    the model holds their moving average.
    """
    if training_history.best_epoch(history, recipe.training.best) == len(history) - 1:
        journal.save(_best_name(len(history)), arrays_of(trained_variables(model)))
    for variable, value in zip(trained_variables(model), weights or [], strict=weights is not None):
        variable.assign(value)
    state = arrays_of(_state(model))
    journal.save(CHECKPOINT, state | {"history": training_history.to_array(history)})
    journal.history(history)


def resume_from_checkpoint(model: keras.Model, journal: Journal) -> list[EpochMetrics]:
    """The history of the journal's checkpoint, loaded into the model; empty if there is none."""
    state = journal.load(CHECKPOINT)
    if state is None:
        return []
    history = training_history.from_array(state.pop("history"))
    if state:  # a trial of a study that has ended keeps its history and its best weights alone
        assign(_state(model), state)
    journal.note(f"Resumed after epoch {len(history)}.")
    journal.history(history)
    return history


def load_best(model: keras.Model, epoch: int, journal: Journal) -> None:
    """Load the weights of the best epoch into the model."""
    best = journal.load(_best_name(epoch))
    if best is None:
        raise RunError(
            "The weights of the best epoch are missing from the run's folder. Start a new run.", code="no-weights"
        )
    assign(trained_variables(model), best)


def _best_name(epoch: int) -> str:
    return f"best-{epoch}"


def _state(model: keras.Model) -> list[Any]:
    return trained_variables(model) + list(model.optimizer.variables)
