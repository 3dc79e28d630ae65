"""The search of a study, by Optuna: what to try next, when to end a trial early, what mattered.

What is tried depends on the study's seed, the number of the trial and the trials before it alone, so a study that is
resumed goes on as one that was never interrupted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr.core.errors import RunError
from cxr.registry.recipe import Recipe
from cxr.studies.space import Dimension, Space
from cxr.studies.trials import LOWER_IS_BETTER, Trial, TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

MISSING = "Studies need Optuna. Install it: pip install -r requirements-studies.txt"
ATTEMPTS = 50  # of the sampler, to find values that were not tried yet
MOST_PLACES = 2**53  # of a space, among which is drawn
LEAST_COMPLETE = 4  # trials, before one may be pruned
LEAST_EPOCHS = 2  # of a trial, before it may be pruned; a quarter of them in longer ones

_Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Search:
    """A search in a space, for the best value of a metric."""

    space: Space
    metric: str
    seed: int
    planned: int  # trials

    @property
    def direction(self) -> str:
        """Optuna's name of what is better."""
        return "minimize" if self.metric == LOWER_IS_BETTER else "maximize"

    @property
    def random_trials(self) -> int:
        """How many trials are drawn at random before earlier ones say where to look."""
        return min(10, max(3, self.planned // 4))

    def first_values(self, recipe: Recipe) -> dict[str, str | float] | None:
        """The recipe's own values, which are tried first; None where the space does not have them."""
        values: dict[str, str | float] = {}
        for dimension in self.space.dimensions:
            own = dimension.item.value_in(recipe)
            if not dimension.contains(own):
                return None
            values[dimension.key] = (dimension.item.format(own) or "none") if dimension.choices else own
        return values

    def propose(self, number: int, trials: Sequence[Trial]) -> dict[str, str | float] | None:
        """The values of the trial of this number; None where all that the space has were tried."""
        tried = {_identity(trial.values) for trial in trials}
        if len(tried) >= self.space.size:
            return None
        from optuna.samplers import TPESampler

        for attempt in range(ATTEMPTS):
            seed = int(np.random.default_rng([self.seed, number, attempt]).integers(2**31))
            study = self.study(trials, TPESampler(seed=seed, n_startup_trials=self.random_trials))
            values: dict[str, str | float] = dict(study.ask(self.distributions()).params)
            if _identity(values) not in tried:
                return values
        return self._untried(number, tried)

    def _untried(self, number: int, tried: Collection[_Identity]) -> dict[str, str | float] | None:
        """Values drawn at random among those of a finite space that were not tried yet."""
        if not isfinite(self.space.size):
            return None
        size = int(min(self.space.size, MOST_PLACES))
        seed = int(np.random.default_rng([self.seed, number, ATTEMPTS]).integers(2**31))
        places = Random(seed).sample(range(size), min(size, len(tried) + 1))  # one more than were tried
        drawn = (self.space.values_at(place) for place in places)
        return next((values for values in drawn if _identity(values) not in tried), None)

    def pruner(self, trials: Sequence[Trial], epochs: int) -> Callable[[Trial], bool]:
        """What says of a trial of so many epochs whether it is to end now: its best so far is below the median there.

        The trials that had ended when it began are what it is compared with, until its end.
        """
        from optuna.pruners import MedianPruner

        pruner = MedianPruner(LEAST_COMPLETE, max(LEAST_EPOCHS, epochs // 4) - 1)
        study = self.study([trial for trial in trials if trial.state is TrialState.COMPLETE])
        return lambda running: bool(running.epochs < epochs and pruner.prune(study, self.frozen(running, running=True)))

    def importances(self, trials: Sequence[Trial]) -> dict[str, float]:
        """The share of each hyperparameter in the variance of the metric (fANOVA), the largest first; none before four.

        Only trials that were trained to their end count.
        """
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
        varied = [key for key in self.distributions() if len({str(trial.values[key]) for trial in complete}) > 1]
        if len(complete) < LEAST_COMPLETE or not varied or len({trial.value for trial in complete}) == 1:
            return {}
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        evaluator = FanovaImportanceEvaluator(seed=self.seed % 2**31)
        with _quiet():
            found = get_param_importances(self.study(complete), evaluator=evaluator, params=varied)
        return {str(key): float(value) for key, value in found.items()}

    def study(self, trials: Sequence[Trial], sampler: Any = None) -> Study:
        """These trials as a study of Optuna in memory."""
        optuna = import_optuna()
        study: Study = optuna.create_study(direction=self.direction, sampler=sampler)
        distributions = self.distributions()
        study.add_trials([self.frozen(trial, distributions=distributions) for trial in trials])
        return study

    def frozen(
        self, trial: Trial, running: bool = False, distributions: Mapping[str, BaseDistribution] | None = None
    ) -> FrozenTrial:
        """The trial as Optuna knows it. One that diverged counts as pruned before its first epoch: as a bad one."""
        optuna = import_optuna()
        states = optuna.trial.TrialState
        complete = trial.state is TrialState.COMPLETE and trial.value is not None
        ended = states.COMPLETE if complete else states.FAIL if trial.state is TrialState.FAILED else states.PRUNED
        reported = {} if trial.state is TrialState.DIVERGED else dict(enumerate(trial.curve))
        found: FrozenTrial = optuna.trial.create_trial(
            state=states.RUNNING if running else ended,
            value=trial.value if complete and not running else None,
            params=dict(trial.values),
            distributions=dict(distributions or self.distributions()),
            intermediate_values={epoch: value for epoch, value in reported.items() if value is not None},
            user_attrs={"number": trial.number, "ended": str(trial.state), "sentence": trial.sentence},
        )
        return found

    def distributions(self) -> dict[str, BaseDistribution]:
        """The space in Optuna's terms."""
        return {dimension.key: _distribution(dimension) for dimension in self.space.dimensions}


def import_optuna() -> Any:
    """Optuna, without its messages; RunError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise RunError(MISSING, code="no-optuna") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices:
        return CategoricalDistribution(tuple(dimension.names))
    log = dimension.scale == "log"
    if dimension.item.kind == "whole":
        return IntDistribution(int(dimension.low), int(dimension.high), log, int(dimension.step) or 1)
    return FloatDistribution(dimension.low, dimension.high, log, dimension.step or None)


def _identity(values: Mapping[str, str | float]) -> _Identity:
    """The values in a form that can be compared; numbers that differ by rounding alone are equal."""
    return tuple((key, value if isinstance(value, str) else f"{value:.10g}") for key, value in sorted(values.items()))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
